"""A network of maps as a forecaster of the honest protocol: what it adds to the harmonic ridge of each cell.

Torch is imported when a network is first used, not before.
"""

from __future__ import annotations

import json
from bisect import bisect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from insar_dask.cube import DAYS_PER_YEAR
from insar_dask.forecast.catalogue import RIDGE
from insar_dask.forecast.correction.gate import fit_gate, products
from insar_dask.forecast.correction.teaching import spread_over
from insar_dask.forecast.maps.framing import CHANNELS, above_harmonic, annual_waves, channels
from insar_dask.forecast.maps.gridded import filled, gridded
from insar_dask.forecast.maps.lattice import PARTS, cells_at, part_of
from insar_dask.forecast.maps.map_history import LEAST_DATES, MapHistory
from insar_dask.forecast.maps.map_settings import MapSettings
from insar_dask.forecast.model_folder import OlderModelError
from insar_dask.forecast.naive import harmonic_fit
from insar_dask.forecast.registry import Device, Forecaster, load, under
from insar_dask.forecast.windows import Context

if TYPE_CHECKING:
    import torch

    from insar_dask.forecast.gpu_networks import Run, There

__all__ = ["GATE_ORIGINS", "MapNetwork"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

GATE_ORIGINS = 8
"""Origins that a gate is fitted at: a tile takes nine times as long to forecast as without one of its own."""


class MapNetwork:
    """A trained network of maps, believed on each tile as far as the tile's own past bears it out.

    What is learned where the ground did not break does harm where it did: on two tiles with an earthquake that it had
    not learned from, a CNN-LSTM erred by 2.4 mm, and the ridge that it adds to by 1.5 and 1.8.

    Parameters
    ----------
    settings : MapSettings
    network : torch.nn.Module
    ridge : HarmonicRidge
        What it adds to, fitted to all dates known at a stage: one of the dates that the network learned from errs more
        where the ground has broken since.
    gate : float
        How much of what it adds to believe, 0 to 1, where a tile's own past is too short to tell: what the tiles of
        training bore out together. See `insar_dask.forecast.correction.gate`.
    since : int
        Day, from 1970-01-01, from which on the network learned from no date; on tiles of training, the dates that
        follow chose the step whose weights are kept, and taught the ridge: the better that fits, the less is believed.

    Attributes
    ----------
    there : There or None
        The network on a GPU, which forecasts there; the harmonic ridge is computed here all the same.
    """

    def __init__(
        self, settings: MapSettings, network: torch.nn.Module, ridge: Forecaster, gate: float, since: int
    ) -> None:
        self.settings, self.network, self.ridge, self.gate, self.since = settings, network, ridge, gate, since
        self.there: There | None = None

    @property
    def name(self) -> str:
        """Name of the network."""
        return self.settings.network

    def predict(self, context: Context) -> tuple[Float32, None]:
        """Mean (n, h) [mm] of the cells of one tile; NaN where a cell's history is too short for a harmonic.

        That is as `harmonic_fit` has it, a year of dates among others, or where it has fewer than `LEAST_DATES`.
        """
        able = _able(context)
        if not able.any():
            return np.full((len(able), len(context.target_years)), np.nan, np.float32), None
        share = np.float32(self.share(context.fitted or context))
        mean = self.ridge.predict(context)[0] + share * self._added(context)
        return np.where(able[:, None], mean, np.float32(np.nan)), None

    def share(self, known: Context) -> float:
        """How much of what the network adds to believe on a tile of which so much is known, 0 to 1.

        As much as the tile's own origins from `since` on bear out whose targets are known too; `gate` where those at
        which a cell has a forecast and a value do not reach over two horizons, as none does while a forecaster is
        calibrated.
        """
        key = "share", self
        if key not in known.memo:
            known.memo[key] = self._borne_out(known)
        return float(known.memo[key])

    def gains(self, context: Context, came: Float32) -> Float64:
        """`products` (parts of the tile, 2) of what the network adds at an origin to the ridge, where ``came`` came."""
        part = part_of(*cells_at(context.located, self.settings.side), self.settings.side)
        able = _able(context)
        if not able.any():
            return np.zeros((PARTS**2, 2))
        added = self._added(context)
        errors = np.where(able[:, None], came - self.ridge.predict(context)[0], np.float32(np.nan))
        return np.array([products(added[part == p], errors[part == p]) for p in range(PARTS**2)])

    def bytes_there(self, n_points: int, memory: int) -> int:
        """Predicted bytes of a GPU of ``memory`` bytes that forecasting one tile after the other takes, of any size."""
        from insar_dask.forecast.gpu_networks import bytes_there

        return bytes_there(self._weights(), self._on_meta(), memory)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """What was learned of the network, as arrays; the ridge has a state of its own at each stage."""
        weights = {f"weights.{name}": array for name, array in self._weights().items()}
        settings = np.array(json.dumps(self.settings.to_dict(), sort_keys=True))
        believed = {"gate": np.array(self.gate), "since": np.array(self.since)}
        return {**weights, **believed, "settings": settings}

    @classmethod
    def from_state(cls, state: Mapping[str, npt.NDArray[Any]], device: Device = "cpu") -> Self:
        """Rebuild it from `state` and, under ``members.NAME.``, the state of the ridge."""
        import torch

        settings = MapSettings.from_dict(json.loads(str(state["settings"])))
        if "since" not in state:
            raise OlderModelError(
                f"this {settings.network} does not tell up to when it learned, from which on each tile's own past says "
                "how far to believe it: train it again"
            )
        if "ridge" in state:
            raise OlderModelError(
                f"this {settings.network} was scored above a ridge that no later date had taught: train it again"
            )
        network = settings.build()
        network.load_state_dict({name: torch.from_numpy(a.copy()) for name, a in under("weights.", state).items()})
        ridge = load(RIDGE, f"members.{RIDGE}.", state)
        made = cls(settings, network, ridge, float(state["gate"]), int(state["since"]))
        if device == "gpu":
            from insar_dask.forecast.gpu_networks import there

            made.there = there(under("weights.", state), str(state["settings"]), lambda: [network], made._on_meta)
        return made

    def _added(self, context: Context) -> Float32:
        """What the network adds (n, h) [mm] for the cells of one tile."""
        import torch

        from insar_dask.forecast.torch_threads import one_thread

        one_thread()
        settings, read = self.settings, self.settings.context
        raw = gridded(context.grid_values, context.located, settings.side)
        maps, origin = filled(raw), len(raw)
        years = np.concatenate([context.grid_years, context.target_years])
        held = np.asarray(np.isfinite(raw).any(axis=0))
        fitted, scale, statics = above_harmonic(MapHistory(maps, years), held, origin, read)
        waves = annual_waves((context.first_day + np.rint(years * DAYS_PER_YEAR).astype(np.int64))[origin - read :])
        values = channels((maps[-read:] - fitted) / scale, statics, waves[:read])
        arrays = {"values": values[None], "target_time": waves[None, read:]}
        if self.there is None:
            self.network.eval()
            with torch.inference_mode():  # in float32, so that workers with and without bfloat16 agree on a cube
                said = self.network({name: torch.from_numpy(array) for name, array in arrays.items()}).numpy()
        else:
            said = self.there.said(arrays, bf16=settings.training.bf16)
        row, col = cells_at(context.located, settings.side)
        return np.ascontiguousarray((said[0] * scale)[:, row, col].T)

    def _borne_out(self, known: Context) -> float:
        horizon, days = self.settings.horizon, known.first_day + np.rint(known.grid_years * DAYS_PER_YEAR)
        steps = np.flatnonzero(days[: max(len(days) - horizon + 1, 0)] >= self.since)
        steps = steps[steps >= self.settings.context].tolist()
        steps = steps[bisect(steps, False, key=lambda step: bool(_able(known.before(step, horizon)).any())) :]
        if not steps or steps[-1] - steps[0] < horizon:
            return self.gate
        told: dict[int, Float64] = {}
        for step in spread_over(steps, GATE_ORIGINS):
            gains = self.gains(known.before(step, horizon), known.grid_values[:, step : step + horizon])
            if gains.any():  # else nothing came there, and an origin that tells nothing is no witness
                told[step] = gains
        if not told or max(told) - min(told) < horizon:
            return self.gate
        return fit_gate(np.stack(list(told.values()), axis=1), [(step - min(told)) // horizon for step in told])

    def _on_meta(self) -> Run:
        """The network on a map without numbers, however many are asked for: tiles come one by one."""
        import torch

        from insar_dask.forecast.gpu_networks import on_meta

        of, network = self.settings, on_meta(self.network)
        shapes = {"values": (1, of.context, len(CHANNELS), of.side, of.side), "target_time": (1, of.horizon, 2)}
        return lambda _: network({name: torch.empty(shape, device="meta") for name, shape in shapes.items()})

    def _weights(self) -> dict[str, npt.NDArray[Any]]:
        return {name: tensor.numpy() for name, tensor in self.network.state_dict().items()}


def _able(context: Context) -> npt.NDArray[np.bool_]:
    """Cells (n,) whose history is long enough."""
    coefficients, _ = harmonic_fit(context)
    given = np.isfinite(context.grid_values).sum(axis=1)
    return np.asarray(np.isfinite(coefficients).all(axis=1) & (given >= LEAST_DATES))
