"""What the explorer draws at first: every point once, in levels from coarse to fine, as small numbers.

Values in, values out; `insar_dask.viewer.overview_jobs` reads and stores them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError

__all__ = [
    "CHUNK_POINTS",
    "MISSING",
    "VARIABLES",
    "Level",
    "Shown",
    "explore_chunk",
    "is_small",
    "levels_of",
    "packing",
    "shown_range",
]

CHUNK_POINTS = 131_072
"""Points of a chunk: a request brings 1.5 MB of a million points, and eight draw them all."""

AT_ONCE = 2_000_000
"""Points of a cube that are drawn whole; of a larger one the fine levels come where somebody looks."""

FIRST_POINTS = 16_384
"""Points of the coarsest level, at least: they are on the screen after one request an array."""

FINER = 8
"""Steps of a level to those of the next."""

MISSING = -32_768
DECIMETRE = 0.1
MOST = 32_767

Numbers = npt.NDArray[Any]


@dataclass(frozen=True)
class Shown:
    """A variable of the map: where it is stored, the step that it is rounded to, and what kind of quantity it is.

    ``kind``: ``signed`` (colours diverge from zero), ``positive``, ``class``, or ``flag``, which is no colour but a
    ring about the points that have 1.
    """

    group: str
    step: float
    kind: str
    label: str
    units: str


VARIABLES: dict[str, Shown] = {
    "velocity": Shown("products", 0.01, "signed", "Mean velocity", "mm/yr"),
    "acceleration": Shown("products", 0.01, "signed", "Acceleration", "mm/yr²"),
    "seasonality": Shown("products", 0.01, "positive", "Annual amplitude", "mm"),
    "cluster": Shown("patterns", 1, "class", "Pattern of motion", ""),
    "exceedance": Shown("outlook", 0.0001, "positive", "Chance to pass a limit", ""),
    "departure": Shown("alarms", 0.01, "signed", "Departure from the forecast", "mm"),
    "alarm": Shown("alarms", 1, "flag", "Alarm", ""),
    "coherence": Shown("raw", 0.0001, "positive", "Coherence", ""),
    "rmse": Shown("products", 0.01, "positive", "Residual (RMSE)", "mm"),
    "n_dates": Shown("products", 1, "positive", "Valid dates", ""),
    "condition": Shown("raw", 0.01, "positive", "Condition of east and up", ""),
}
"""In the order of the menu. Steps are far below the standard errors, and coarser only where values are too large."""


@dataclass(frozen=True)
class Level:
    """Rows of a cube that are multiples of ``step`` and not of ``coarser``, those of the levels before (0: none).

    >>> [Level(10, 4, 0).rows(0, 3).tolist(), Level(10, 2, 4).rows(0, 2).tolist(), Level(10, 1, 2).rows(0, 5).tolist()]
    [[0, 4, 8], [2, 6], [1, 3, 5, 7, 9]]
    """

    n_points: int
    step: int
    coarser: int

    @property
    def size(self) -> int:
        """Number of its rows."""
        before = -(-self.n_points // self.coarser) if self.coarser else 0
        return -(-self.n_points // self.step) - before

    def rows(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        """Rows ``start`` to ``stop`` of the level, as rows of the cube."""
        at = np.arange(start, min(stop, self.size))
        if self.coarser:
            at += at // (self.coarser // self.step - 1) + 1
        return at * self.step


def is_small(name: str) -> bool:
    """Whether a variable is a few whole numbers, from -1 for none."""
    return name in VARIABLES and VARIABLES[name].kind in ("class", "flag")


def levels_of(n_points: int) -> list[Level]:
    """Levels of a cube, coarse to fine; each of its points, which lie in Hilbert order, is in one of them.

    >>> [level.size for level in levels_of(1_000_000)]
    [31250, 218750, 750000]
    """
    step, coarser = 1 << max((n_points // FIRST_POINTS).bit_length() - 1, 0), 0
    found = [Level(n_points, step, coarser)]
    while step > 1:
        step, coarser = max(step // FINER, 1), step
        found.append(Level(n_points, step, coarser))
    return found


def packing(name: str, largest: float) -> float:
    """Step that a variable of the map is rounded to, so that its largest magnitude fits 16 bits.

    >>> packing("velocity", 80.0), packing("velocity", 500.0)
    (0.01, 0.02)
    """
    step = VARIABLES[name].step
    while largest / step > MOST:
        step = float(f"{step * (2.5 if f'{step:e}'.startswith('2') else 2):.3g}")
    return step


def explore_chunk(
    values: Mapping[str, Numbers], rows: Numbers, offset: Sequence[float], steps: Mapping[str, float]
) -> xr.Dataset:
    """A chunk of the overview.

    Parameters
    ----------
    values : mapping of arrays, shape (n,)
        ``easting``, ``northing`` [m] and variables of the map, of the rows.
    rows : array of int, shape (n,)
        Rows of the cube.
    offset : (float, float)
        Easting and northing that places are counted from [m].
    steps : mapping
        Variable -> step that it is rounded to.

    Returns
    -------
    xr.Dataset
        Over ``point``: ``easting`` and ``northing`` [0.1 m from the offset], ``point`` numbers the row in the cube,
        variables int16 in steps, `MISSING` where there is no value; of classes and flags int8, -1 where there is none.

    Raises
    ------
    CubeError
        When a value does not fit.
    """
    found: dict[str, Numbers] = {"row": rows.astype(np.uint32)}
    for name, origin in zip(("easting", "northing"), offset, strict=True):
        found[name] = np.rint((values[name] - origin) / DECIMETRE).astype(np.int32)
    for name, step in steps.items():
        found[name] = values[name].astype(np.int8) if is_small(name) else _packed(name, values[name], step)
    return xr.Dataset({name: ("point", array) for name, array in found.items()})


def _packed(name: str, values: Numbers, step: float) -> npt.NDArray[np.int16]:
    scaled = np.rint(np.asarray(values, np.float64) / step)
    known = np.isfinite(scaled)
    if (np.abs(scaled[known]) > MOST).any():
        raise CubeError(f"{name} is {np.abs(values[known]).max():g} and more than {MOST} steps of {step:g}")
    return np.where(known, scaled, MISSING).astype(np.int16)


def shown_range(name: str, sample: Numbers) -> tuple[float, float]:
    """Range of the colours to begin with: between the 2nd and 98th percentile, as round numbers; symmetric if signed.

    >>> shown_range("velocity", np.linspace(-9.0, 5.0, 100))
    (-8.8, 8.8)
    """
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return 0.0, 1.0
    low, high = (float(limit) for limit in np.quantile(sample, [0.02, 0.98]))
    if VARIABLES[name].kind == "signed":
        high = _rounded(max(-low, high), math.ceil) or VARIABLES[name].step
        return -high, high
    low, high = min(_rounded(low, math.floor), low), _rounded(high, math.ceil)
    return low, high if high > low else low + VARIABLES[name].step


def _rounded(value: float, way: Any) -> float:
    """To two digits, up or down."""
    if value == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    return float(f"{way(round(value / unit, 6)) * unit:.6g}")
