"""What an EGMS product file says about itself before its rows are read: its name and its header line."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError

__all__ = ["EgmsHeader", "EgmsName", "parse_header", "parse_name"]

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

    ``names`` are the columns as printed, ``columns`` maps our name of each point column to its place, ``dates`` are
    the dates in order, ``date_places`` the column of each.
    """

    names: tuple[str, ...]
    columns: dict[str, int]
    dates: npt.NDArray[np.datetime64]
    date_places: npt.NDArray[np.int64]

    @property
    def sorted_in_file(self) -> bool:
        """Whether the file has its dates in order."""
        return bool((np.diff(self.date_places) > 0).all())


def parse_name(path: str | Path) -> EgmsName | None:
    """Read product, place and release off a file's name; None when it is no EGMS name.

    >>> parse_name("EGMS_L3_E45N17_100km_U_2020_2024_1.zip").component
    'up'
    """
    name = Path(path).name
    found = L2_NAME.match(name) or L3_NAME.match(name)
    if found is None:
        return None
    parts = found.groupdict()
    first, last, version = parts.pop("first"), parts.pop("last"), parts.pop("version")
    component = {"U": "up", "E": "east"}.get(parts.pop("component", ""), "los")
    return EgmsName(
        **parts, component=component, period=(int(first), int(last)) if first else None, version=version or ""
    )


def parse_header(line: str, source: str) -> EgmsHeader:
    """Map the columns of a header line by name.

    Raises
    ------
    CubeError
        When a column is unknown, comes twice or is missing, when there is no date, or a date comes twice.
    """
    names = tuple(name.strip().strip('"').strip() for name in line.lstrip("\ufeff").rstrip("\r\n").split(","))
    columns: dict[str, int] = {}
    dates: list[tuple[np.datetime64, int]] = []
    for place, name in enumerate(names):
        date = DATE.fullmatch(name)
        if date:
            dates.append((_date(date[1], place, source), place))
        else:
            _add_column(columns, name, place, source)
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        raise CubeError(
            f"{source}, line 1: no column {_printed(missing[0])!r}; an EGMS product has pid, easting, northing and dates"
        )
    if not dates:
        raise CubeError(f"{source}, line 1: no date column (YYYYMMDD) among {len(names)} columns; is the file cut?")
    twice = [str(date) for date, count in Counter(date for date, _ in dates).items() if count > 1]
    if twice:
        places = [place + 1 for date, place in dates if str(date) == twice[0]]
        raise CubeError(
            f"{source}, line 1: date {twice[0]} comes {len(places)} times, in columns {places}; remove all but one of them"
        )
    dates.sort()
    return EgmsHeader(
        names, columns, np.array([d for d, _ in dates], "datetime64[ns]"), np.array([p for _, p in dates], np.int64)
    )


def _date(digits: str, place: int, source: str) -> np.datetime64:
    try:
        return np.datetime64(f"{digits[:4]}-{digits[4:6]}-{digits[6:]}", "D")
    except ValueError:
        raise CubeError(f"{source}, line 1, column {place + 1}: {digits} is no date (YYYYMMDD)") from None


def _add_column(columns: dict[str, int], name: str, place: int, source: str) -> None:
    known = KNOWN.get(name.lower())
    if known is None:
        raise CubeError(
            f"{source}, line 1, column {place + 1}: unknown column {name!r}; "
            f"known are dates (YYYYMMDD) and {', '.join(sorted(KNOWN))}; remove or rename it"
        )
    if known in columns:
        raise CubeError(
            f"{source}, line 1: columns {columns[known] + 1} and {place + 1} are both {known!r}; remove one of them"
        )
    columns[known] = place


def _printed(name: str) -> str:
    return "pid" if name == "point_id" else name
