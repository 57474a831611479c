"""What the page reads before it draws: a document that names the products, and one a product with all the rest."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from zarr.abc.store import Store

from insar_dask.cube import CubeError
from insar_dask.jobs.engine import Engine
from insar_dask.objects import get_bytes, list_names, put_bytes
from insar_dask.store import all_arrays
from insar_dask.viewer.about import about
from insar_dask.viewer.areas import shown_areas
from insar_dask.viewer.degrees import degrees_of
from insar_dask.viewer.overview import AT_ONCE, CHUNK_POINTS, MISSING, VARIABLES, Level
from insar_dask.viewer.survey import PLACES, Survey

__all__ = ["GROUP", "INDEX", "describe", "put_index"]

GROUP = "explore"
INDEX = "explore/zarr.json"
"""Key of the document that says which products the page can show; each has its own group beside its cube."""


def put_index(store: Store, products: Sequence[str]) -> None:
    """Say which products of a store can be shown."""
    listed = [{"name": name, "group": f"{name}/{GROUP}"} for name in products]
    _put_document(store, INDEX, {"version": 1, "products": listed}, {})


def describe(
    engine: Engine,
    product: str,
    shown: Collection[str],
    cubes: Mapping[str, xr.Dataset],
    base: str,
    survey: Survey,
    levels: Sequence[Level],
    scenes: Collection[str],
) -> None:
    """Write the group's document: all that the page has to know before it draws, in one request.

    Of the product's groups those ``shown`` are told of, and areas of some ``scenes``; places are those of the group
    ``base`` among the cubes.
    """
    group, wkt = f"{product}/{GROUP}", str(cubes[base]["crs"].attrs.get("crs_wkt", ""))
    attributes = {
        "version": 1,
        "n_points": levels[0].n_points,
        "levels": [level.size for level in levels],
        "chunk": CHUNK_POINTS,
        "at_once": AT_ONCE,
        "offset": list(survey.offset),
        "extent": list(survey.extent),
        "missing": MISSING,
        "variables": _variables(survey),
        "menu": list(survey.steps),
        "chunk_boxes": [_boxes(engine.store, f"{group}/{number}") for number in range(len(levels))],
        "areas": shown_areas(engine.store, product, wkt, survey.extent, survey.offset, scenes),
        **about(engine, product, shown, cubes, degrees_of(wkt, survey.extent), survey.offset),
    }
    stored = [name for name in list_names(engine.store, group) if name != "zarr.json"]
    for name in stored[len(levels) :]:
        raise CubeError(f"{group}/{name} is no level of this product; remove the folder {group}")
    documents = {
        key: json.loads(get_bytes(engine.store, f"{group}/{key}/zarr.json") or b"{}")
        for number in range(len(levels))
        for key in (str(number), *(f"{number}/{name}" for name in (*PLACES, "row", *survey.steps)))
    }
    _put_document(engine.store, f"{group}/zarr.json", attributes, documents)


def _variables(survey: Survey) -> dict[str, dict[str, Any]]:
    variables: dict[str, dict[str, Any]] = {
        name: {
            "kind": VARIABLES[name].kind,
            "label": VARIABLES[name].label,
            "units": VARIABLES[name].units,
            "step": step,
            "range": list(survey.ranges[name]),
            "limits": list(survey.limits[name]),
        }
        for name, step in survey.steps.items()
    }
    if "cluster" in variables:
        variables["cluster"]["classes"] = survey.classes
    return variables


def _boxes(store: Store, group: str) -> list[list[int]]:
    """West, south, east and north of every chunk, in steps of the places."""
    arrays = {array.basename: array for array, _ in all_arrays(store, group)}
    boxes = []
    for start in range(0, arrays["easting"].shape[0], CHUNK_POINTS):
        east, north = (np.asarray(arrays[name][start : start + CHUNK_POINTS]) for name in PLACES)
        boxes.append([int(limit) for limit in (east.min(), north.min(), east.max(), north.max())])
    return boxes


def _put_document(store: Store, key: str, attributes: Mapping[str, Any], documents: Mapping[str, Any]) -> None:
    """A group's ``zarr.json`` with those of everything below it: sorted, so that equal overviews have equal bytes."""
    document: dict[str, Any] = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    if documents:
        inline = {"kind": "inline", "must_understand": False, "metadata": documents}
        document["consolidated_metadata"] = inline
    data = json.dumps(document, sort_keys=True, allow_nan=False, separators=(",", ":")).encode()
    if get_bytes(store, key) != data:
        put_bytes(store, key, data)
