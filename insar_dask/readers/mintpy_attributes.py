"""What a MintPy file says of itself: text attributes after ROI_PAC, some of them twice in different cases.

Of two spellings the capital one is MintPy's own; the other often speaks of the raw frame before looks were taken and
before geocoding (``LENGTH`` 541 beside ``length`` 3252). Names and meanings: MintPy's documentation, "Attributes".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from pyproj import CRS

from insar_dask.cube import CubeError
from insar_dask.readers.crs import crs_of
from insar_dask.readers.declared import sorted_days
from insar_dask.readers.grid import PixelGrid

__all__ = ["Attributes", "describe_series", "grid_of", "parse_dates"]

ABSENT = ("", "none", "nan", "unknown")
DATE = re.compile(r"(\d{2})?(\d{6})(?:T\d{4,6})?")
UTM_ZONE = re.compile(r"(\d{1,2})\s*([NS])", re.IGNORECASE)
ALIASES = {
    "REF_DATE": ("ref_date",),
    "ORBIT_DIRECTION": ("orbitDirection", "passDirection", "flight_direction"),
    "TRACK": ("relative_orbit", "trackNumber", "track_number", "relativeOrbit"),
    "WAVELENGTH": ("wavelength", "radarWavelength", "Wavelength (m)"),
    "CENTER_INCIDENCE_ANGLE": ("incidenceAngle",),
    "POLARIZATION": ("polarization",),
}
EXACT = ("LENGTH", "WIDTH")
"""Never taken in another case."""


class Attributes:
    """Attributes of a file and of its dataset, found whatever their case.

    Parameters
    ----------
    name : str
        What messages call the file.
    given : mapping
        Attributes as stored: text, bytes or numbers.
    """

    def __init__(self, name: str, given: Mapping[str, Any]) -> None:
        self.name = name
        texts = {str(key): _text(value) for key, value in given.items()}
        self._texts = {key: text for key, text in texts.items() if text.lower() not in ABSENT}
        self._by_lower: dict[str, str] = {}
        for key, text in self._texts.items():
            self._by_lower.setdefault(key.lower(), text)

    def text(self, key: str) -> str | None:
        """An attribute by its capital name, else by another spelling that is in use; None when there is none."""
        for spelling in (key, *ALIASES.get(key, ())):
            if spelling in self._texts:
                return self._texts[spelling]
        return None if key in EXACT else self._by_lower.get(key.lower())

    def number(self, key: str) -> float | None:
        """An attribute as a number; raises CubeError when it is none."""
        text = self.text(key)
        if text is None:
            return None
        try:
            value = float(text)
        except ValueError:
            value = np.nan
        if not np.isfinite(value):
            raise CubeError(f"{self.name}: attribute {key} is {text!r}, wanted a number: mend it in the file")
        return value

    def needed(self, key: str, given: Any, cure: str) -> str:
        """What the caller gave, else the attribute, else an error that says the cure."""
        found = self.text(key) if given is None else str(given)
        if found is None:
            raise CubeError(f"{self.name} has no attribute {key}: pass {cure}")
        return found


def grid_of(
    attributes: Attributes, shape: tuple[int, int], source_crs: Any = None, otherwise: str | None = None
) -> PixelGrid:
    """Grid of a file's datasets of ``shape``; without ``X_FIRST`` it is in radar geometry.

    Its CRS is ``source_crs``; where that is None its own, and ``otherwise`` where it has none.

    ``X_FIRST`` and ``Y_FIRST`` are the outer corner of the first pixel, so its centre is half a step on.

    Raises
    ------
    CubeError
        When the attributes contradict the shape, are incomplete or are no place, or name no CRS.
    """
    rows, columns = shape
    for key, size in (("LENGTH", rows), ("WIDTH", columns)):
        said = attributes.number(key)
        if said is not None and said != size:
            raise CubeError(
                f"{attributes.name}: attribute {key} is {said:.0f} but the dataset has {size}: "
                "is the file cut or mixed up?"
            )
    place = {key: attributes.number(key) for key in ("X_FIRST", "X_STEP", "Y_FIRST", "Y_STEP")}
    if place["X_FIRST"] is None and place["Y_FIRST"] is None:
        return PixelGrid(rows, columns)
    lacking = [key for key, value in place.items() if not value and (value is None or key.endswith("STEP"))]
    if lacking:
        raise CubeError(
            f"{attributes.name}: attributes {lacking} are missing or 0 beside X_FIRST: mend them in the file"
        )
    x, dx, y, dy = (float(value or 0.0) for value in place.values())
    crs = crs_of(source_crs, "source_crs") if source_crs is not None else _crs(attributes, otherwise)
    return PixelGrid(rows, columns, x + dx / 2, dx, y + dy / 2, dy, crs.to_wkt())


def parse_dates(values: npt.NDArray[Any], name: str) -> tuple[npt.NDArray[np.datetime64], npt.NDArray[np.intp]]:
    """Dates in order and the place of each, from ``YYYYMMDD``, ``YYMMDD`` or ``YYYYMMDDTHHMM`` as text, bytes, numbers.

    Raises
    ------
    CubeError
        When one is no date, or two are the same day.
    """
    texts = [_text(value) for value in values]
    days = np.array([_date(text, place, name) for place, text in enumerate(texts)], "datetime64[D]")
    return sorted_days(days, [f"date {place}" for place in range(days.size)], name)


def describe_series(
    attributes: Attributes, times: npt.NDArray[np.datetime64], given: Mapping[str, str | None]
) -> dict[str, Any]:
    """Attributes of a cube: what the file says, unless the caller ``given`` says otherwise.

    Raises
    ------
    CubeError
        Naming all attributes that are missing and the arguments that stand in for them.
    """
    day, reference, track, direction = _all_said(
        lambda: attributes.needed("REF_DATE", given["reference_date"], "reference_date='YYYYMMDD'"),
        lambda: given["reference"] or _reference(attributes),
        lambda: attributes.needed("TRACK", given["track"], "track='023'").zfill(3),
        lambda: _pass(attributes, given["orbit_direction"]),
    )
    years = f"{str(times[0])[:4]}-{str(times[-1])[:4]}"
    attrs: dict[str, Any] = {
        "product": "MintPy",
        "component": "los",
        "positive": "towards the satellite",
        "reference_date": str(_date(day.replace("-", ""), 0, attributes.name)),
        "reference": reference,
        "release": given["release"] or years,
        "track": track,
        "pass": direction,
        "sees_future": 0,
        "Conventions": "CF-1.11",
        "featureType": "timeSeries",
    }
    texts = {"platform": "PLATFORM", "processor": "PROCESSOR", "polarisation": "POLARIZATION"}
    numbers = {"wavelength": "WAVELENGTH", "heading": "HEADING", "incidence_angle": "CENTER_INCIDENCE_ANGLE"}
    attrs |= {name: text for name, key in texts.items() if (text := attributes.text(key)) is not None}
    attrs |= {name: value for name, key in numbers.items() if (value := attributes.number(key)) is not None}
    return attrs


def _all_said(*wanted: Callable[[], str]) -> list[str]:
    """What each call returns; one error of all that they lack."""
    said, lacking = [], []
    for one in wanted:
        try:
            said.append(one())
        except CubeError as error:
            lacking.append(str(error))
    if lacking:
        raise CubeError("; ".join(lacking))
    return said


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else ""
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)).strip()


def _date(text: str, place: int, name: str) -> np.datetime64:
    found = DATE.fullmatch(text)
    if found:
        century = found[1] or ("19" if found[2][:2] >= "70" else "20")
        digits = century + found[2]
        try:
            return np.datetime64(f"{digits[:4]}-{digits[4:6]}-{digits[6:]}", "D")
        except ValueError:
            pass
    raise CubeError(f"{name}: {text[:20]!r} (date {place}, counted from 0) is no date, wanted YYYYMMDD")


def _crs(attributes: Attributes, otherwise: str | None) -> CRS:
    unit = (attributes.text("X_UNIT") or "").lower()
    epsg, zone = attributes.number("EPSG"), UTM_ZONE.fullmatch(attributes.text("UTM_ZONE") or "")
    if epsg is not None:
        crs = crs_of(int(epsg), f"{attributes.name}: EPSG")
        if unit and crs.is_geographic != unit.startswith("deg"):
            raise CubeError(
                f"{attributes.name}: X_UNIT is {unit!r} but EPSG {epsg:.0f} is {crs.name}: pass source_crs="
            )
        return crs
    if unit.startswith("deg"):
        return CRS.from_epsg(4326)
    if zone:
        return crs_of((32600 if zone[2].upper() == "N" else 32700) + int(zone[1]), f"{attributes.name}: UTM_ZONE")
    if otherwise is not None:
        return CRS.from_wkt(otherwise)
    raise CubeError(
        f"{attributes.name} is geocoded in {unit or 'an unnamed unit'} but has no EPSG and no UTM_ZONE: "
        "pass source_crs=, such as source_crs='EPSG:32652'"
    )


def _reference(attributes: Attributes) -> str:
    row, column = attributes.number("REF_Y"), attributes.number("REF_X")
    if row is None or column is None:
        raise CubeError(f"{attributes.name} has no attributes REF_Y and REF_X: pass reference='what the zero is'")
    latitude, longitude = attributes.number("REF_LAT"), attributes.number("REF_LON")
    where = f" (latitude {latitude:.6f}, longitude {longitude:.6f})" if latitude is not None and longitude else ""
    return f"pixel in row {row:.0f}, column {column:.0f}{where}, whose displacement is zero at every date"


def _pass(attributes: Attributes, given: str | None) -> str:
    said = (attributes.text("ORBIT_DIRECTION") if given is None else given) or ""
    for name in ("ascending", "descending"):
        if said and name.startswith(said.lower()):
            return name
    heading = attributes.number("HEADING")
    if said or heading is None:
        raise CubeError(
            f"{attributes.name}: ORBIT_DIRECTION is {said!r} and HEADING {heading}: "
            "pass orbit_direction='ascending' or 'descending'"
        )
    return "ascending" if np.cos(np.radians(heading)) > 0 else "descending"
