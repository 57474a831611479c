"""What a source of displacement means, where its format does not say: units, component, sign, reference, orbit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.cube import COMPONENTS, CubeError

__all__ = ["DECLARED", "describe_source", "millimetres", "read_day", "sorted_days"]

MILLIMETRES = {"m": 1000.0, "meter": 1000.0, "meters": 1000.0, "metre": 1000.0, "metres": 1000.0, "cm": 10.0, "mm": 1.0}
PER_YEAR = re.compile(r"(\s*/\s*(year|yr|a)|\s+(year|yr|a)-1)$")

DECLARED = ("component", "positive", "reference_date", "reference", "release", "track", "orbit_direction")
"""What a caller may declare; also the names of the tags that are read."""

POSITIVE = {"up": "up", "east": "east"}
TOWARDS, AWAY = "towards the satellite", "away from the satellite"
CURES = {
    "component": f"component= one of {COMPONENTS}",
    "positive": f"positive={TOWARDS!r} or {AWAY!r}",
    "reference_date": "reference_date='YYYY-MM-DD', the date at which displacement is zero",
    "reference": "reference='what the zero is', such as a place or GNSS",
    "track": "track='022'",
    "orbit_direction": "orbit_direction='ascending' or 'descending'",
}
OF_LOOKS = ("track", "orbit_direction")


def millimetres(unit: str | None, name: str) -> float:
    """Millimetres in a unit of length, or mm/yr in one of velocity.

    Raises
    ------
    CubeError
        When there is no unit, or it is none of length: phase must become range first.

    >>> millimetres("m", "a.tif"), millimetres("cm/year", "v.tif")
    (1000.0, 10.0)
    """
    if unit is None:
        raise CubeError(f"{name} does not say its unit: pass units='m', 'cm' or 'mm'")
    factor = MILLIMETRES.get(PER_YEAR.sub("", unit.strip().lower()))
    if factor is None:
        raise CubeError(f"{name} is in {unit!r}, wanted m, cm or mm: convert it first, or pass the true units=")
    return factor


def sorted_days(
    days: npt.NDArray[np.datetime64], names: list[str], source: str
) -> tuple[npt.NDArray[np.datetime64], npt.NDArray[np.intp]]:
    """Days in order, datetime64[ns], and the place of each; raises CubeError naming two that are the same day."""
    order = np.argsort(days, kind="stable")
    twice = np.flatnonzero(np.diff(days[order]) == np.timedelta64(0))
    if twice.size:
        one, other = order[twice[0] : twice[0] + 2].tolist()
        raise CubeError(f"{source}: {names[one]} and {names[other]} are both {days[one]}: remove one of them")
    return days[order].astype("datetime64[ns]"), order


def read_day(text: str, where: str) -> np.datetime64:
    """A day from ``YYYYMMDD`` or ``YYYY-MM-DD``; raises CubeError naming ``where`` it stood.

    >>> read_day("20200229", "a.tif")
    np.datetime64('2020-02-29')
    """
    digits = text.replace("-", "")
    if re.fullmatch(r"\d{8}", digits):
        try:
            return np.datetime64(f"{digits[:4]}-{digits[4:6]}-{digits[6:]}", "D")
        except ValueError:
            pass
    raise CubeError(f"{where}: {text[:20]!r} is no date, wanted YYYYMMDD or YYYY-MM-DD")


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
    said["positive"] = said["positive"] or POSITIVE.get(str(said["component"]))
    needed = [key for key in CURES if said["component"] == "los" or key not in OF_LOOKS]
    _check_said(name, {**{key: CURES[key] for key in needed if not said[key]}, **(lacking or {})})
    component, positive = str(said["component"]), str(said["positive"])
    attrs: dict[str, Any] = {
        "component": component,
        "positive": TOWARDS if positive == AWAY else positive,
        "reference_date": str(read_day(str(said["reference_date"]), f"{name}, reference_date")),
        "reference": str(said["reference"]),
        "release": said["release"] or f"{str(times[0])[:4]}-{str(times[-1])[:4]}",
        "sees_future": 0,
        "Conventions": "CF-1.11",
        "featureType": "timeSeries",
    }
    if positive == AWAY:
        attrs["sign_in_file"] = f"positive {AWAY}; turned here"
    if component == "los":
        if positive not in (TOWARDS, AWAY):
            raise CubeError(f"{name}: positive is {positive!r}, for los wanted {TOWARDS!r} or {AWAY!r}")
        attrs["track"] = str(said["track"]).zfill(3)
        attrs["pass"] = _pass(str(said["orbit_direction"]), name)
    return attrs, -1.0 if positive == AWAY else 1.0


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
