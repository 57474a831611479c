"""Work on batches of one shape, recorded on a GPU once and then started by one call (CUDA graphs)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from insar_dask.forecast.training.job import Batch

__all__ = ["Recorder"]

WARM = 3
"""Times that the work is done before it is recorded: libraries choose their kernels and take their memory meanwhile."""

Work = Callable[[Batch], Any]


@dataclass(frozen=True)
class _Record:
    graph: torch.cuda.CUDAGraph
    batch: Batch
    """Where the recorded kernels read; each batch is copied there."""
    made: Any
    """Where they write, over and over again."""


class Recorder:
    """Starts the kernels of a function of a batch by one call from the fourth batch of a shape on.

    The function must be the same whatever is in the batch, and look at no number on the way. What it returned last is
    overwritten by the next call. Random numbers follow ``torch.manual_seed`` before each call, as they do without.
    """

    def __init__(self) -> None:
        self.seen: dict[Any, int] = {}
        self.records: dict[Any, _Record] = {}

    def run(self, work: Work, batch: Batch) -> Any:
        """What the function, always the same one, makes of a batch: anything made of tensors."""
        shape = tuple((name, tensor.shape, tensor.dtype) for name, tensor in sorted(batch.items()))
        if shape not in self.records:
            self.seen[shape] = self.seen.get(shape, 0) + 1
            if self.seen[shape] <= WARM:
                return self._beside(work, batch)
            self.records[shape] = self._record(work, batch)
        record = self.records[shape]
        for name, tensor in batch.items():
            record.batch[name].copy_(tensor, non_blocking=True)
        record.graph.replay()
        return record.made

    def _beside(self, work: Work, batch: Batch) -> Any:
        """On a stream of its own, as it will be recorded on one."""
        here, beside = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
        beside.wait_stream(here)
        with torch.cuda.stream(beside):
            made = work(batch)
        here.wait_stream(beside)
        return made

    def _record(self, work: Work, batch: Batch) -> _Record:
        graph, kept = torch.cuda.CUDAGraph(), {name: tensor.clone() for name, tensor in batch.items()}
        # other threads may ask for pinned memory meanwhile
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            made = work(kept)
        return _Record(graph, kept, made)
