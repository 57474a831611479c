"""What the ranks of a training do together: add up. One rank needs nothing of torch.distributed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from insar_dask.forecast.training.job import PeerLostError

__all__ = ["Ranks", "running_statistics"]


@dataclass(frozen=True)
class Ranks:
    """One rank among all of them; the process group is there already where there are several."""

    rank: int = 0
    world: int = 1

    def add_up(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace each tensor by its sum over all ranks, in one message and always in the same order.

        ``DistributedDataParallel`` rebuilds its buckets after the first step: from three ranks on a resumed run would
        add in another order than the undisturbed one, and end with other weights. It also takes the mean of the
        ranks' mean losses, which is not the mean over scored values where ranks hold unequally many.
        """
        if self.world == 1:
            return
        flat = torch.cat([tensor.reshape(-1).to(torch.float32) for tensor in tensors])
        self._reduce(flat)
        totals = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, total in zip(tensors, totals, strict=True):
            tensor.copy_(total.view_as(tensor))

    def total(self, values: Sequence[float], device: torch.device) -> list[float]:
        """Sums over all ranks."""
        if self.world == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64, device=device)
        self._reduce(sums)
        return [float(value) for value in sums.cpu()]

    def seen(self, number: torch.Tensor) -> int:
        """A whole number, once all work before it is done; what another rank's end left undone is told here too."""
        if self.world == 1:
            return int(number)
        import torch.distributed as dist

        try:
            return int(number)
        except dist.DistError as error:
            raise PeerLostError(f"rank {self.rank} lost another rank: {error}") from error

    def _reduce(self, tensor: torch.Tensor) -> None:
        import torch.distributed as dist

        try:
            dist.all_reduce(tensor)
        except RuntimeError as error:
            raise PeerLostError(f"rank {self.rank} lost another rank: {error}") from error


def running_statistics(model: torch.nn.Module) -> list[torch.Tensor]:
    """Means and variances that batch norms collect while they train, of which each rank sees its own share."""
    norms = (module for module in model.modules() if isinstance(module, _BatchNorm))
    return [kept for norm in norms for kept in (norm.running_mean, norm.running_var) if kept is not None]
