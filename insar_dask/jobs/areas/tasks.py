"""What workers do to find moving areas: survey a tile, find what moves in it, tell the evidence of some areas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.detect.areas import Areas, MapGrid, shapely_of
from insar_dask.detect.cards import cards_of
from insar_dask.detect.errors import with_floor
from insar_dask.detect.finding import runs_of_window, ways_of
from insar_dask.detect.labelling import Cells, Runs
from insar_dask.detect.mapping import maps_on
from insar_dask.detect.rates import rates_in_space
from insar_dask.detect.rules import Background, Rule, count_seasons
from insar_dask.detect.terrain import heights_on
from insar_dask.jobs.areas.series import Part, series_of
from insar_dask.jobs.receipts import Ledger
from insar_dask.jobs.steps.part_jobs import Arrays, Order
from insar_dask.jobs.task import read_input
from insar_dask.objects import open_store

__all__ = [
    "cells_of",
    "find",
    "outlines_of",
    "packed_cells",
    "packed_outlines",
    "runs_by_way",
    "survey",
    "tell",
    "window_maps",
]


def window_maps(order: Order) -> tuple[xr.Dataset, list[Part]]:
    """Maps of a window of a scene, and the points that they are made of."""
    grid = _window(order)
    parts = [part for part in _read(order) if part.points.sizes["point"]]
    return maps_on(_joined(parts, order["names"], order), grid), parts


def survey(order: Order, _: Ledger) -> Arrays:
    """How often still ground of a tile has each season; and a coarse map of its velocity, to be looked at."""
    maps, _parts = window_maps(order)
    top, _, left, _ = order["window"]
    velocity, step = maps["velocity"].values, order["coarse"]
    rows, columns = ((first + np.arange(n)) // step for first, n in zip((top, left), velocity.shape, strict=True))
    known = np.isfinite(velocity)
    shape = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    index = (rows - rows[0])[:, None] * shape[1] + (columns - columns[0])
    sums = [
        np.bincount(index[known], weights=weights, minlength=shape[0] * shape[1]).reshape(shape)
        for weights in (velocity[known].astype(np.float64), None)
    ]
    coarse = {"first": np.array([rows[0], columns[0]]), "sums": sums[0], "numbers": sums[1].astype(np.int64)}
    return count_seasons(maps, Rule(**order["rule"])) | coarse


def find(order: Order, _: Ledger) -> Arrays:
    """Runs of the cells of a tile that move, by the way they do."""
    maps, _parts = window_maps(order)
    background = _background(order)
    top, left = order["first"]
    (first_row, _, first_column, _), (n_rows, n_columns) = order["window"], order["size"]
    inner = (
        slice(top - first_row, top - first_row + n_rows),
        slice(left - first_column, left - first_column + n_columns),
    )
    found: Arrays = {}
    for way in ways_of(Rule(**order["rule"])):
        runs = runs_of_window(maps, way, background, inner, top, left)
        found |= {f"{way.sign}_{name}": values for name, values in runs._asdict().items()}
    return found


def runs_by_way(part: Mapping[str, npt.NDArray[Any]], sign: str) -> Runs:
    """Runs of one way of what `find` stored."""
    return Runs(*(part[f"{sign}_{name}"] for name in Runs._fields))


def tell(order: Order, ledger: Ledger) -> Arrays:
    """Cards of some areas, and their outlines where none were given."""
    state = ledger.read_state(order["state"])
    scene = MapGrid(*order["scene"])
    cells = cells_of(state)
    outlines = outlines_of(state) or [scene.outline(mine) for mine in cells]
    maps, parts = window_maps(order)
    if order["dem"] is not None:
        maps["height"] = (("y", "x"), heights_on(order["dem"]["path"], _window(order)))
    areas = Areas(outlines, {}, scene.crs_wkt)
    areas = cards_of(areas, maps, cells, Rule(**order["rule"]), _background(order), scene)
    if order["east"] is not None:
        east, _parts = window_maps(order["east"])
        areas = rates_in_space(areas, east, maps)
    columns = dict(areas.columns) | series_of(areas, parts, order)
    return {f"column_{name}": _plain(values) for name, values in columns.items()} | packed_outlines(outlines)


def packed_cells(cells: list[Cells]) -> Arrays:
    """Cells of areas as arrays."""
    rows, columns = (np.concatenate([mine[axis] for mine in cells]) for axis in (0, 1))
    return {"row": rows, "column": columns, "n_cells": np.array([len(mine.row) for mine in cells])}


def cells_of(state: Mapping[str, npt.NDArray[Any]]) -> list[Cells]:
    """The cells that `packed_cells` packed."""
    cuts = np.cumsum(state["n_cells"])[:-1]
    return [Cells(*both) for both in zip(np.split(state["row"], cuts), np.split(state["column"], cuts), strict=True)]


def packed_outlines(outlines: list[Any]) -> Arrays:
    """Outlines as arrays."""
    texts = [shapely_of().to_wkb(outline) for outline in outlines]
    return {"wkb": np.frombuffer(b"".join(texts), np.uint8), "wkb_sizes": np.array([len(text) for text in texts])}


def outlines_of(state: Mapping[str, npt.NDArray[Any]]) -> list[Any]:
    """The outlines that `packed_outlines` packed; none where there are none."""
    if "wkb" not in state:
        return []
    texts = np.split(state["wkb"], np.cumsum(state["wkb_sizes"])[:-1])
    return [shapely_of().from_wkb(text.tobytes()) for text in texts]


def _read(order: Order) -> list[Part]:
    """Motion of the points of a window, shard by shard, with errors that know the scene's floor."""
    grid, parts = _window(order), []
    for number, product in enumerate(order["products"]):
        store = open_store(product["path"])
        for shard, checksums in product["shards"]:
            name = product["name"]
            wanted = [*order["names"], "easting", "northing"]
            motion = read_input(store, f"{name}/products", shard, checksums["products"], wanted)
            errors = read_input(store, f"{name}/errors", shard, checksums["errors"], ["velocity_std_series"])
            honest = with_floor(motion, errors, floor=product["floor"])
            row, column = grid.numbers(honest["easting"].values, honest["northing"].values)
            # a cell more on each side: maps take the points of just their cells
            near = (row >= -1) & (row <= grid.rows) & (column >= -1) & (column <= grid.columns)
            parts.append(Part(number, shard, np.flatnonzero(near), honest.isel(point=np.flatnonzero(near))))
    return parts


def _joined(parts: list[Part], names: list[str], order: Order) -> xr.Dataset:
    """Points of all parts in one data set; of no parts none."""
    columns = [*names, "velocity_std", "easting", "northing"]
    if not parts:
        empty = xr.Dataset({name: ("point", np.empty(0, np.float32)) for name in columns}, attrs=order["attrs"])
        return empty.assign_coords(crs=((), np.int32(0), {"crs_wkt": order["scene"][-1]}))
    values = {name: ("point", np.concatenate([part.points[name].values for part in parts])) for name in columns}
    first = parts[0].points
    return xr.Dataset(values, {"crs": first["crs"].variable}, {**first.attrs, **order["attrs"]})


def _window(order: Order) -> MapGrid:
    top, bottom, left, right = order["window"]
    return MapGrid(*order["scene"]).window(slice(top, bottom), slice(left, right))


def _background(order: Order) -> Background:
    season = order["background"]
    return Background(float("nan") if season is None else season)


def _plain(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values.astype(str) if values.dtype == object else values
