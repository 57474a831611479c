"""Alarmed points as a list: what lies together is one alarm, the most certain one first; as CSV and GeoJSON too."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.detect.clusters import cluster_points
from insar_dask.report.places import crs_wkt

__all__ = ["Alarm", "alarm_list", "write_alarms"]

Alarm = Mapping[str, Any]

DIGITS = 7
"""Of degrees in GeoJSON: a centimetre."""

POINT_COLUMNS = ("alarm", "point_id", "easting_m", "northing_m", "longitude_deg", "latitude_deg", "departure_mm",
                 "half_intervals", "dates_outside", "since", "q_value")  # fmt: skip


def alarm_list(alarms: xr.Dataset, first_date: np.datetime64, reach: float) -> list[dict[str, Any]]:
    """Alarms, the most certain one first.

    Parameters
    ----------
    alarms : xr.Dataset
        Of `insar_dask.forecast.departure_blocks.flag_departures`, of all points.
    first_date : datetime64
        That ``since`` is counted from.
    reach : float
        Alarmed points within so many metres of one another are one alarm.

    Returns
    -------
    list of dict
        ``alarm`` from 1, ``points`` (rows of the data set), ``n_points``, ``easting``, ``northing`` [m], ``longitude``,
        ``latitude``, ``departure`` [mm] and ``half_intervals`` (medians), ``since``, ``dates_outside``, ``q_value``.
    """
    rows = np.flatnonzero(alarms["alarm"].values == 1)
    part = alarms.isel(point=rows).compute()
    easting, northing = part["easting"].values, part["northing"].values
    labels = cluster_points(easting, northing, reach, 1)
    found = [_alarm(part, rows, labels == label, first_date) for label in range(labels.max(initial=-1) + 1)]
    found.sort(key=lambda one: (one["q_value"], -one["n_points"], one["points"][0]))
    return [{"alarm": number, **one} for number, one in enumerate(found, 1)]


def write_alarms(alarms: xr.Dataset, listed: Sequence[Alarm], folder: Path, first_date: np.datetime64) -> list[Path]:
    """Write ``alarms.csv``, a row an alarmed point, and ``alarms.geojson`` (RFC 7946); both appear when whole."""
    rows = [row for one in listed for row in _point_rows(alarms, one, first_date)]
    table = folder / "alarms.csv"
    draft = table.with_name("alarms.csv.part")
    with draft.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(
            [POINT_COLUMNS, *([row[c] for c in POINT_COLUMNS] for row in rows)]
        )
    draft.replace(table)
    features = [_feature(row) for row in rows]
    text = '{"type": "FeatureCollection", "features": [\n' + ",\n".join(features) + "\n]}\n"
    shapes = folder / "alarms.geojson"
    draft = shapes.with_name("alarms.geojson.part")
    draft.write_text(text, encoding="utf-8")
    draft.replace(shapes)
    return [table, shapes]


def _alarm(
    part: xr.Dataset, rows: npt.NDArray[np.int64], mine: npt.NDArray[np.bool_], first_date: np.datetime64
) -> dict[str, Any]:
    here = part.isel(point=np.flatnonzero(mine))
    easting, northing = (float(here[name].mean()) for name in ("easting", "northing"))
    longitude, latitude = _degrees(part, np.array([easting]), np.array([northing]))
    return {
        "points": rows[mine].tolist(),
        "n_points": int(mine.sum()),
        "easting": easting,
        "northing": northing,
        "longitude": float(longitude[0]),
        "latitude": float(latitude[0]),
        "departure": float(here["departure"].median()),
        "half_intervals": float(here["excess"].median()),
        "since": _since(float(here["since"].min()), first_date),
        "dates_outside": int(here["lasting"].max()),
        "q_value": float(here["q_value"].min()),
    }


def _point_rows(alarms: xr.Dataset, one: Alarm, first_date: np.datetime64) -> list[dict[str, Any]]:
    here = alarms.isel(point=one["points"]).compute()
    degrees = _degrees(here, here["easting"].values, here["northing"].values)
    since = [_since(days, first_date) for days in here["since"].values.tolist()]
    columns = {
        "alarm": [one["alarm"]] * len(since),
        "point_id": here["point_id"].values.astype(str).tolist(),
        **{f"{name}_m": here[name].values.round(2).tolist() for name in ("easting", "northing")},
        **{name: side.round(DIGITS).tolist() for name, side in zip(POINT_COLUMNS[4:6], degrees, strict=True)},
        "departure_mm": _short(here["departure"].values),
        "half_intervals": _short(here["excess"].values),
        "dates_outside": here["lasting"].values.tolist(),
        "since": since,
        "q_value": [float(f"{q:.3g}") for q in here["q_value"].values.tolist()],
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _feature(row: Mapping[str, Any]) -> str:
    place = {"type": "Point", "coordinates": [row["longitude_deg"], row["latitude_deg"]]}
    told = {name: value for name, value in row.items() if name not in ("longitude_deg", "latitude_deg")}
    return json.dumps({"type": "Feature", "properties": told, "geometry": place}, allow_nan=False)


def _degrees(data: xr.Dataset, easting: npt.NDArray[Any], northing: npt.NDArray[Any]) -> tuple[Any, Any]:
    from pyproj import Transformer

    to_degrees = Transformer.from_crs(crs_wkt(data), 4326, always_xy=True).transform
    longitude, latitude = to_degrees(easting, northing)
    return np.asarray(longitude), np.asarray(latitude)


def _since(days: float, first_date: np.datetime64) -> str:
    if not np.isfinite(days):
        return ""
    return str(np.asarray(first_date, "datetime64[D]") + np.timedelta64(round(days), "D"))


def _short(values: npt.NDArray[Any]) -> list[float]:
    return [round(float(value), 2) for value in values.tolist()]
