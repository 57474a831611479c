"""A plateau with thaw slumps on a grid, with known outlines: what detection is judged by."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.ndimage import gaussian_filter

from insar_dask.cube import describe

__all__ = ["SIDE", "slump_scene", "slump_vintages"]

Float64 = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int32]

SIDE, CELL = 400, 40.0
N_SLUMPS, N_BEFORE, N_DECOYS = 72, 53, 6
ORIGIN = (4_500_000.0, 1_700_000.0)
"""South-west corner [m], EPSG:3035."""

RATES = ((0.65, 10.0, 20.0), (0.24, 20.0, 35.0), (0.11, 4.0, 10.0))
"""Share of the slumps, and between which mean rates of settling [mm/yr] they are: as the published inventory has them
(doi:10.3390/rs16111891)."""

TAPER = 0.3
"""Share of the radius over which the rate falls off, on either side of the outline."""

BACKGROUND, SEASON_NOISE = 3.0, 1.8
"""Amplitude of the season of still ground, and the error of its cosine and sine [mm]."""

SUMMER = 250.0
"""Day of the year at which frozen ground has risen least, and so the season of a slump is at its lowest."""


def slump_scene(seed: int = 0, *, season: bool = True) -> xr.Dataset:
    """Maps of motion of 400 x 400 cells of 40 m with 72 thaw slumps and six places that look like some.

    Slumps are ellipses (semi-axes of 3 to 9 cells) that do not touch, settle by 4 to 35 mm/yr on average, and have a
    season of 8 to 18 mm above the others' 3, which ends at the outline; the rate tapers over the outer 30 % of the
    radius and 30 % beyond.
    The decoys are two flood plains (25 mm of season in spring, -2 mm/yr), two places that rise by 14 mm/yr, two that
    settle by 18 mm/yr without a season. Velocities have an error of 1.2 mm/yr that is correlated over some 400 m and a
    white one, log-normal about 2 mm/yr; a quarter of the cells is lost in patches.

    Parameters
    ----------
    seed : int
    season : bool
        False takes the slumps' own season away: then only their velocity tells them.

    Returns
    -------
    xr.Dataset
        Over (y, x), rows from north to south: ``velocity``, ``velocity_std`` (of the white error) [mm yr-1],
        ``seasonality`` [mm], ``phase`` [day of the year], ``coherence``, ``n_points`` (0 or 1), and the truth:
        ``true_area`` (0, or the number of the slump), ``true_velocity`` [mm yr-1].
    """
    chance = np.random.default_rng([seed, 72])
    ellipses = _placed(chance, N_SLUMPS + N_DECOYS)
    areas, rate = np.zeros((SIDE, SIDE), np.int32), np.zeros((SIDE, SIDE))
    cosine, sine = _season(BACKGROUND, SUMMER + 182)
    wave = np.stack([np.full((SIDE, SIDE), cosine), np.full((SIDE, SIDE), sine)])
    for number, ellipse in enumerate(ellipses[:N_SLUMPS], 1):
        where, radius = ellipse.radius()
        shape, inside = _shape(radius), radius <= 1
        areas[where][inside] = number
        mean = _rate(number - 1, chance)
        rate[where] -= mean * shape / shape[inside].mean()
        extra = chance.uniform(8, 18)
        if season:
            wave[:, *where] += np.multiply.outer(_season(extra, SUMMER + 182 + chance.normal(0, 10)), inside)
    for number, ellipse in enumerate(ellipses[N_SLUMPS:]):
        where, radius = ellipse.radius()
        shape = _shape(radius)
        rate[where] += shape * (-2.0, 14.0, -18.0)[number % 3]
        if number % 3 == 0:
            wave[:, *where] += np.multiply.outer(_season(25 - BACKGROUND, 130), shape)
    return _observed(areas, rate, wave, chance, seed)


def slump_vintages(seed: int = 0) -> tuple[Labels, Labels]:
    """Outlines of 53 slumps, and of 72 some years later: labels (400, 400), 0 being none.

    The later areas are 5 to 60 % larger and shifted by up to 12 % of the axis; the edges of both are ragged. Slump
    ``k`` of the first is slump ``k`` of the second, and those from 54 on are new.
    """
    chance = np.random.default_rng([seed, 53])
    later, before = np.zeros((SIDE, SIDE), np.int32), np.zeros((SIDE, SIDE), np.int32)
    for number, ellipse in enumerate(_placed(chance, N_SLUMPS), 1):
        _draw(later, ellipse, number, chance)
        if number <= N_BEFORE:
            grown, shift = np.sqrt(chance.uniform(1.05, 1.60)), chance.uniform(-0.12, 0.12, 2) * ellipse.major
            old = _Ellipse(ellipse.centre + shift, ellipse.major / grown, ellipse.minor / grown, ellipse.turn)
            _draw(before, old, number, chance)
    return before, later


class _Ellipse:
    def __init__(self, centre: Float64, major: float, minor: float, turn: float) -> None:
        self.centre, self.major, self.minor, self.turn = centre, major, minor, turn

    def radius(self) -> tuple[tuple[slice, slice], Float64]:
        """Of every cell of a window about it, in units of the outline's."""
        reach = 1.5 * self.major
        low, high = (np.clip(self.centre + sign * reach, 0, SIDE - 1).astype(int) for sign in (-1, 1))
        where = slice(low[1], high[1] + 1), slice(low[0], high[0] + 1)
        y, x = np.mgrid[where] + 0.5
        dx, dy = x - self.centre[0], y - self.centre[1]
        along = dx * np.cos(self.turn) + dy * np.sin(self.turn)
        across = dy * np.cos(self.turn) - dx * np.sin(self.turn)
        return where, np.asarray(np.hypot(along / self.major, across / self.minor))


