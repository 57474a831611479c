"""A network of maps as a forecaster of the honest protocol: what it adds to the harmonic ridge of each cell.

Torch is imported when a network is first used, not before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from insar_dask.cube import DAYS_PER_YEAR
from insar_dask.forecast.maps.framing import CHANNELS, above_harmonic, annual_waves, channels
from insar_dask.forecast.maps.gridded import filled, gridded
from insar_dask.forecast.maps.lattice import cells_at
from insar_dask.forecast.maps.map_history import LEAST_DATES, MapHistory
from insar_dask.forecast.maps.map_settings import MapSettings
from insar_dask.forecast.naive import harmonic_fit
from insar_dask.forecast.registry import Device, under
from insar_dask.forecast.windows import Context

if TYPE_CHECKING:
    import torch

    from insar_dask.forecast.gpu_networks import Run, There

__all__ = ["MapNetwork", "Said"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


class Said:
    """What a network says of the cells of one tile at an origin.

    Attributes
    ----------
    fitted : (n, h) array
        Line, annual signal and ridge of each cell [mm].
    correction : (n, h) array
        What the network adds [mm].
    """

    def __init__(
        self,
        network: torch.nn.Module,
        ridge: Float64,
        settings: MapSettings,
        context: Context,
        there: There | None = None,
    ) -> None:
        import torch

        torch.set_num_threads(1)
        read = settings.context
        raw = gridded(context.grid_values, context.located, settings.side)
        maps, origin = filled(raw), len(raw)
        years = np.concatenate([context.grid_years, context.target_years])
        held = np.asarray(np.isfinite(raw).any(axis=0))
        fitted, scale, statics = above_harmonic(MapHistory(maps, years), held, origin, read, ridge)
        days = context.first_day + np.rint(years * DAYS_PER_YEAR).astype(np.int64)
        waves = annual_waves(days[origin - read :])
        values = channels((maps[-read:] - fitted[:read]) / scale, statics, waves[:read])
        arrays = {"values": values[None], "target_time": waves[None, read:]}
        if there is None:
            network.eval()
            with torch.inference_mode():  # in float32, so that workers with and without bfloat16 agree on a cube
                said = network({name: torch.from_numpy(array) for name, array in arrays.items()}).numpy()
        else:
            said = there.said(arrays, bf16=settings.training.bf16)
        added = said[0] * scale
        row, col = cells_at(context.located, settings.side)
        self.fitted = np.ascontiguousarray(fitted[read:, row, col].T)
        self.correction = np.ascontiguousarray(added[:, row, col].T)


class MapNetwork:
    """A trained network of maps.

    Parameters
    ----------
    settings : MapSettings
    network : torch.nn.Module
    ridge : (c, h) array
        Weights of the harmonic ridge that it adds to.
    gate : float
        How much of what it adds to believe, 0 to 1: see `insar_dask.forecast.correction.gate`.

    Attributes
    ----------
    there : There or None
        The network on a GPU, which forecasts there; the harmonic ridge is computed here all the same.
    """

    def __init__(self, settings: MapSettings, network: torch.nn.Module, ridge: Float64, gate: float) -> None:
        self.settings, self.network, self.ridge, self.gate = settings, network, ridge, gate
        self.there: There | None = None

    @property
    def name(self) -> str:
        """Name of the network."""
        return self.settings.network

    def predict(self, context: Context) -> tuple[Float32, None]:
        """Mean (n, h) [mm] of the cells of one tile; NaN where a cell's history is too short for a harmonic.

        That is as `harmonic_fit` has it, a year of dates among others, or where it has fewer than `LEAST_DATES`.
        """
        coefficients, _ = harmonic_fit(context)
        given = np.isfinite(context.grid_values).sum(axis=1)
        enough = np.isfinite(coefficients).all(axis=1) & (given >= LEAST_DATES)
        if not enough.any():
            return np.full((len(enough), len(context.target_years)), np.nan, np.float32), None
        said = Said(self.network, self.ridge, self.settings, context, self.there)
        mean = said.fitted + np.float32(self.gate) * said.correction
        return np.where(enough[:, None], mean, np.float32(np.nan)), None

    def bytes_there(self, n_points: int, memory: int) -> int:
        """Predicted bytes of a GPU of ``memory`` bytes that forecasting one tile after the other takes, of any size."""
        from insar_dask.forecast.gpu_networks import bytes_there

        return bytes_there(self._weights(), self._on_meta(), memory)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """What was learned, as arrays."""
        weights = {f"weights.{name}": array for name, array in self._weights().items()}
        settings = np.array(json.dumps(self.settings.to_dict(), sort_keys=True))
        return {**weights, "ridge": self.ridge, "gate": np.array(self.gate), "settings": settings}

    @classmethod
    def from_state(cls, state: Mapping[str, npt.NDArray[Any]], device: Device = "cpu") -> Self:
        """Rebuild it from `state`."""
        import torch

        settings = MapSettings.from_dict(json.loads(str(state["settings"])))
        network = settings.build()
        network.load_state_dict({name: torch.from_numpy(a.copy()) for name, a in under("weights.", state).items()})
        made = cls(settings, network, np.asarray(state["ridge"], np.float64), float(state["gate"]))
        if device == "gpu":
            from insar_dask.forecast.gpu_networks import there

            made.there = there(under("weights.", state), str(state["settings"]), lambda: [network], made._on_meta)
        return made

    def _on_meta(self) -> Run:
        """The network on a map without numbers, however many are asked for: tiles come one by one."""
        import torch

        from insar_dask.forecast.gpu_networks import on_meta

        of, network = self.settings, on_meta(self.network)
        shapes = {"values": (1, of.context, len(CHANNELS), of.side, of.side), "target_time": (1, of.horizon, 2)}
        return lambda _: network({name: torch.empty(shape, device="meta") for name, shape in shapes.items()})

    def _weights(self) -> dict[str, npt.NDArray[Any]]:
        return {name: tensor.numpy() for name, tensor in self.network.state_dict().items()}
