"""What files of unwrapped interferograms say of themselves: ROI_PAC's ``.rsc``, GAMMA's ``.par``, tags of GeoTIFFs.

ROI_PAC's ``X_FIRST`` is the outer corner of the first pixel, GAMMA's ``corner_lon`` its centre. In all of them phase
is that of the first image times the conjugate of the second, which grows with the range (Hanssen 2001,
doi:10.1007/0-306-47633-9, chapter 2).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from insar_dask.cube import CubeError
from insar_dask.days import read_day
from insar_dask.readers.crs import crs_of
from insar_dask.readers.geotiff_stack import RASTERS, look_at
from insar_dask.readers.grid import PixelGrid
from insar_dask.readers.named_columns import to_number

__all__ = ["GAMMA", "GEOTIFF", "ROI_PAC", "PairFile", "dates_in", "headers_beside", "look_at_pair", "read_header"]

GEOTIFF, GAMMA, ROI_PAC = "geotiff", "gamma", "roi_pac"
PROCESSORS = ("gamma", "roi_pac", "roipac", "isce", "mintpy", "licsbas", "licsar", "snap", "hyp3", "aria")
"""Whose phase is known to grow with the range, as ``INSAR_PROCESSOR`` or ``PROCESSOR`` names them."""

BASELINES = ("_bperp.par", "_bperp.txt", "_bperp", ".base_perp", "_base.par")
"""Ends of the files of GAMMA's baselines: as ``base_perp`` prints them, and as ``base_orbit`` estimates them."""

DATES = re.compile(r"(?<!\d)(\d{8}|\d{6})(?!\d)")
LIGHT = 299_792_458.0


@dataclass(frozen=True)
class PairFile:
    """An interferogram before it is read; what its files do not say is None, a baseline NaN."""

    path: Path
    kind: str
    grid: PixelGrid
    first: np.datetime64
    second: np.datetime64
    bperp: float
    wavelength: float | None
    phase_sign: int | None
    orbit_direction: str | None
    declares_nodata: bool
    chunk: tuple[int, int] | None = None


def look_at_pair(path: Path, gamma_dem: Path | None, gamma_image: Path | None, source_crs: object) -> PairFile:
    """What an interferogram and the headers beside it say.

    Raises
    ------
    FileNotFoundError, CubeError
        No such file; no header; a file of another size than its header says; no two dates.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such interferogram")
    beside = path.with_name(path.name + ".rsc")
    if path.suffix.lower() in RASTERS:
        return _geotiff(path, source_crs)
    if beside.is_file():
        return _roi_pac(path, read_header(beside), source_crs)
    if gamma_dem is None:
        raise CubeError(
            f"{path.name} has no header {beside.name} beside it as ROI_PAC's have: if it is GAMMA's, pass "
            "gamma_dem='DEM.par' (and gamma_image='DATE_slc.par'), the parameters of the map that it is on"
        )
    return _gamma(path, read_header(gamma_dem), gamma_image, source_crs)


def read_header(path: Path) -> dict[str, str]:
    """Names and values of a header, one a line; GAMMA's names end in a colon."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such header")
    pairs = (line.split(None, 1) for line in path.read_text(errors="replace").splitlines())
    return {pair[0].rstrip(":"): pair[1].strip() for pair in pairs if len(pair) == 2}


def dates_in(text: str) -> list[str]:
    """What may be dates in a name; six digits are the time of a day where others have eight.

    >>> dates_in("S1AA_20190101T005500_20190113T005501_unw.tif"), dates_in("190101-190113.unw")
    (['20190101', '20190113'], ['190101', '190113'])
    """
    found: list[str] = DATES.findall(text)
    return [digits for digits in found if len(digits) == 8] or found


def headers_beside(path: Path) -> list[Path]:
    """Files beside an interferogram that say something of it: ROI_PAC's header, GAMMA's baselines."""
    found = dates_in(path.name)
    names = [path.name + ".rsc"]
    if len(found) == 2:
        pairs = [f"{found[0]}{between}{found[1]}" for between in "-_"]
        names += [f"{pair}{end}" for pair in pairs for end in BASELINES]
    return [file for name in names if (file := path.with_name(name)).is_file()]