def _placed(chance: np.random.Generator, n: int) -> list[_Ellipse]:
    """Ellipses whose tapers do not touch."""
    placed: list[_Ellipse] = []
    while len(placed) < n:
        major = chance.uniform(3, 9)
        centre, minor = chance.uniform(14, SIDE - 14, 2), major * chance.uniform(0.5, 0.9)
        one = _Ellipse(centre, major, minor, chance.uniform(0, np.pi))
        reach = (1 + TAPER) * one.major + 2
        if all(np.hypot(*(one.centre - o.centre)) > reach + (1 + TAPER) * o.major for o in placed):
            placed.append(one)
    return placed


def _shape(radius: Float64) -> Float64:
    return np.asarray(np.clip((1 + TAPER - radius) / (2 * TAPER), 0, 1))


def _draw(labels: Labels, ellipse: _Ellipse, number: int, chance: np.random.Generator) -> None:
    """An area with a ragged edge."""
    where, radius = ellipse.radius()
    labels[where][radius <= 1 + 0.5 * gaussian_filter(chance.normal(0, 1, radius.shape), 1.0)] = number


def _rate(number: int, chance: np.random.Generator) -> float:
    share = (number + 0.5) / N_SLUMPS
    for part, low, high in RATES:
        if share < part:
            return float(chance.uniform(low, high))
        share -= part
    return RATES[-1][1]


def _season(amplitude: float, peak: float) -> Float64:
    angle = 2 * np.pi * peak / 365
    return amplitude * np.array([np.cos(angle), np.sin(angle)])


def _observed(areas: Labels, rate: Float64, wave: Float64, chance: np.random.Generator, seed: int) -> xr.Dataset:
    from pyproj import CRS

    white = 2.0 * np.exp(chance.normal(0, 0.3, rate.shape))
    velocity = rate + 1.2 * _correlated(chance, 5.0) + white * chance.normal(0, 1, rate.shape)
    wave = wave + SEASON_NOISE * chance.normal(0, 1, wave.shape)
    field = _correlated(chance, 4.0)
    lost = field < np.quantile(field, 0.25)
    coherence = np.where(lost, 0.2, np.clip(0.55 + 0.12 * field, 0.30, 0.98))
    phase = np.degrees(np.arctan2(wave[1], wave[0])) / 360 * 365 % 365 + 1
    values = {
        "velocity": np.where(lost, np.nan, velocity),
        "velocity_std": np.where(lost, np.nan, white),
        "seasonality": np.where(lost, np.nan, np.hypot(*wave)),
        "phase": np.where(lost, np.nan, phase),
        "coherence": coherence,
        "true_velocity": rate,
    }
    variables: dict[str, Any] = {
        name: (("y", "x"), array.astype(np.float32), describe(name.removeprefix("true_")))
        for name, array in values.items()
    }
    variables["n_points"] = (("y", "x"), (~lost).astype(np.int32), {"long_name": "number of points", "units": "1"})
    variables["true_area"] = (("y", "x"), areas, {"long_name": "number of the slump, 0 for none", "units": "1"})
    coords = {
        "y": ("y", ORIGIN[1] + (SIDE - 0.5 - np.arange(SIDE)) * CELL),
        "x": ("x", ORIGIN[0] + (0.5 + np.arange(SIDE)) * CELL),
        "crs": ((), np.int32(0), {"crs_wkt": CRS(3035).to_wkt()}),
    }
    attrs = {"component": "up", "positive": "up", "cell": CELL, "source": f"slump_scene(seed={seed})"}
    return xr.Dataset(variables, coords, attrs)


def _correlated(chance: np.random.Generator, length: float) -> Float64:
    """Noise of unit variance, smooth over so many cells."""
    field = gaussian_filter(chance.normal(0, 1, (SIDE, SIDE)), length, mode="wrap")
    return np.asarray(field / field.std())
