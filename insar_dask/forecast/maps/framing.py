"""Windows of one tile scaled for a network, and how its answers come back as millimetres."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from insar_dask.cube import DAYS_PER_YEAR
from insar_dask.forecast.maps.map_history import LEAST_DATES, MapHistory
from insar_dask.forecast.maps.map_material import Material
from insar_dask.forecast.maps.naive_maps import fitted_to_maps
from insar_dask.forecast.naive import harmonic_needs
from insar_dask.forecast.series.calendar_features import calendar_features

__all__ = [
    "CHANNELS",
    "Frame",
    "Frames",
    "HarmonicFrames",
    "PublishedFrames",
    "above_harmonic",
    "annual_waves",
    "channels",
    "frames_of",
]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

CHANNELS = ("displacement", "velocity", "acceleration", "seasonality", "sine", "cosine")

WAVES = slice(1, 3)
"""Annual sine and cosine among the calendar's features."""

FARTHEST = 8.0
"""Deviations that a static value may lie from its mean: what a fit of two years makes of a cell that hardly moves, and
of one that fell in, are 50 apart."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One window: k maps in, h out."""

    values: Float32
    """(k, 6, Y, X) `CHANNELS`, scaled; a missing map is 0."""
    target_time: Float32
    """(h, 2) sine and cosine of the year at the dates asked for."""
    targets: Float32
    """(h, Y, X) scaled, 0 where nothing is scored."""
    scored: npt.NDArray[np.bool_]
    """(h, Y, X)"""
    shift: Float32
    """(h, Y, X) [mm] what an answer of 0 means."""
    scale: Float32
    """(Y, X), or (1, 1) where all cells share it: [mm] of one unit of what is read and said."""

    def millimetres(self, said: Float32) -> Float32:
        """A network's answer (h, Y, X) [mm]."""
        return said * self.scale + self.shift


class Frames(ABC):
    """Windows of the tiles of a material."""

    def __init__(self, material: Material) -> None:
        self.material = material

    def frame(self, tile: int, origin: int) -> Frame:
        """The window of a tile at an origin; of all but its targets, nothing is dated on the origin or later."""
        material = self.material
        window = slice(origin - material.context, origin + material.horizon)
        offset, scale, statics = self.placed(tile, origin)
        known, asked = np.split(np.broadcast_to(offset, (len(offset), *material.read.shape[2:])), [material.context])
        read = (material.read[tile, window][: material.context] - known) / scale
        waves = annual_waves(material.days[window])
        targets = (material.targets(tile, origin) - asked) / scale
        scored = np.isfinite(targets)
        return Frame(
            values=channels(read, statics, waves[: material.context]),
            target_time=waves[material.context :],
            targets=np.where(scored, targets, np.float32(0)),
            scored=scored,
            shift=asked,
            scale=scale,
        )

    @abstractmethod
    def placed(self, tile: int, origin: int) -> tuple[Float32, Float32, Float32]:
        """What is taken off the maps of a window (k + h, Y or 1, X or 1), what divides them, and scaled statics."""


class PublishedFrames(Frames):
    """Displacement and the provider's columns as z-scores of each tile's whole record, which tells where it ends."""

    def __init__(self, material: Material) -> None:
        super().__init__(material)
        self._known: dict[int, tuple[tuple[np.float32, np.float32], Float32]] = {}

    def placed(self, tile: int, origin: int) -> tuple[Float32, Float32, Float32]:
        """The same at every origin."""
        (mean, scale), columns = self._scores(tile)
        length = self.material.context + self.material.horizon
        return np.full((length, 1, 1), mean, np.float32), np.full((1, 1), scale), columns

    def _scores(self, tile: int) -> tuple[tuple[np.float32, np.float32], Float32]:
        if tile not in self._known:
            material = self.material
            if material.statics is None:
                raise ValueError("these tiles have no columns of the provider: frame them as the honest protocol does")
            held, columns = material.mask[tile], material.statics[tile]
            scores = [_moments(column[held.any(axis=0)]) for column in columns]
            scaled = np.stack([(column - mean) / scale for column, (mean, scale) in zip(columns, scores, strict=True)])
            self._known[tile] = _moments(material.read[tile][held]), np.nan_to_num(scaled)
        return self._known[tile]