def _geotiff(path: Path, source_crs: object) -> PairFile:
    file = look_at(path, source_crs)
    tags = {name.upper(): text for name, text in file.tags.items()}
    said = " ".join(tags.get(name, "") for name in ("FIRST_DATE", "SECOND_DATE")).replace("-", "")
    first, second = _dates(tags.get("DATE12") or said.strip() or path.stem, path.name)
    if tags.get("DATA_UNITS", "RADIANS").upper() not in ("RADIANS", "RADIAN", "RAD"):
        raise CubeError(f"{path.name} is in {tags['DATA_UNITS']}, wanted unwrapped phase in radians")
    processor = (tags.get("INSAR_PROCESSOR") or tags.get("PROCESSOR") or "").lower()
    return PairFile(
        path, GEOTIFF, file.grid, first, second, _number(tags, ("BPERP", "P_BASELINE"), path),
        _number(tags, ("WAVELENGTH", "WAVELENGTH_METRES"), path) or None, 1 if processor in PROCESSORS else None,
        tags.get("ORBIT_DIRECTION"), file.declares_nodata, file.chunk,
    )  # fmt: skip


def _roi_pac(path: Path, header: Mapping[str, str], source_crs: object) -> PairFile:
    rows, columns = (_count(header, name, path) for name in ("FILE_LENGTH", "WIDTH"))
    _check_size(path, 8 * rows * columns, f"{rows} lines of amplitude and phase of {columns} pixels")
    grid = PixelGrid(rows, columns)
    if "X_FIRST" in header:
        x, dx, y, dy = _corner(header, ("X_FIRST", "X_STEP", "Y_FIRST", "Y_STEP"), path)
        grid = PixelGrid(rows, columns, x + dx / 2, dx, y + dy / 2, dy, crs_of(source_crs or 4326, "crs").to_wkt())
    ends = [_number(header, (f"P_BASELINE_{end}_HDR",), path) for end in ("TOP", "BOTTOM")]
    first, second = _dates(header.get("DATE12", path.stem), path.name)
    wavelength = _above_zero(header, "WAVELENGTH", path)
    direction = header.get("ORBIT_DIRECTION")
    return PairFile(path, ROI_PAC, grid, first, second, float(np.mean(ends)), wavelength, 1, direction, False)


def _gamma(path: Path, header: Mapping[str, str], image: Path | None, source_crs: object) -> PairFile:
    rows, columns = (_count(header, name, path) for name in ("nlines", "width"))
    _check_size(path, 4 * rows * columns, f"{rows} lines of {columns} pixels")
    names = ("corner_lon", "post_lon", "corner_lat", "post_lat")
    if header.get("DEM_projection") != "EQA":
        names = ("corner_east", "post_east", "corner_north", "post_north")
        if source_crs is None:
            raise CubeError(f"{path.name} is on a map in {header.get('DEM_projection')!r}: pass source_crs=")
    x, dx, y, dy = _corner(header, names, path)
    grid = PixelGrid(rows, columns, x, dx, y, dy, crs_of(source_crs or 4326, "source_crs").to_wkt())
    radar = {} if image is None else read_header(image)
    first, second = _dates(path.name, path.name)
    file = PairFile(path, GAMMA, grid, first, second, np.nan, None, 1, None, False)
    if "radar_frequency" in radar:
        file = replace(file, wavelength=LIGHT / _above_zero(radar, "radar_frequency", image or path))
    if "heading" in radar:
        north = np.cos(np.radians(_needed_number(radar, "heading", image or path)))
        file = replace(file, orbit_direction="ascending" if north > 0 else "descending")
    return replace(file, bperp=_gamma_baseline(path, radar, image or path))


