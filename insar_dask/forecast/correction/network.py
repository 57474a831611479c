"""The Spacetimeformer as a forecaster of the honest protocol: a correction of the best linear forecasts.

Torch is imported when a network is first used, not before.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from insar_dask.forecast.catalogue import CORRECTED
from insar_dask.forecast.correction.footing import Footing
from insar_dask.forecast.correction.inputs import TIME_FEATURES, PointInputs, group_inputs, n_known, point_inputs
from insar_dask.forecast.correction.origin_windows import PIECE, Shape
from insar_dask.forecast.correction.signals import quicker
from insar_dask.forecast.gaussian import PooledGaussianProcess
from insar_dask.forecast.groups import Groups, cut_groups
from insar_dask.forecast.registry import Device, Forecaster, load, under
from insar_dask.forecast.windows import Context

if TYPE_CHECKING:
    import torch

    from insar_dask.forecast.gpu_networks import Run, There

__all__ = ["QUICKER", "CorrectingNetwork", "build_network", "correct", "linear_members", "require_torch"]

Arrays = Mapping[str, npt.NDArray[Any]]
Float32 = npt.NDArray[np.float32]

QUICKER = (0.5, 0.2)
"""Factors on the noise of two more processes that the network reads: with 4 and 25 neighbours that move as one, the
posterior of their mean."""

BATCH = 64
"""Groups a network forecasts at a time: always as many, for a product's bits depend on its shape."""


class CorrectingNetwork:
    """A trained network on its linear footing.

    Parameters
    ----------
    members : sequence of Forecaster
        Linear forecasters that the network reads: see `linear_members`.
    footing : Footing
    shape : Shape
    network : torch.nn.Module
    gate : float
        How much of the correction to believe, 0 to 1: see `insar_dask.forecast.correction.gate`.
    sizes : mapping
        Sizes of the network, beyond its preset.

    Attributes
    ----------
    there : There or None
        The network on a GPU, which forecasts there; the linear forecasters compute here all the same.
    later : float
        Years from the first date of what was learned from to that of what is forecast.
    """

    name = "spacetimeformer"

    def __init__(
        self,
        members: Sequence[Forecaster],
        footing: Footing,
        shape: Shape,
        network: torch.nn.Module,
        gate: float,
        sizes: Mapping[str, Any],
    ) -> None:
        self.members, self.footing, self.shape, self.network = members, footing, shape, network
        self.gate, self.sizes = gate, dict(sizes)
        self.there: There | None = None
        self.later = 0.0

    def predict(self, context: Context) -> tuple[Float32, Float32]:
        """Mean and the linear forecast's standard deviation (n, h) [mm]; NaN where no forecaster has a mean.

        Points are seen in pieces of `PIECE`, the first of which starts with the context's first point.
        """
        if not len(context.values):
            none = np.empty((0, len(context.target_years)), np.float32)
            return none, none
        pieces = (context.part(at, at + PIECE) for at in range(0, len(context.values), PIECE))
        if self.gate == 0:
            parts = [self._uncorrected(piece) for piece in pieces]
        elif self.there is None:
            parts = [self._corrected(*read, correct(self.network, read[-1])) for read in map(self._read, pieces)]
        else:
            parts = self._predict_there([self._read(piece) for piece in pieces], self.there)
        means, deviations = zip(*parts, strict=True)
        return np.concatenate(means), np.concatenate(deviations)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """What was learned of the network, as arrays; its linear forecasters have states of their own."""
        settings = {"shape": asdict(self.shape), "sizes": self.sizes}
        weights = {f"weights.{name}": tensor.numpy() for name, tensor in self.network.state_dict().items()}
        footing = {f"footing.{name}": array for name, array in self.footing.state().items()}
        return {
            **weights,
            **footing,
            "gate": np.array(self.gate),
            "settings": np.array(json.dumps(settings, sort_keys=True)),
        }

    def bytes_there(self, n_points: int, memory: int) -> int:
        """Predicted bytes of a GPU of ``memory`` bytes that forecasting blocks of so many points takes."""
        from insar_dask.forecast.gpu_networks import bytes_there

        said = 4 * n_points * self.shape.length * self.footing.weights.shape[1]  # at most, a group having one point
        return bytes_there(self._weights(), self._on_meta(), memory, 2 * said)

    @classmethod
    def from_state(cls, state: Arrays, device: Device = "cpu") -> Self:
        """Rebuild it from `state`, the states of its linear forecasters, ``members.NAME.``, and ``later`` if given."""
        import torch

        settings = json.loads(str(state["settings"]))
        shape, footing = Shape(**settings["shape"]), Footing.from_state(under("footing.", state))
        members = linear_members(
            [load(name, f"members.{name}.", state) for name in CORRECTED if under(f"members.{name}.", state)]
        )
        network = build_network(shape, len(members), footing.weights.shape[1], settings["sizes"])
        network.load_state_dict(
            {name: torch.from_numpy(array.copy()) for name, array in under("weights.", state).items()}
        )
        made = cls(members, footing, shape, network, float(state["gate"]), settings["sizes"])
        made.later = float(state.get("later", 0.0))
        if device == "gpu" and made.gate != 0:
            from insar_dask.forecast.gpu_networks import there

            made.there = there(under("weights.", state), str(state["settings"]), lambda: [network], made._on_meta)
        return made

    def _read(self, context: Context) -> tuple[PointInputs, Groups, Arrays]:
        """What the network reads of a piece."""
        inputs = point_inputs(context, self.members, self.footing, self.shape.context, self.later)
        groups = cut_groups(context.located, self.shape.length, self.shape.reach)
        return inputs, groups, group_inputs(inputs, groups, self.shape.patterns)

    def _corrected(self, inputs: PointInputs, groups: Groups, _: Arrays, said: Float32) -> tuple[Float32, Float32]:
        """What a piece comes to with what the network has said of its groups."""
        correction = groups.scatter(said) * np.float32(self.gate * self.footing.scale)
        return inputs.mean + np.where(inputs.able[:, None], correction, np.float32(0)), inputs.deviation

    def _predict_there(
        self, read: Sequence[tuple[PointInputs, Groups, Arrays]], there: There
    ) -> list[tuple[Float32, Float32]]:
        """The groups of all pieces together."""
        arrays = {name: np.concatenate([piece[-1][name] for piece in read]) for name in read[0][-1]}
        ends = np.cumsum([len(groups.members) for _, groups, _ in read])
        said = np.split(there.said(arrays), ends[:-1])
        return [self._corrected(*piece, part) for piece, part in zip(read, said, strict=True)]

    def _on_meta(self) -> Run:
        """The network on so many groups without numbers."""
        from insar_dask.forecast.gpu_networks import meta_batch, on_meta

        sizes = {
            "length": self.shape.length,
            "context": self.shape.context,
            "horizon": self.footing.weights.shape[1],
            "time_features": TIME_FEATURES,
            "known": n_known(len(self.members), self.footing.weights.shape[1]),
        }
        network = on_meta(self.network)
        return lambda groups: network(meta_batch(groups, **sizes))

    def _weights(self) -> Arrays:
        return {name: tensor.numpy() for name, tensor in self.network.state_dict().items()}

    def _uncorrected(self, context: Context) -> tuple[Float32, Float32]:
        """What a closed gate leaves, at a fifth of the cost."""
        linear = self.members[: len(self.footing.weights)]
        means, deviations = zip(*(member.predict(context) for member in linear), strict=True)
        deviation = next(deviation for deviation in deviations if deviation is not None)
        return self.footing.combined(np.stack(means, axis=1)), deviation


