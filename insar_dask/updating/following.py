"""Whether a product can go on with another: the same ground, look and CRS, dates in common, and none of them older."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError

__all__ = ["FEWEST_SHARED", "boxes_meet", "check_follows", "check_newer", "look_of", "shared_days"]

Days = npt.NDArray[np.int64]

FEWEST_SHARED = 3
"""Dates in common, below which a constant, a drift and a chance likeness cannot be told apart."""

LOOK = ("component", "track", "pass")


def look_of(attrs: Any) -> tuple[str, ...]:
    """Component, and of lines of sight also track and direction: what two vintages of a product have in common."""
    names = LOOK if attrs.get("component") == "los" else LOOK[:1]
    return tuple(str(attrs.get(name)).lower().lstrip("0") for name in names)


def check_newer(older: npt.NDArray[Any], newer: npt.NDArray[Any], names: tuple[str, str]) -> None:
    """Refuse dates that end before those that are there, that share too few with them, or two on a day.

    Raises
    ------
    CubeError
        Naming both products, their dates and the cure.
    """
    (old, new), (name, other) = (_days(older), _days(newer)), names
    for days, where in ((old, name), (new, other)):
        if (twice := days[1:][np.diff(days) == 0]).size:
            raise CubeError(
                f"{where} has two acquisitions on {_day(twice[0])}: an update goes by days, so keep one of them, as in "
                "cube.isel(time=np.unique(cube.time.values.astype('datetime64[D]'), return_index=True)[1])"
            )
    if new[-1] < old[-1]:
        raise CubeError(
            f"{other} ends on {_day(new[-1])}, before {name}, which ends on {_day(old[-1])}: an older vintage does not "
            f"go on with a newer one. Make a store of {other} and update that with {name}"
        )
    if len(shared_days(older, newer)) < FEWEST_SHARED:
        raise CubeError(
            f"{name} ({_day(old[0])} to {_day(old[-1])}) and {other} ({_day(new[0])} to {_day(new[-1])}) have "
            f"{len(shared_days(older, newer))} dates in common, {FEWEST_SHARED} are needed to tell what lies between "
            "them: give a file that reaches back into the record, or ingest it as a product of its own"
        )


def check_follows(older: xr.Dataset, newer: xr.Dataset, names: tuple[str, str]) -> None:
    """Refuse a cube of another look, CRS or area than the one it shall go on with.

    Raises
    ------
    CubeError
        Naming both products, what differs, and the cure.
    """
    name, other = names
    if look_of(older.attrs) != look_of(newer.attrs):
        raise CubeError(
            f"{other} is {_told(newer.attrs)}, {name} is {_told(older.attrs)}: what looks another way measures another "
            "motion. Ingest it as a product of its own, or name the one it goes on with by --product"
        )
    if older.attrs["positive"] != newer.attrs["positive"]:
        raise CubeError(
            f"what is positive is {newer.attrs['positive']!r} in {other} and {older.attrs['positive']!r} in {name}: "
            "say it as the store has it (positive= of its reader, under [source] options)"
        )
    if not _same_crs(older, newer):
        raise CubeError(
            f"{other} is in {_crs_name(newer)}, {name} in {_crs_name(older)}: bring the newer one to the CRS of the "
            "store (crs= of its reader, under [source] options)"
        )
    if not boxes_meet(older, newer):
        raise CubeError(f"{other} lies at {_box_text(newer)}, {name} at {_box_text(older)} [m]: no ground is in both")


def shared_days(older: npt.NDArray[Any], newer: npt.NDArray[Any]) -> Days:
    """Days that are dates of both."""
    return np.intersect1d(_days(older), _days(newer))


def boxes_meet(one: xr.Dataset, other: xr.Dataset) -> bool:
    """Whether the boxes about two cubes' points have ground in common."""
    (west, south, east, north), box = _box(one), _box(other)
    return bool(west <= box[2] and box[0] <= east and south <= box[3] and box[1] <= north)


def _days(times: npt.NDArray[Any]) -> Days:
    return np.asarray(times, "datetime64[D]").astype(np.int64)


def _day(day: Any) -> str:
    return str(np.datetime64(int(day), "D"))


def _told(attrs: Any) -> str:
    return " ".join(f"{name} {attrs[name]}" for name in LOOK if attrs.get(name) is not None)


def _box(cube: xr.Dataset) -> tuple[float, float, float, float]:
    easting, northing = cube["easting"].values, cube["northing"].values
    return float(easting.min()), float(northing.min()), float(easting.max()), float(northing.max())


def _box_text(cube: xr.Dataset) -> str:
    west, south, east, north = _box(cube)
    return f"{west:.0f} to {east:.0f} east, {south:.0f} to {north:.0f} north"


def _same_crs(one: xr.Dataset, other: xr.Dataset) -> bool:
    texts = [str(cube["crs"].attrs["crs_wkt"]) for cube in (one, other)]
    if texts[0] == texts[1]:
        return True
    from pyproj import CRS

    return CRS.from_wkt(texts[0]).equals(CRS.from_wkt(texts[1]), ignore_axis_order=True)


def _crs_name(cube: xr.Dataset) -> str:
    from pyproj import CRS

    crs = CRS.from_wkt(cube["crs"].attrs["crs_wkt"])
    return ":".join(crs.to_authority() or (crs.name,))