def _gamma_baseline(path: Path, radar: Mapping[str, str], image: Path) -> float:
    """Perpendicular baseline at the centre: C cos(look) - N sin(look) of the baseline in TCN; NaN without its file."""
    beside = headers_beside(path)
    printed = next((file for file in beside if file.name.endswith(BASELINES[:-1])), None)
    if printed is not None:
        return _printed_baseline(printed)
    base = next((file for file in beside if file.name.endswith(BASELINES[-1])), None)
    needed = ("incidence_angle", "earth_radius_below_sensor", "sar_to_earth_center")
    if base is None or any(name not in radar for name in needed):
        return np.nan
    incidence, radius, height = (_above_zero(radar, name, image) for name in needed)
    sine = np.sin(np.radians(incidence)) * radius / height
    if not 0 < sine < 1:
        raise CubeError(f"{', '.join(needed)} of {image.name} are those of no satellite above the ground")
    look = np.arcsin(sine)
    header = read_header(base)
    vectors = [header.get(f"{kind}_baseline(TCN)", "").split()[:3] for kind in ("precision", "initial")]
    known = next((v[1:] for v in vectors if len(v) == 3), None)
    if known is None:
        return np.nan
    across, normal = (to_number(text, f"baseline(TCN) in {base.name}") for text in known)
    return float(across * np.cos(look) - normal * np.sin(look))


def _printed_baseline(path: Path) -> float:
    """Mean of the column ``bperp`` of the table that ``base_perp`` prints: rows over all of the image."""
    lines = [line.split() for line in path.read_text(errors="replace").splitlines()]
    head = next((number for number, words in enumerate(lines) if {"bpara", "bperp"} <= set(words)), None)
    if head is None:
        raise CubeError(f"{path.name} has no table with the columns bpara and bperp, as GAMMA's base_perp prints it")
    from_end = lines[head].index("bperp") - len(lines[head])  # names of the first columns are of several words
    rows = [numbers for words in lines[head + 1 :] if len(numbers := _numbers(words)) >= -from_end]
    if not rows:
        raise CubeError(f"{path.name} has no line of numbers below {' '.join(lines[head])!r}: is it cut off?")
    return float(np.mean([row[from_end] for row in rows if len(row) == len(rows[0])]))


def _numbers(words: list[str]) -> list[float]:
    """Words as numbers; none where one of them is no number, as in a line of units."""
    try:
        return [float(word) for word in words]
    except ValueError:
        return []


def _dates(text: str, name: str) -> tuple[np.datetime64, np.datetime64]:
    found = dates_in(text)
    if len(found) != 2 or found[0] == found[1]:
        raise CubeError(f"{name}: wanted two dates YYYYMMDD or YYMMDD in {text!r}, found {found}: rename the file")
    first, second = (_day(digits, name) for digits in found)
    return first, second


def _day(digits: str, name: str) -> np.datetime64:
    if len(digits) == 6:
        digits = ("19" if digits[:2] >= "70" else "20") + digits
    return read_day(digits, name)


def _number(header: Mapping[str, str], names: tuple[str, ...], path: Path) -> float:
    name = next((name for name in names if name in header), None)
    return np.nan if name is None else _needed_number(header, name, path)


def _needed(header: Mapping[str, str], name: str, path: Path) -> str:
    if name not in header:
        raise CubeError(f"the header of {path.name} has no {name}: is it the header of this file?")
    return header[name]


def _needed_number(header: Mapping[str, str], name: str, path: Path) -> float:
    """The first word of a value: GAMMA's have their unit behind it."""
    words = _needed(header, name, path).split()
    return to_number(words[0] if words else "", f"{name} in the header of {path.name}")


def _above_zero(header: Mapping[str, str], name: str, path: Path) -> float:
    number = _needed_number(header, name, path)
    if number <= 0:
        raise CubeError(f"{name} in the header of {path.name} is {number:g}, wanted more than 0")
    return number


def _corner(header: Mapping[str, str], names: tuple[str, str, str, str], path: Path) -> tuple[float, ...]:
    """First x, step of x, first y, step of y."""
    numbers = tuple(_needed_number(header, name, path) for name in names)
    if 0 in numbers[1::2]:
        raise CubeError(f"{names[1]} or {names[3]} in the header of {path.name} is 0: pixels have a size")
    return numbers


def _count(header: Mapping[str, str], name: str, path: Path) -> int:
    text = _needed(header, name, path)
    if not re.fullmatch(r"0*[1-9]\d{0,8}", text, re.ASCII):
        raise CubeError(f"{name} in the header of {path.name} is {text[:40]!r}, wanted a number of pixels")
    return int(text)


def _check_size(path: Path, wanted: int, what: str) -> None:
    if path.stat().st_size != wanted:
        raise CubeError(
            f"{path.name} has {path.stat().st_size} bytes, its header says {what}: {wanted}; is it cut off?"
        )
