"""What a source of displacement means, where its format does not say: units, component, sign, reference, orbit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.cube import COMPONENTS, CubeError
from insar_dask.days import read_day

__all__ = ["DECLARED", "describe_source", "millimetres", "sorted_days"]

MILLIMETRES = {
    f"{prefix}{unit}{ending}": 1000.0 * share
    for prefix, share in (("", 1.0), ("centi", 0.01), ("milli", 0.001))
    for unit in ("meter", "metre")
    for ending in ("", "s")
} | {"m": 1000.0, "cm": 10.0, "mm": 1.0}
PER_YEAR = re.compile(r"(\s*/\s*(year|yr|a)|\s+(year|yr|a)-1)$")

DECLARED = ("component", "positive", "reference_date", "reference", "release", "track", "orbit_direction")
"""What a caller may declare; also the names of the tags that are read."""

TOWARDS, AWAY = "towards the satellite", "away from the satellite"
SIGNS = {"los": (TOWARDS, AWAY), "up": ("up", "down"), "east": ("east", "west")}
"""Of each component: what is positive in a cube, and what is turned."""
CURES = {
    "component": f"component= one of {COMPONENTS}",
    "positive": f"positive={TOWARDS!r} or {AWAY!r}",
    "reference_date": "reference_date='YYYY-MM-DD', the date at which displacement is zero",
    "reference": "reference='what the zero is', such as a place or GNSS",
    "track": "track='022'",
    "orbit_direction": "orbit_direction='ascending' or 'descending'",
}
OF_LOOKS = ("track", "orbit_direction")


def millimetres(unit: str | None, name: str, given: str | None = None) -> float:
    """Millimetres in a unit of length, or mm/yr in one of velocity: the file's own, else the one that is ``given``.

    Raises
    ------
    CubeError
        When there is no unit, or it is none of length: phase must become range first.

    >>> millimetres("m", "a.tif"), millimetres("cm/year", "v.tif")
    (1000.0, 10.0)
    """
    said = [one for one in (unit, given) if one is not None]
    if not said:
        raise CubeError(f"{name} does not say its unit: pass units='m', 'cm' or 'mm'")
    factor = next(filter(None, (MILLIMETRES.get(PER_YEAR.sub("", one.strip().lower())) for one in said)), None)
    if factor is None:
        raise CubeError(f"{name} is in {said[0]!r}, wanted m, cm or mm: convert it first, or pass the true units=")
    return factor


def sorted_days(
    days: npt.NDArray[np.datetime64], names: list[str], source: str
) -> tuple[npt.NDArray[np.datetime64], npt.NDArray[np.intp]]:
    """Days in order, datetime64[ns], and the place of each.

    Raises
    ------
    CubeError
        Naming one that is no date, or two that are the same day.
    """
    if (none := np.isnat(days)).any():
        raise CubeError(f"{source}: {names[int(np.argmax(none))]} is no date: mend it, or leave it out")
    order = np.argsort(days, kind="stable")
    twice = np.flatnonzero(np.diff(days[order]) == np.timedelta64(0))
    if twice.size:
        one, other = order[twice[0] : twice[0] + 2].tolist()
        raise CubeError(f"{source}: {names[one]} and {names[other]} are both {days[one]}: remove one of them")
    return days[order].astype("datetime64[ns]"), order


def describe_source(
    name: str,
    times: npt.NDArray[np.datetime64],
    tags: Mapping[str, Any],
    given: Mapping[str, str | None],
    lacking: Mapping[str, str] | None = None,
) -> tuple[dict[str, Any], float]:
    """Attributes of a cube, and the sign (1 or -1) that turns the file's displacement into the cube's.

    Parameters
    ----------
    name : str
        What messages call the source.
    times : (time,) datetime64
        Its dates.
    tags : mapping
        What the file says under the names of ``DECLARED``.
    given : mapping
        What the caller declares, which goes before.
    lacking : mapping, optional
        What else is needed and neither says: argument -> how it is passed.

    Raises
    ------
    CubeError
        Naming all that neither says, and the arguments that say it.
    """
    said = {key: given.get(key) or tags.get(key) or tags.get(key.upper()) for key in DECLARED}
    said["orbit_direction"] = said["orbit_direction"] or tags.get("pass")
    if said["component"] and said["component"] not in COMPONENTS:
        raise CubeError(f"{name}: component is {said['component']!r}, wanted one of {COMPONENTS}")
    if said["component"] in ("up", "east"):
        said["positive"] = said["positive"] or said["component"]
    needed = [key for key in CURES if said["component"] == "los" or key not in OF_LOOKS]
    _check_said(name, {**{key: CURES[key] for key in needed if not said[key]}, **(lacking or {})})
    component, positive = str(said["component"]), str(said["positive"])
    ours, turned = SIGNS[component]
    if positive not in (ours, turned):
        raise CubeError(f"{name}: positive is {positive!r}, for {component} wanted {ours!r} or {turned!r}")
    attrs: dict[str, Any] = {
        "component": component,
        "positive": ours,
        "reference_date": str(read_day(str(said["reference_date"]), f"{name}, reference_date")),
        "reference": str(said["reference"]),
        "release": said["release"] or f"{str(times[0])[:4]}-{str(times[-1])[:4]}",
        "sees_future": 0,
        "Conventions": "CF-1.11",
        "featureType": "timeSeries",
    }
    if positive == turned:
        attrs["sign_in_file"] = f"positive {turned}; turned here"
    if component == "los":
        attrs["track"] = str(said["track"]).zfill(3)
        attrs["pass"] = _pass(str(said["orbit_direction"]), name)
    return attrs, -1.0 if positive == turned else 1.0


def _check_said(name: str, lacking: Mapping[str, str]) -> None:
    """Refuse a source of which something is not said: all of it at once."""
    if lacking:
        *first, last = (key.replace("_", " ") for key in lacking)
        what = f"{', '.join(first)} and {last}" if first else last
        raise CubeError(f"{name} does not say its {what}: pass {'; '.join(lacking.values())}")


def _pass(text: str, name: str) -> str:
    for known in ("ascending", "descending"):
        if known.startswith(text.lower()):
            return known
    raise CubeError(f"{name}: orbit_direction is {text!r}, wanted 'ascending' or 'descending'")