def linear_members(fitted: Sequence[Forecaster]) -> list[Forecaster]:
    """Forecasters that a network reads: the linear ones, and quicker processes than the last of these.

    Raises
    ------
    ValueError
        When the last one is no Gaussian process.
    """
    process = fitted[-1] if fitted else None
    if not isinstance(process, PooledGaussianProcess):
        raise ValueError("the network stands on the Gaussian process: add 'gaussian_process' to the methods")
    return [*fitted, *(quicker(process, factor) for factor in QUICKER)]


def build_network(shape: Shape, n_members: int, horizon: int, sizes: Mapping[str, Any]) -> torch.nn.Module:
    """A network for these inputs, its weights drawn anew from torch's generator."""
    require_torch()
    from insar_dask.forecast.models import build

    inputs = {
        "context": shape.context,
        "horizon": horizon,
        "time_features": TIME_FEATURES,
        "known": n_known(n_members, horizon),
        "patterns": shape.patterns,
    }
    return build("fast", **inputs, **sizes)


def correct(network: torch.nn.Module, arrays: Mapping[str, npt.NDArray[Any]]) -> Float32:
    """What a network adds to the linear forecast of groups (G, L, h), in units of the footing's scale.

    One thread and batches of one shape: the bits of a group's forecast depend on its piece alone.
    """
    import torch

    from insar_dask.forecast.torch_threads import one_thread

    one_thread()
    network.eval()
    out = []
    with torch.inference_mode():
        for start in range(0, len(arrays["present"]), BATCH):
            part = {name: _filled(array[start : start + BATCH]) for name, array in arrays.items()}
            out.append(network({name: torch.from_numpy(array) for name, array in part.items()}).float().numpy())
    return np.concatenate(out)[: len(arrays["present"])]


def require_torch() -> None:
    """Raise an ImportError that names the cure where torch is not installed."""
    if importlib.util.find_spec("torch") is None:
        raise ImportError(
            "the Spacetimeformer needs torch: pip install 'insar-dask[train]', or leave it out of methods"
        )


def _filled(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A batch of `BATCH` groups, those that are lacking absent."""
    lacking = BATCH - len(array)
    return np.concatenate([array, np.zeros((lacking, *array.shape[1:]), array.dtype)]) if lacking else array