class HarmonicFrames(Frames):
    """What is left above each cell's own line and annual signal, and of the targets above harmonic and ridge.

    The signal is fitted before the origin; the ridge, one for all cells, says how what it left of the last maps goes
    on, and is learned before the first validation origin. All is divided by what the signal leaves of the cells that
    had held a point by then. At later dates of a synthetic tile the signal alone errs by 1.53 mm, with the ridge by
    0.86: a network need not learn anew from 54 windows that the last maps go on.

    Parameters
    ----------
    material : Material
    tiles : sequence of int
        Numbers of the tiles that the ridge is learned on.
    """

    def __init__(self, material: Material, tiles: Sequence[int]) -> None:
        super().__init__(material)
        self.ridge = fitted_to_maps(material, tiles, "harmonic_ridge").state()["weights"]

    def placed(self, tile: int, origin: int) -> tuple[Float32, Float32, Float32]:
        """Those of the fit before the origin; NaN is what nobody is to say: see `harmonic_needs`, `LEAST_DATES`."""
        material, history = self.material, self.material.history(tile)
        given = np.flatnonzero(history.given[:origin])
        if len(given) < LEAST_DATES:
            return _unsaid(material)
        held = np.asarray(material.mask[tile, :origin].any(axis=0))
        behind, scale, statics = above_harmonic(history, held, origin, material.context)
        ahead = _carried_on(history, origin, self.ridge)
        dates, span = harmonic_needs(material.plan.every / DAYS_PER_YEAR)
        if len(given) < dates or np.ptp(given) + 1 < span:
            ahead[:] = np.nan
        return np.concatenate([behind, ahead]), scale, statics


def above_harmonic(
    history: MapHistory, held: npt.NDArray[np.bool_], origin: int, context: int
) -> tuple[Float32, Float32, Float32]:
    """Signal and scale that the maps read are taken above and divided by, and the static channels: of the past alone.

    Parameters
    ----------
    history : MapHistory
    held : (Y, X) array of bool
        Cells that had held a point before the origin.
    origin, context : int

    Returns
    -------
    fitted : (context, Y, X) array
        Each cell's line and annual signal before the origin [mm].
    scale : (Y, X) array
        Root mean square of what the signal leaves of a cell's past, and at least that of the median cell [mm]. One
        scale for a whole tile would be that of the cells that an earthquake broke, four times the median: a network
        that learned where none was would say four times too much everywhere else.
    statics : (3, Y, X) array
        Velocity, acceleration and seasonality in deviations from their means.
    """
    statics, spread = history.statics(origin), history.spread(origin)
    scores = np.array([_moments(column[held]) for column in statics], np.float32)[..., None, None]
    scaled = ((statics - scores[:, 0]) / scores[:, 1]).clip(-FARTHEST, FARTHEST)
    scale = np.maximum(spread, np.median(spread[held]) if held.any() else 0.0)
    behind = history.harmonic(origin, slice(origin - context, origin))
    divisor = np.where(scale > 0, scale, 1.0).astype(np.float32)
    return behind, divisor, np.asarray(scaled, np.float32)


def _unsaid(material: Material) -> tuple[Float32, Float32, Float32]:
    """A window before which too few maps lie for any fit: nothing of it is said or scored."""
    cells = material.read.shape[2:]
    offset = np.zeros((material.context + material.horizon, *cells), np.float32)
    offset[material.context :] = np.nan
    return offset, np.ones(cells, np.float32), np.zeros((3, *cells), np.float32)


def _carried_on(history: MapHistory, origin: int, ridge: Float64) -> Float32:
    """Maps to come (h, Y, X) by line, annual signal and ridge (c, h): weights of the last c maps above both."""
    weights = ridge[max(len(ridge) - origin, 0) :]
    signal = history.harmonic(origin, slice(origin - len(weights), origin + ridge.shape[1]))
    left = np.nan_to_num(history.maps[origin - len(weights) : origin] - signal[: len(weights)])
    return np.asarray(signal[len(weights) :] + np.tensordot(weights.T.astype(np.float32), left, axes=1))


def channels(read: Float32, statics: Float32, waves: Float32) -> Float32:
    """`CHANNELS` (k, 6, Y, X) of scaled maps (k, Y, X), static channels (3, Y, X) and the time of year (k, 2)."""
    fixed = np.broadcast_to(statics, (len(read), *statics.shape))
    times = np.broadcast_to(waves[:, :, None, None], (len(read), 2, *read.shape[1:]))
    return np.concatenate([np.nan_to_num(read)[:, None], fixed, times], axis=1, dtype=np.float32)


def annual_waves(days: npt.NDArray[np.int64]) -> Float32:
    """Sine and cosine (n, 2) of the day of the year."""
    return calendar_features(days, "waves")[:, WAVES]


def frames_of(material: Material, tiles: Sequence[int]) -> Frames:
    """Windows as the material's protocol has them; ``tiles`` are those that are learned from."""
    return PublishedFrames(material) if material.protocol == "paper" else HarmonicFrames(material, tiles)


def _moments(values: Float32) -> tuple[np.float32, np.float32]:
    """Mean and deviation of what is given; a deviation of 0 becomes 1."""
    given = values[np.isfinite(values)].astype(np.float64)
    if not given.size:
        return np.float32(0), np.float32(1)
    return np.float32(given.mean()), np.float32(given.std() or 1.0)
