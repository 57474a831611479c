"""What the page is told of a product: where its series lie and at which dates, its provenance and its honest scores."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from zarr.abc.store import Store

from insar_dask.cluster.numbering import numbered_by
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.lineage import scores_of
from insar_dask.objects import get_bytes
from insar_dask.store import open_group
from insar_dask.tenths import PACKING
from insar_dask.viewer.alarms import shown_alarms

__all__ = ["about", "arrays_of"]

SAID = (
    *("component", "positive", "reference_date", "reference", "release", "track", "pass", "source", "attribution"),
    *("product", "sees_future"),
)
"""Attributes of a cube that the page shows."""

SERIES = {
    "displacement": ("raw", "displacement", "Observed"),
    "smooth": ("smooth", "displacement", "Smoothed"),
    "trend": ("parts", "trend", "Trend"),
    "season": ("parts", "season", "Season"),
    "residual": ("parts", "residual", "Residual"),
}
"""Name on the page -> group of the product, array, label; an array that is not stored is left out."""

MOTION = (
    *("velocity", "velocity_std", "acceleration", "acceleration_std", "seasonality", "seasonality_std"),
    *("phase", "rmse"),
)
PLACE = ("point_id", "height", "coherence", "condition", "n_ascending", "n_descending")
DEGREES = ("longitude", "latitude")
"""Read point by point only where the page cannot compute them."""


def about(
    engine: Engine,
    product: str,
    shown: Collection[str],
    cubes: Mapping[str, xr.Dataset],
    degrees: Mapping[str, Any] | None,
    offset: Sequence[float],
) -> dict[str, Any]:
    """Attributes of the overview's group that describe the product, and those of its groups that are ``shown``.

    Its places have ``degrees`` or none; places of alarms are counted from the offset.
    """
    raw = open_group(engine.store, f"{product}/raw")
    places = PLACE if degrees is not None else PLACE + DEGREES
    found: dict[str, Any] = {
        "name": product,
        "said": {name: _json(raw.attrs[name]) for name in SAID if name in raw.attrs},
        "crs": _crs(raw["crs"].attrs),
        "series": _series(engine, product, shown),
        "degrees": degrees,
        "points": {name: f"{product}/raw/{name}" for name in places if name in raw.variables},
        "motion": _motion(engine, product) if "products" in shown else None,
        "forecast": _forecast(engine, product, shown),
        "scores": _scores(engine, product),
        "alarms": shown_alarms(engine, product, cubes, offset),
    }
    if "outlook" in cubes:
        exceedance = cubes["outlook"]["exceedance"]
        last = _days(cubes["outlook"]["time"].values)[-1]
        found["limit"] = {
            "threshold": float(exceedance.attrs["threshold"]),
            "day": last,
            "paths": {"exceedance": f"{product}/outlook/exceedance"},
        }
    if "patterns" in cubes:
        found["patterns"] = dict(zip(("by", "units"), numbered_by(cubes["patterns"]), strict=False))
    return found | {"documents": _documents(engine.store, found)}


def arrays_of(about: Mapping[str, Any]) -> Iterator[str]:
    """Paths of the arrays whose values the page reads beside the overview, from what it is told."""
    yield from (one["path"] for one in about["series"].values())
    alarms = about.get("alarms") or {}
    told = (about["forecast"], about.get("limit"), alarms, alarms.get("foretold"))
    for paths in (about["points"], about["motion"] or {}, *((one or {}).get("paths", {}) for one in told)):
        yield from paths.values()


def _documents(store: Store, found: Mapping[str, Any]) -> dict[str, Any]:
    """What the page else asks for array by array at the first click: 14 requests and more."""
    return {
        path: {**json.loads(get_bytes(store, f"{path}/zarr.json") or b"{}"), "attributes": {}}
        for path in arrays_of(found)
    }


def _crs(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """The code of a CRS, where it is given or its text tells it, and the text."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    wkt, epsg = str(attrs.get("crs_wkt", "")), _json(attrs.get("epsg"))
    if epsg is None:
        with suppress(CRSError):  # of a local one
            epsg = CRS.from_wkt(wkt).to_epsg()
    return {"epsg": epsg, "wkt": wkt}


def _series(engine: Engine, product: str, shown: Collection[str]) -> dict[str, Any]:
    found = {}
    for name, (group, array, label) in SERIES.items():
        where = f"{product}/{group}"
        if group not in ("raw", *shown) or get_bytes(engine.store, f"{where}/{array}/zarr.json") is None:
            continue
        cube = open_group(engine.store, where)
        packed = cube[array].encoding.get("dtype") == "int16"
        found[name] = {
            "path": f"{where}/{array}",
            "label": label,
            "days": _days(cube["time"].values),
            "packing": {"scale": PACKING["scale_factor"], "missing": PACKING["_FillValue"]} if packed else None,
            "observed": cube["observed"].values.astype(int).tolist() if "observed" in cube.variables else None,
        }
    return found


def _motion(engine: Engine, product: str) -> dict[str, Any]:
    """Where the stored coefficients lie, and the first date, from which their year counts."""
    fit = open_group(engine.store, f"{product}/products")
    return {name: f"{product}/products/{name}" for name in MOTION if name in fit.variables}


def _forecast(engine: Engine, product: str, shown: Collection[str]) -> dict[str, Any] | None:
    """The forecast beyond the record, of the method that scored best, or of a forecaster that was trained."""
    for group in ("forecast", "predicted"):
        where = f"{product}/{group}"
        if group not in shown:
            continue
        made = open_group(engine.store, where)
        return {
            "paths": {name: f"{where}/{name}" for name in ("displacement", "lower", "upper") if name in made.variables},
            "days": _days(made["time"].values[-1]),
            "origin": _origin(made),
            "level": float(made.attrs["level"]) if "level" in made.attrs else None,
            "method": str(made.attrs.get("method", "")),
        }
    return None


def _origin(made: xr.Dataset) -> int | None:
    """The last date that was known, where the forecast says it."""
    origin = made["origin"].values[-1] if "origin" in made.variables else None
    return None if origin is None or origin.dtype.kind != "M" else _days(np.asarray([origin]))[0]


def _scores(engine: Engine, product: str) -> dict[str, Any] | None:
    note, _ = scores_of(engine, product)
    if note is None:
        return None
    table, best = note["tables"]["honest"], note["default"]
    return {
        "method": best,
        "rmse": table[best]["rmse_all"],
        "persistence": table["persistence"]["rmse_all"] if "persistence" in table else None,
        "coverage": table[best].get("coverage_all"),
        "level": note["level"],
        "horizon": note["horizon"],
        "every_days": note["every_days"],
    }


def _days(times: npt.NDArray[Any]) -> list[int]:
    """Days since 1970."""
    return [int(day) for day in times.astype("datetime64[D]").astype(np.int64)]


def _json(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value
