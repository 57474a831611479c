"""What an EGMS product file says about itself before its rows are read: its name and its header line."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError
from insar_dask.readers.bucket_file import BucketFile, SourceFile
from insar_dask.readers.csv_bands import one_line

__all__ = ["EgmsHeader", "EgmsName", "parse_header", "parse_name", "product_of"]

PERIOD = r"(?:_(?P<first>\d{4})_(?P<last>\d{4})_(?P<version>\d+))?"
L2_NAME = re.compile(
    rf"EGMS_(?P<product>L2[ab])_(?P<track>\d{{3}})_(?P<burst>\d{{4}})_(?P<swath>IW\d)_(?P<polarisation>[HV]{{2}}){PERIOD}"
)
L3_NAME = re.compile(rf"EGMS_(?P<product>L3)_(?P<tile>E\d+N\d+)_100km_(?P<component>[UE]){PERIOD}")
DATE = re.compile(r"D?_?(\d{8})", re.IGNORECASE)
ALIASES = {
    "pid": "point_id",
    "height_ortho": "height",
    "height_wgs84": "height_ellipse",
    "temporal_coherence": "coherence",
    "rmse": "egms_rmse",
    "rmse_ts": "egms_rmse",
    "mean_velocity": "egms_mean_velocity",
    "mean_velocity_std": "egms_mean_velocity_std",
    "acceleration": "egms_acceleration",
    "acceleration_std": "egms_acceleration_std",
    "seasonality": "egms_seasonality",
    "seasonality_std": "egms_seasonality_std",
    "gnss_velocity": "egms_gnss_velocity",
    "gnss_velocity_n": "egms_gnss_velocity_n",
    "gnss_velocity_e": "egms_gnss_velocity_e",
    "gnss_velocity_u": "egms_gnss_velocity_u",
}
PLAIN = (
    "mp_type", "cluster_label", "latitude", "longitude", "easting", "northing", "height", "height_ellipse", "line",
    "pixel", "amplitude_dispersion", "incidence_angle", "track_angle", "los_east", "los_north", "los_up",
)  # fmt: skip
KNOWN = {**ALIASES, **{name: name for name in PLAIN}}
NEEDED = ("point_id", "easting", "northing")


@dataclass(frozen=True)
class EgmsName:
    """Parts of a product's file name; what a product does not have is empty."""

    product: str
    component: str
    track: str = ""
    burst: str = ""
    swath: str = ""
    polarisation: str = ""
    tile: str = ""
    period: tuple[int, int] | None = None
    version: str = ""


@dataclass(frozen=True)
class EgmsHeader:
    """Header line of a product.

    ``names`` are the columns as printed, ``columns`` maps our name of each point column to its place, ``dates`` are the
    dates in order and ``date_places`` the column of each, ``ignored`` the names of columns that no vintage has.
    """

    names: tuple[str, ...]
    columns: dict[str, int]
    dates: npt.NDArray[np.datetime64]
    date_places: npt.NDArray[np.int64]
    ignored: tuple[str, ...]

    @property
    def sorted_in_file(self) -> bool:
        """Whether the file has its dates in order."""
        return bool((np.diff(self.date_places) > 0).all())


def parse_name(path: str | SourceFile) -> EgmsName | None:
    """Read product, place and release off a file's name; None when it is no EGMS name.

    >>> parse_name("EGMS_L3_E45N17_100km_U_2020_2024_1.zip").component
    'up'
    """
    name = path.name if isinstance(path, BucketFile) else Path(path).name
    found = L2_NAME.match(name) or L3_NAME.match(name)
    if found is None:
        return None
    parts = found.groupdict()
    first, last, version = parts.pop("first"), parts.pop("last"), parts.pop("version")
    component = {"U": "up", "E": "east"}.get(parts.pop("component", ""), "los")
    return EgmsName(
        **parts, component=component, period=(int(first), int(last)) if first else None, version=version or ""
    )


def product_of(name: str) -> EgmsName:
    """Parts of a product's name, which must be one: nothing else says the component of L3 or the track of L2.

    Raises
    ------
    CubeError
        When it is no EGMS name.
    """
    found = parse_name(name)
    if found is None:
        raise CubeError(
            f"{name} is no EGMS name, such as EGMS_L2b_022_0845_IW2_VV_2020_2024_1.zip or "
            "EGMS_L3_E45N17_100km_U_2020_2024_1.zip: rename the file as it was delivered, or pass that name as name="
        )
    return found


def parse_header(line: str, source: str) -> EgmsHeader:
    """Map the columns of a header line by name.

    Raises
    ------
    CubeError
        When pid, easting, northing or any date is missing, a column or a date comes twice, a date is none, or a column
        stands after the first date.
    """
    names = tuple(name.strip().strip('"').strip() for name in one_line(line, source).split(","))
    columns: dict[str, int] = {}
    dates: list[tuple[np.datetime64, int]] = []
    ignored: list[str] = []
    for place, name in enumerate(names):
        if date := DATE.fullmatch(name):
            dates.append((_date(date[1], place, source), place))
        elif dates:
            raise CubeError(f"{source}, line 1, column {place + 1}: {name[:40]!r} stands after a date; put dates last")
        elif name.isdigit():
            raise CubeError(f"{source}, line 1, column {place + 1}: {name[:40]!r} is no date (YYYYMMDD)")
        elif known := KNOWN.get(name.lower()):
            _add_column(columns, known, place, source)
        else:
            ignored.append(name)
    _check_columns(columns, names, source)
    ordered = _check_dates(dates, names, source)
    days = np.array([date for date, _ in ordered], "datetime64[ns]")
    return EgmsHeader(names, columns, days, np.array([place for _, place in ordered], np.int64), tuple(ignored))


def _date(digits: str, place: int, source: str) -> np.datetime64:
    try:
        return np.datetime64(f"{digits[:4]}-{digits[4:6]}-{digits[6:]}", "D")
    except ValueError:
        raise CubeError(f"{source}, line 1, column {place + 1}: {digits} is no date (YYYYMMDD)") from None


def _add_column(columns: dict[str, int], name: str, place: int, source: str) -> None:
    if name in columns:
        raise CubeError(
            f"{source}, line 1: columns {columns[name] + 1} and {place + 1} are both {_printed(name)}; remove one"
        )
    columns[name] = place


def _check_columns(columns: dict[str, int], names: tuple[str, ...], source: str) -> None:
    missing = [_printed(name) for name in NEEDED if name not in columns]
    if not missing:
        return
    shown = ", ".join(name[:20] for name in names[:6])
    if len(missing) == len(NEEDED):
        raise CubeError(
            f"{source}, line 1: unknown header ({shown} ...); an EGMS product begins pid,easting,northing or "
            "pid,mp_type,latitude and has its columns separated by commas"
        )
    raise CubeError(f"{source}, line 1: no column {' nor '.join(missing)} (found {shown} ...): download the file again")


def _check_dates(
    dates: list[tuple[np.datetime64, int]], names: tuple[str, ...], source: str
) -> list[tuple[np.datetime64, int]]:
    if not dates:
        raise CubeError(f"{source}, line 1: no date column (YYYYMMDD) among {len(names)}: is it a time-series product?")
    twice = [date for date, count in Counter(date for date, _ in dates).items() if count > 1]
    if twice:
        places = [place + 1 for date, place in dates if date == twice[0]]
        raise CubeError(f"{source}, line 1: columns {places} are all {twice[0]}; remove all but one of them")
    return sorted(dates)


def _printed(name: str) -> str:
    return "pid" if name == "point_id" else name
