"""What a pair cube is: a stack of unwrapped interferograms over points, checked once, at the door.

Dims ``(point, pair)``: ``phase`` float32 in radians, missing being NaN, and ``coherence`` where it is known. Each pair
has ``first`` and ``second`` (dates, first < second) and ``bperp`` [m]. Attributes besides a cube's: ``wavelength`` [m],
and ``phase_sign``, 1 where phase grows with the range, -1 where it falls.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError, check_points
from insar_dask.days import given_day

__all__ = ["DAYS_PER_YEAR", "Timeline", "check_pairs", "complete_by", "known_pairs", "mm_per_radian", "timeline"]

DAYS_PER_YEAR = 365.25
"""Of interferometry; products of EGMS have 365."""

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


class Timeline(NamedTuple):
    """Dates of a network, and where in them its pairs begin and end."""

    dates: npt.NDArray[np.datetime64]
    """(T,) increasing."""
    first: Int64
    """(P,) place of each pair's first date."""
    second: Int64
    """(P,)."""

    @property
    def days(self) -> Float64:
        """Days from the first date, (T,)."""
        return np.asarray((self.dates - self.dates[0]) / np.timedelta64(1, "D"), np.float64)

    @property
    def years(self) -> Float64:
        """Years of 365.25 days from the first date, (T,)."""
        return self.days / DAYS_PER_YEAR

    def name(self, pair: int) -> str:
        """A pair as messages name it, such as ``2020-01-03/2020-01-15``."""
        return f"{_day(self.dates[self.first[pair]])}/{_day(self.dates[self.second[pair]])}"


def check_pairs(pairs: xr.Dataset) -> xr.Dataset:
    """Return ``pairs`` unchanged if it is a pair cube, else raise.

    Raises
    ------
    CubeError
        Naming the fault and its cure. Nothing over ``point`` is computed.
    """
    check_points(pairs)
    if "phase" not in pairs:
        raise CubeError(
            f"the data set has no variable 'phase', it has {sorted(map(str, pairs.data_vars))}: read interferograms "
            "with insar_dask.read_pairs or insar_dask.read_ifgram_stack"
        )
    for name in {"phase", "coherence"} & set(pairs.data_vars):
        if pairs[name].dims != ("point", "pair") or pairs[name].dtype != np.float32:
            raise CubeError(f"{name!r} is {pairs[name].dtype} over {pairs[name].dims}, wanted float32 (point, pair)")
    for name in ("first", "second"):
        if name not in pairs.variables or pairs[name].dims != ("pair",) or pairs[name].dtype.kind != "M":
            raise CubeError(f"the pair cube needs dates {name!r} over ('pair',)")
    if pairs.sizes["pair"] == 0:
        raise CubeError("the pair cube has no pairs")
    _check_dates(pairs["first"].values, pairs["second"].values)
    if not float(pairs.attrs.get("wavelength", 0)) > 0:
        raise CubeError("the pair cube does not say its wavelength: set attrs['wavelength'] in metres, such as 0.05547")
    if pairs.attrs.get("phase_sign") not in (1, -1):
        raise CubeError(
            f"attrs['phase_sign'] is {pairs.attrs.get('phase_sign')!r}: set 1 where phase grows with the distance to "
            "the satellite, -1 where it falls"
        )
    return pairs


def timeline(pairs: xr.Dataset) -> Timeline:
    """Dates that any pair of a pair cube has, and the places of the pairs in them."""
    ends = np.stack([pairs["first"].values, pairs["second"].values]).astype("datetime64[ns]")
    dates, places = np.unique(ends, return_inverse=True)
    first, second = places.reshape(ends.shape).astype(np.int64)
    return Timeline(dates, first, second)


def known_pairs(pairs: xr.Dataset, as_of: str | np.datetime64 | None) -> xr.Dataset:
    """Pairs whose second date is not after ``as_of``; all where that is None; raises CubeError where none is left."""
    kept = complete_by(pairs, as_of)
    if not kept.any():
        raise CubeError(f"no pair ends by {as_of}, the first does on {_day(pairs['second'].values.min())}: ask later")
    return pairs if kept.all() else pairs.isel(pair=np.flatnonzero(kept))


def complete_by(pairs: xr.Dataset, as_of: Any) -> npt.NDArray[np.bool_]:
    """Whether the second date of each pair is not after the day ``as_of``; all where that is None."""
    if as_of is None:
        return np.ones(pairs.sizes["pair"], bool)
    return np.asarray(pairs["second"].values.astype("datetime64[D]") <= given_day(as_of, "as_of"))


def mm_per_radian(pairs: xr.Dataset) -> float:
    """Displacement towards the satellite that changes phase by a radian: -+ 1000 wavelength / 4 pi [mm]."""
    return float(-pairs.attrs["phase_sign"] * 1000 * float(pairs.attrs["wavelength"]) / (4 * np.pi))


def _check_dates(first: npt.NDArray[np.datetime64], second: npt.NDArray[np.datetime64]) -> None:
    turned = np.flatnonzero(~(first < second))
    if turned.size:
        at = int(turned[0])
        raise CubeError(
            f"pair {at} goes from {_day(first[at])} to {_day(second[at])}: swap its dates and negate its phase"
        )
    order = np.lexsort((second, first))
    same = np.flatnonzero((np.diff(first[order]) == np.timedelta64(0)) & (np.diff(second[order]) == np.timedelta64(0)))
    if same.size:
        one, other = sorted(order[same[0] : same[0] + 2].tolist())
        raise CubeError(f"pairs {one} and {other} are both {_day(first[one])}/{_day(second[one])}: remove one of them")


def _day(date: np.datetime64) -> str:
    return str(date.astype("datetime64[D]"))
