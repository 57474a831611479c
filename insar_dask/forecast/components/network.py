"""The published system as a forecaster: a network for each component and pattern, the three added up.

Wang et al. (2024), doi:10.3390/rs16111891, without its leaks. Torch is imported when a network is first used.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from insar_dask.cube import DAYS_PER_YEAR
from insar_dask.forecast.components.history import PARTS, period_of, take_apart
from insar_dask.forecast.components.patterns import Patterns
from insar_dask.forecast.components.settings import NETWORK, Settings
from insar_dask.forecast.correction.origin_windows import PIECE
from insar_dask.forecast.groups import ABSENT, Groups, cut_groups
from insar_dask.forecast.naive import Unpooled
from insar_dask.forecast.registry import Device, under
from insar_dask.forecast.series.framing import Framing
from insar_dask.forecast.series.point_source import ArrayPoints, Points, joined
from insar_dask.forecast.timetable import TooShortError
from insar_dask.forecast.windows import Context

if TYPE_CHECKING:
    import torch

    from insar_dask.forecast.gpu_networks import Run, There
    from insar_dask.forecast.series.prediction_blocks import PredictionBlock

__all__ = ["ComponentNetworks", "Learned"]

Float32 = npt.NDArray[np.float32]
Index = npt.NDArray[np.int64]
Arrays = Mapping[str, npt.NDArray[Any]]

Chosen = tuple[Float32, Index, Points]
"""Sums of a piece, its rows of one pattern, and what is known of these points."""

BATCH = 32
"""Groups that a network sees at a time; the last of a piece and pattern may be fewer, always as many."""


@dataclass(frozen=True, eq=False)
class Learned:
    """One network as it was trained."""

    framing: Framing
    weights: Arrays
    account: Mapping[str, Any]
    """What it saw, and how its loss went."""


class ComponentNetworks(Unpooled):
    """Trained networks, one for each component and pattern, and what series are taken apart by.

    Everything ends on one day: parameters of Holt-Winters are fitted to a point's dates before it, at whatever later
    origin the point is forecast, and patterns and weights were learned before it.

    Parameters
    ----------
    settings : Settings
    patterns : Patterns
    until : int
        That day, from 1970-01-01.
    learned : sequence of Learned
        By component, then by pattern.

    Attributes
    ----------
    there : There or None
        The networks on a GPU, which forecast there; series are taken apart here all the same.
    """

    name = "spacetimeformer_components"

    def __init__(self, settings: Settings, patterns: Patterns, until: int, learned: Sequence[Learned]) -> None:
        self.settings, self.patterns, self.until, self.learned = settings, patterns, until, list(learned)
        self._network: torch.nn.Module | None = None
        self.there: There | None = None

    def predict(self, context: Context) -> tuple[Float32, None]:
        """Mean (n, h) [mm]; NaN where a point cannot be taken apart or has no value in the last dates.

        Points are seen in pieces of `PIECE`, so that the bits of a forecast depend on its piece alone.

        Raises
        ------
        TooShortError
            When the record has less than two years before the day that everything ends on, or no whole context.
        """
        from insar_dask.forecast.torch_threads import one_thread

        one_thread()
        days = _days(context, context.grid_years)
        fitted = self._fitted(days)
        pieces = [context.part(at, at + PIECE) for at in range(0, len(context.values), PIECE)]
        seen = [self._seen(piece, fitted) for piece in pieces]
        sums = [np.empty((0, len(context.target_years)), np.float32)]
        for labels, _ in seen:
            start = np.where(labels < 0, np.float32(np.nan), np.float32(0))
            sums.append(np.repeat(start[:, None], len(context.target_years), axis=1))
        recent = days[-self.settings.shape.context :]
        for (part, pattern), framing, network in self._networks():
            chosen = []
            for piece, (labels, series), total in zip(pieces, seen, sums[1:], strict=True):
                rows = np.flatnonzero(labels == pattern)
                if rows.size:
                    chosen.append((total, rows, Points(series[part, rows], piece.located[rows], labels[rows])))
            for (total, rows, _), said in zip(chosen, self._said(network, framing, chosen, recent), strict=True):
                total[rows] += said
        return np.concatenate(sums), None

    def bytes_there(self, n_points: int, memory: int) -> int:
        """Predicted bytes of a GPU of ``memory`` bytes that forecasting blocks of so many points takes."""
        from insar_dask.forecast.gpu_networks import bytes_there
        from insar_dask.forecast.series.gathering import stock_bytes

        weights = {f"{name} {at}": array for at, one in enumerate(self.learned) for name, array in one.weights.items()}
        framing = self.learned[0].framing
        beside = stock_bytes(n_points, framing.context) + 4 * n_points * (framing.length + 2 * framing.horizon)
        return bytes_there(weights, self._on_meta(), memory, beside)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """What was learned, as arrays: of each tensor those of all networks in one."""
        told: dict[str, Any] = {
            "settings": self.settings.to_dict(),
            "until": self.until,
            "framings": [one.framing.to_dict() for one in self.learned],
            "accounts": [dict(one.account) for one in self.learned],
        }
        weights = {
            f"weights.{name}": np.stack([one.weights[name] for one in self.learned]) for name in self.learned[0].weights
        }
        rest: dict[str, npt.NDArray[Any]] = {
            "patterns.days": self.patterns.days,
            "patterns.curves": self.patterns.curves,
        }
        return {**weights, **rest, "settings": np.array(json.dumps(told, sort_keys=True))}

    @classmethod
    def from_state(cls, state: Arrays, device: Device = "cpu") -> Self:
        """Rebuild it from `state`.

        Raises
        ------
        ValueError
            When weights have another shape than the settings ask for.
        """
        told = json.loads(str(state["settings"]))
        patterns = Patterns(state["patterns.days"], state["patterns.curves"])
        settings, weights = Settings.from_dict(told["settings"]), under("weights.", state)
        framings = [Framing.from_dict(framing) for framing in told["framings"]]
        _check_shapes(weights, framings, settings, len(patterns))
        learned = [
            Learned(framing, {name: array[at] for name, array in weights.items()}, account)
            for at, (framing, account) in enumerate(zip(framings, told["accounts"], strict=True))
        ]
        made = cls(settings, patterns, told["until"], learned)
        if device == "gpu":
            from insar_dask.forecast.gpu_networks import there

            made.there = there(weights, str(state["settings"]), made._copies, made._on_meta)
        return made

    def _said(
        self, network: torch.nn.Module, framing: Framing, chosen: Sequence[Chosen], days: Index
    ) -> Iterator[Float32]:
        """Forecasts (n, h) [mm] of a component of the points of each piece, which on a GPU are made together."""
        if self.there is None:
            yield from (_block(framing, [points], days).forecast(network)[0] for *_, points in chosen)
        elif chosen:
            block = _block(framing, [points for *_, points in chosen], days)
            said = block.forecast_there(network, self.there.device, at_once=self.there.at_once)[0]
            yield from np.split(said, np.cumsum([len(rows) for _, rows, _ in chosen])[:-1])

    def _fitted(self, days: Index) -> int:
        """Dates of a grid that series are taken apart by."""
        every = int(days[1] - days[0])
        n_fit, period = int(np.searchsorted(days, self.until)), period_of(every)
        if n_fit < 2 * period:
            raise TooShortError(
                f"the record has {n_fit} dates of {every} days before {np.datetime64(self.until, 'D')}, up to which "
                f"series are taken apart; {2 * period} are needed: forecast a record that begins earlier, or fit anew"
            )
        return n_fit

    def _seen(self, piece: Context, fitted: int) -> tuple[npt.NDArray[np.int16], Float32]:
        """Patterns (n,) of some points, and components (3, n, k) of their last dates."""
        labels = self.patterns.label(piece.values, _days(piece, piece.years))
        every = round(piece.step * DAYS_PER_YEAR)
        series = take_apart(piece.grid_values, fitted, every)[..., -self.settings.shape.context :]
        return labels, np.ascontiguousarray(series)

    def _networks(self) -> Iterator[tuple[tuple[int, int], Framing, torch.nn.Module]]:
        """One after the other: those on a GPU, or one module, in which no more of them is copied than one."""
        import torch

        networks = self.there.networks if self.there is not None else [self._module()] * len(self.learned)
        for at, (one, network) in enumerate(zip(self.learned, networks, strict=True)):
            if self.there is None:
                network.load_state_dict({name: torch.from_numpy(np.array(a)) for name, a in one.weights.items()})
            yield divmod(at, len(self.patterns)), one.framing, network

    def _copies(self) -> Iterator[torch.nn.Module]:
        """The same, each to be copied before the next one."""
        for _, _, network in self._networks():
            yield network

    def _module(self) -> torch.nn.Module:
        from insar_dask.forecast.series.jobs import seeded

        if self._network is None:
            self._network = seeded(NETWORK, self.learned[0].framing, self.settings.sizes, 0).eval()
        return self._network

    def _on_meta(self) -> Run:
        """One of them on so many groups without numbers."""
        import torch

        from insar_dask.forecast.gpu_networks import on_meta

        framing, network = self.learned[0].framing, on_meta(self._module())
        days = framing.first_day + framing.step * np.arange(framing.context)

        def run(groups: int) -> object:
            series = np.zeros((groups * framing.length, framing.context), np.float32)
            points = Points(series, np.zeros((len(series), 2)), np.zeros(len(series), np.int16))
            return _block(framing, [points], days).said_there(network, torch.device("meta"), groups)

        return run


def _block(framing: Framing, pieces: Sequence[Points], days: Index) -> PredictionBlock:
    """The points of some pieces at the end of their record, cut into groups as if each piece were alone.

    Raises
    ------
    CubeError, TooShortError
        When the dates are not those of the training's step, or make no whole context.
    """
    from insar_dask.forecast.series.prediction_blocks import PredictionBlock

    cuts = [cut_groups(piece.places, framing.length, framing.reach, piece.patterns).members for piece in pieces]
    starts = np.cumsum([0, *(len(piece.values) for piece in pieces)])
    members = [np.where(cut == ABSENT, ABSENT, cut + start) for cut, start in zip(cuts, starts[:-1], strict=True)]
    points, origins = joined(pieces), np.array([len(days)])
    framing.check(ArrayPoints(points, days, np.ones(len(days), bool)), origins)
    groups, scale = Groups(np.concatenate(members), int(starts[-1])), framing.scale_of(points.values, days)
    return PredictionBlock(framing, points, days, scale, groups, origins, 0, BATCH)


def _check_shapes(weights: Arrays, framings: Sequence[Framing], settings: Settings, patterns: int) -> None:
    if len(framings) != len(PARTS) * patterns:
        raise ValueError(f"there are {len(framings)} networks, wanted {len(PARTS)} for each of {patterns} patterns")
    wanted = _shapes(json.dumps(framings[0].to_dict()), json.dumps(dict(settings.sizes)))
    for name in sorted(wanted.keys() | weights.keys()):
        want = (len(framings), *wanted[name]) if name in wanted else "none"
        have = weights[name].shape if name in weights else "none"
        if want != have:
            raise ValueError(f"weights {name} have shape {have}, the settings ask for {want}")


@lru_cache(maxsize=4)
def _shapes(framing: str, sizes: str) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors of a network, which takes 60 ms to build and is asked for in every block."""
    import torch

    from insar_dask.forecast.series.jobs import seeded

    with torch.device("meta"):
        network = seeded(NETWORK, Framing.from_dict(json.loads(framing)), json.loads(sizes), 0)
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def _days(context: Context, years: npt.NDArray[np.float64]) -> Index:
    """Days from 1970-01-01."""
    return context.first_day + np.round(years * DAYS_PER_YEAR).astype(np.int64)
