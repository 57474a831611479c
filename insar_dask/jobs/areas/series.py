"""What the stored series of areas' points tell, each area by the product that has most points in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.detect.areas import Areas
from insar_dask.detect.evidence import exceedances, histories, points_in
from insar_dask.detect.rates import recent_dates, recent_rates
from insar_dask.jobs.task import read_input
from insar_dask.objects import open_store
from insar_kernels.nested_models import MIN_DATES

__all__ = ["Part", "Wanted", "points_of", "series_of"]

Columns = dict[str, npt.NDArray[Any]]

UNKNOWN = {"f": np.nan, "i": 0, "U": "", "O": ""}
"""What an area without series has, by the kind of a column."""


@dataclass(frozen=True)
class Part:
    """Points of a shard that lie in a window."""

    product: int
    """Its number among those of the window."""
    shard: int
    places: npt.NDArray[np.int64]
    """Numbers of the points in their shard."""
    points: xr.Dataset


Wanted = Sequence[tuple[Part, npt.NDArray[np.int64]]]
"""Parts, and places of some of their points."""


def series_of(areas: Areas, parts: Sequence[Part], order: Mapping[str, Any]) -> Columns:
    """Columns of `histories`, `recent_rates` and, where there is a forecast, `exceedances`.

    Parameters
    ----------
    areas : Areas
    parts : sequence of Part
        All points that lie in them.
    order : mapping
        ``products`` with the checksums of their shards, and ``years`` that rates are taken over.
    """
    members = [points_in(areas, part.points) for part in parts]
    numbers = np.zeros((len(areas), len(order["products"])), np.int64)
    for part, mine in zip(parts, members, strict=True):
        numbers[:, part.product] += [len(inside) for inside in mine]
    most = np.where(numbers.any(axis=1), numbers.argmax(axis=1), -1)  # the first of several
    columns: Columns = {}
    for product in np.unique(most[most >= 0]).tolist():
        chosen = np.flatnonzero(most == product)
        wanted = [
            (part, np.unique(np.concatenate([mine[k] for k in chosen])))
            for part, mine in zip(parts, members, strict=True)
            if part.product == product
        ]
        told = _told(areas.part(chosen), [one for one in wanted if one[1].size], order["products"][product], order)
        for name, values in told.items():
            if name not in columns:
                columns[name] = np.full(len(areas), UNKNOWN[values.dtype.kind], _kind(values))
            columns[name][chosen] = values
    return columns


def _told(areas: Areas, wanted: Wanted, product: Mapping[str, Any], order: Mapping[str, Any]) -> Columns:
    """What the points of one product tell of areas."""
    before = set(areas.columns)
    cube = points_of(wanted, product, "raw")
    areas = histories(areas, cube)
    if len(recent_dates(cube["time"].values, None, order["years"])) >= MIN_DATES:
        areas = recent_rates(areas, cube, years=order["years"])
    stages = set(product["shards"][0][1])
    if "forecast" in stages:
        forecast = points_of(wanted, product, "forecast").isel(origin=-1, lead=-1)
        if "outlook" in stages:
            outlook = points_of(wanted, product, "outlook")["exceedance"].isel(lead=-1)
            forecast = forecast.assign(exceedance=("point", outlook.values))
        areas = exceedances(areas, forecast)
    return {name: values for name, values in areas.columns.items() if name not in before}


def points_of(
    wanted: Sequence[tuple[Part, npt.NDArray[np.int64]]], product: Mapping[str, Any], stage: str
) -> xr.Dataset:
    """Some points of a stage, in the order of their shards; one shard is in memory at a time."""
    store, checksums = open_store(product["path"]), dict(product["shards"])
    blocks = []
    for part, inside in wanted:
        block = read_input(store, f"{product['name']}/{stage}", part.shard, checksums[part.shard][stage])
        blocks.append(block.isel(point=part.places[inside]))
    together: Any = {"data_vars": "minimal", "coords": "minimal", "compat": "override", "join": "override"}
    return xr.concat(blocks, dim="point", combine_attrs="override", **together) if len(blocks) > 1 else blocks[0]


def _kind(values: npt.NDArray[Any]) -> Any:
    return object if values.dtype.kind in "UO" else values.dtype
