"""The overview of a product as a stage: one chunk of a level is one job, and no other writes it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from zarr.abc.store import Store

from insar_dask.cube import CubeError
from insar_dask.jobs.engine import Engine, JobError, StageReport, str_path
from insar_dask.jobs.lock import owned
from insar_dask.jobs.receipts import Ledger, Receipt
from insar_dask.jobs.recipe import STEPS, canonical_key
from insar_dask.jobs.task import read_input
from insar_dask.jobs.watch import watched
from insar_dask.layout import CODEC, create_group
from insar_dask.objects import get_bytes, list_names, open_store, put_bytes
from insar_dask.shard_store import write_block
from insar_dask.shards import ShardPlan
from insar_dask.store import all_arrays, open_group, products, shard_plan
from insar_dask.viewer.about import about
from insar_dask.viewer.overview import (
    AT_ONCE,
    CHUNK_POINTS,
    MISSING,
    VARIABLES,
    Level,
    explore_chunk,
    levels_of,
    packing,
    shown_range,
)

__all__ = ["GROUP", "INDEX", "explore_shard", "prepare", "write_overview", "write_overviews"]

GROUP = "explore"
INDEX = "explore/zarr.json"
"""Key of the document that says which products the page can show; each has its own group beside its cube."""

PLACES = ("easting", "northing")


@dataclass(frozen=True)
class _Source:
    """A group that variables of the map are read from, whole."""

    names: tuple[str, ...]
    checksums: tuple[str, ...]


def prepare(path: str | Path, *, quiet: bool = False) -> str:
    """Bring the overviews of a store up to date; returns why not, where an earlier one has to do, else nothing.

    Raises
    ------
    CubeError, JobError, OSError
        When it cannot be done, and the store has no overview yet.
    """
    try:
        with owned(path), Engine(path, quiet=quiet) as engine:
            write_overviews(engine)
    except (JobError, PermissionError) as error:
        if get_bytes(open_store(path), INDEX) is None:
            raise
        return str(error)
    return ""


def write_overviews(engine: Engine) -> list[str]:
    """Bring the overviews of all products of a store up to date; returns the products.

    Raises
    ------
    CubeError
        When the store has no product.
    JobError
        When a cube is not whole.
    """
    found = products(engine.store)
    if not found:
        raise CubeError(f"{engine.path} holds no product yet; read one with `insar-dask ingest` or `insar-dask run`")
    for product in found:
        write_overview(engine, product)
    attributes = {"version": 1, "products": [{"name": name, "group": f"{name}/{GROUP}"} for name in found]}
    _put_document(engine.store, INDEX, attributes, {})
    return found


def write_overview(engine: Engine, product: str) -> StageReport:
    """Bring the overview of a product up to date: ``PRODUCT/explore``, chunks whose receipts and bytes agree stay."""
    began = time.perf_counter()
    sources = _sources(engine, product)
    base, cubes = _base(sources), {name: open_group(engine.store, f"{product}/{name}") for name in sources}
    plan = shard_plan(engine.store, f"{product}/{base}")
    survey = _survey(cubes, base, sources)
    computed = points = size = chunks = 0
    for number, level in enumerate(levels_of(plan.n_points)):
        made, level_plan = _run_level(engine, product, number, level, plan, sources, survey)
        chunks += level_plan.n_shards
        computed += len(made)
        points += sum(receipt.points for receipt in made.values())
        size += sum(receipt.size for receipt in made.values())
    _describe(engine, product, cubes, survey, levels_of(plan.n_points))
    counts = computed, points, size
    return engine.report(StageReport(f"{product}/{GROUP}", chunks, *counts, time.perf_counter() - began))


def explore_shard(
    path: str | Path | Store, target: str, index: int, plan: ShardPlan, order: Mapping[str, Any], key: str
) -> list[Receipt]:
    """Make one chunk of a level, from shards that hold what their receipts say."""
    began, store = time.perf_counter(), open_store(path)
    rows = Level(**order["level"]).rows(plan.slice(index).start, plan.slice(index).stop)
    values: dict[str, npt.NDArray[Any]] = {}
    for group, names, shard, checksums in order["sources"]:
        parts = []
        for at, checksum in checksums:
            inside = rows[(rows >= at * shard) & (rows < (at + 1) * shard)] - at * shard
            block = read_input(store, group, at, checksum, names)
            parts.append({name: _plain(name, block[name].values)[inside] for name in names})
        values.update({name: np.concatenate([part[name] for part in parts]) for name in names})
    made = explore_chunk(values, rows, order["offset"], order["steps"])
    claim = Ledger(store).check_free(target, index, key)
    stored = write_block(store, target, plan, index, made)
    receipt = Receipt.sign(index, key, stored, len(rows), began)
    Ledger(store).write(target, receipt, claim)
    return [receipt]


def _plain(name: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """One number a point: of the probability of passing a limit that of the last date."""
    return values[:, -1] if name == "exceedance" else values


def _sources(engine: Engine, product: str) -> dict[str, _Source]:
    """Groups that are there and whole, and what is read of each; places come from the first, which is the smallest."""
    groups: dict[str, list[str]] = {}
    whole = [group for group in ("products", "patterns", "outlook", "raw") if _whole(engine, f"{product}/{group}")]
    if not whole:
        engine.require(f"{product}/raw")
    known = {group: {array.basename for array, _ in all_arrays(engine.store, f"{product}/{group}")} for group in whole}
    for name in (*PLACES, *VARIABLES):
        # what a group has taken over from the raw cube is read there: the series need not be
        shown = VARIABLES.get(name)
        wanted = whole[:1] if shown is None or shown.group == "raw" else [shown.group]
        for group in wanted:
            if name in known.get(group, ()):
                groups.setdefault(group, []).append(name)
    return {
        group: _Source(tuple(names), tuple(r.checksum for r in engine.require(f"{product}/{group}").values()))
        for group, names in groups.items()
    }


def _whole(engine: Engine, group: str) -> bool:
    if get_bytes(engine.store, f"{group}/zarr.json") is None:
        return False
    try:
        engine.require(group)
    except JobError:
        return False
    return True


def _base(sources: Mapping[str, _Source]) -> str:
    return next(group for group, source in sources.items() if "easting" in source.names)


@dataclass(frozen=True)
class _Survey:
    """What is true of all points: whence places count, extent; steps, first ranges and least and most of variables."""

    offset: tuple[float, float]
    extent: tuple[float, float, float, float]
    steps: Mapping[str, float]
    ranges: Mapping[str, tuple[float, float]]
    limits: Mapping[str, tuple[float, float]]
    classes: int


def _survey(cubes: Mapping[str, xr.Dataset], base: str, sources: Mapping[str, _Source]) -> _Survey:
    """One look at every variable: a few bytes a point."""
    east, north = (cubes[base][name].values for name in PLACES)
    extent = float(east.min()), float(north.min()), float(east.max()), float(north.max())
    middle = round((extent[0] + extent[2]) / 2), round((extent[1] + extent[3]) / 2)
    steps: dict[str, float] = {}
    ranges: dict[str, tuple[float, float]] = {}
    limits: dict[str, tuple[float, float]] = {}
    classes = 0
    for group, name in _variables(sources):
        values = _plain(name, cubes[group][name].values)
        if name == "cluster":
            classes = int(values.max(initial=-1)) + 1
            steps[name], ranges[name], limits[name] = 1.0, (0.0, float(classes)), (-1.0, classes - 1.0)
            continue
        known = values[np.isfinite(values)]
        if known.size:  # of a variable without any value there is nothing to show
            limits[name] = float(known.min()), float(known.max())
            steps[name] = packing(name, max(map(abs, limits[name])))
            ranges[name] = shown_range(name, np.asarray(known, np.float64))
    return _Survey((float(middle[0]), float(middle[1])), extent, steps, ranges, limits, classes)


def _variables(sources: Mapping[str, _Source]) -> Iterator[tuple[str, str]]:
    of = {name: group for group, source in sources.items() for name in source.names}
    return ((of[name], name) for name in VARIABLES if name in of)


def _run_level(
    engine: Engine,
    product: str,
    number: int,
    level: Level,
    cut: ShardPlan,
    sources: Mapping[str, _Source],
    survey: _Survey,
) -> tuple[dict[int, Receipt], ShardPlan]:
    target = f"{product}/{GROUP}/{number}"
    plan = ShardPlan(level.size, min(CHUNK_POINTS, level.size))
    if create_group(engine.store, target, _template(survey), plan):
        engine.ledger.forget(target)
    orders = {i: _order(product, level, plan.slice(i), cut, sources, survey) for i in range(plan.n_shards)}
    keys = {i: _key(order, plan.slice(i)) for i, order in orders.items()}
    engine.ledger.supersede(target, keys)
    pending = {index: {"level": keys[index]} for index in sorted(engine.stale(target, keys))}

    def task(index: int, wanted: Mapping[str, str]) -> tuple[Any, ...]:
        return str_path(engine.path), target, index, plan, orders[index], wanted["level"]

    with watched(engine, target, plan, list(pending), [target], "") as progress:
        made = engine.settle(f"stage {target}", {"level": target}, pending, explore_shard, task, progress, (CubeError,))
    engine.ledger.compact(target)
    return {index: receipt for (_, index), receipt in made.items()}, plan


def _template(survey: _Survey) -> xr.Dataset:
    none = np.empty(0)
    values = {name: none.astype(np.int8 if name == "cluster" else float) for name in (*PLACES, *survey.steps)}
    made = explore_chunk(values, none, survey.offset, survey.steps)
    for name, origin in zip(PLACES, survey.offset, strict=True):
        made[name].attrs = {"units": "dm", "long_name": f"{name} from {origin:.0f} m"}
    made["row"].attrs = {"units": "1", "long_name": "row of the point in the cube"}
    for name, step in survey.steps.items():
        shown = VARIABLES[name]
        words = {"long_name": shown.label, "units": shown.units or "1"}
        made[name].attrs = words | ({} if name == "cluster" else {"step": step, "missing": MISSING})
    return made


def _order(
    product: str, level: Level, where: slice, cut: ShardPlan, sources: Mapping[str, _Source], survey: _Survey
) -> dict[str, Any]:
    """What a task is told: which shards of which groups hold its rows."""
    shards = np.unique(level.rows(where.start, where.stop) // cut.shard).tolist()
    return {
        "level": {"n_points": level.n_points, "step": level.step, "coarser": level.coarser},
        "offset": list(survey.offset),
        "steps": dict(survey.steps),
        "sources": [
            (f"{product}/{group}", names, cut.shard, [(at, source.checksums[at]) for at in shards])
            for group, source in sources.items()
            if (names := [name for name in source.names if name in survey.steps or name in PLACES])
        ],
    }


def _key(order: Mapping[str, Any], where: slice) -> str:
    what = {**order, "rows": [where.start, where.stop]}
    return canonical_key({**what, "version": STEPS["explore"][1], "codec": CODEC})


def _describe(
    engine: Engine, product: str, cubes: Mapping[str, xr.Dataset], survey: _Survey, levels: list[Level]
) -> None:
    """Write the group's document: all that the page has to know before it draws, in one request."""
    group = f"{product}/{GROUP}"
    variables = {
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
    attributes = {
        "version": 1,
        "n_points": levels[0].n_points,
        "levels": [level.size for level in levels],
        "chunk": CHUNK_POINTS,
        "at_once": AT_ONCE,
        "offset": list(survey.offset),
        "extent": list(survey.extent),
        "missing": MISSING,
        "variables": variables,
        "chunk_boxes": [_boxes(engine.store, f"{group}/{number}") for number in range(len(levels))],
        **about(engine, product, cubes),
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
