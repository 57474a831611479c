"""The overview of a product as a stage: one chunk of a level is one job, and no other writes it."""

from __future__ import annotations

import errno
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from zarr.abc.store import Store

from insar_dask.cube import CubeError
from insar_dask.jobs.engine import Engine, JobError, StageReport, str_path
from insar_dask.jobs.groups import make_group
from insar_dask.jobs.holding.lock import owned
from insar_dask.jobs.progress.watch import watched
from insar_dask.jobs.receipts import Ledger, Receipt
from insar_dask.jobs.recipe import STEPS, canonical_key
from insar_dask.jobs.task import read_input
from insar_dask.layout import CODEC
from insar_dask.objects import get_bytes, open_store
from insar_dask.shard_store import write_block
from insar_dask.shards import ShardPlan
from insar_dask.store import open_group, products, shard_plan
from insar_dask.store_errors import StoreError, TransientStoreError
from insar_dask.viewer.areas import current_scenes
from insar_dask.viewer.documents import GROUP, INDEX, describe, put_index
from insar_dask.viewer.fresh import stamp
from insar_dask.viewer.overview import (
    CHUNK_POINTS,
    MISSING,
    VARIABLES,
    Level,
    explore_chunk,
    is_small,
    levels_of,
)
from insar_dask.viewer.survey import PLACES, Source, Survey, Tell, base_of, groups_of, plain, sources_of, survey_of

READ_ALONE = (errno.EACCES, errno.EPERM, errno.EROFS)
"""What folders answer that may be read and not written, and file systems that are mounted so."""

__all__ = ["explore_shard", "prepare", "write_overview", "write_overviews"]


def prepare(path: str | Path, *, quiet: bool = False) -> str:
    """Bring the overviews of a store up to date; returns what is not shown as it should be and why, or nothing.

    Raises
    ------
    CubeError, JobError, OSError
        When it cannot be done, and the store has no overview yet.
    """
    left_out: list[str] = []
    try:
        with owned(path), Engine(path, quiet=quiet) as engine:
            write_overviews(engine, left_out.append)
            if not left_out:
                stamp(engine.ledger)
    except (JobError, OSError) as error:
        if not _is_shut(error) or get_bytes(open_store(path), INDEX) is None:
            raise
        return f"shown as it was when it was last explored: {error}"
    return "; ".join(left_out)


def _is_shut(error: Exception) -> bool:
    """Whether another run holds a store, or who explores it may read it alone."""
    refused = isinstance(error, StoreError) and not isinstance(error, TransientStoreError)
    return refused or isinstance(error, JobError) or (isinstance(error, OSError) and error.errno in READ_ALONE)


def write_overviews(engine: Engine, tell: Tell = lambda _: None) -> list[str]:
    """Bring the overviews of all products of a store up to date; returns the products.

    ``tell`` gets why a stage, or areas, that are there are left out.

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
    scenes = current_scenes(engine, tell)
    for product in found:
        write_overview(engine, product, tell, scenes)
    put_index(engine.store, found)
    return found


def write_overview(
    engine: Engine, product: str, tell: Tell = lambda _: None, scenes: Collection[str] | None = None
) -> StageReport:
    """Bring the overview of a product up to date: ``PRODUCT/explore``, chunks whose receipts and bytes agree stay.

    Areas are shown of ``scenes``; default: of those that `current_scenes` finds.
    """
    began = time.perf_counter()
    scenes = current_scenes(engine, tell) if scenes is None else scenes
    shown = groups_of(engine, product, tell)
    sources = sources_of(engine, product, shown)
    base, cubes = base_of(sources), {name: open_group(engine.store, f"{product}/{name}") for name in sources}
    plan = shard_plan(engine.store, f"{product}/{base}")
    survey = survey_of(cubes, base, sources)
    computed = points = size = chunks = 0
    for number, level in enumerate(levels_of(plan.n_points)):
        made, level_plan = _run_level(engine, product, number, level, plan, sources, survey)
        chunks += level_plan.n_shards
        computed += len(made)
        points += sum(receipt.points for receipt in made.values())
        size += sum(receipt.size for receipt in made.values())
    describe(engine, product, shown, cubes, base, survey, levels_of(plan.n_points), scenes)
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
            parts.append({name: plain(name, block[name].values)[inside] for name in names})
        values.update({name: np.concatenate([part[name] for part in parts]) for name in names})
    made = explore_chunk(values, rows, order["offset"], order["steps"])
    claim = Ledger(store).check_free(target, index, key)
    stored = write_block(store, target, plan, index, made)
    receipt = Receipt.sign(index, key, stored, len(rows), began)
    Ledger(store).write(target, receipt, claim)
    return [receipt]


def _run_level(
    engine: Engine,
    product: str,
    number: int,
    level: Level,
    cut: ShardPlan,
    sources: Mapping[str, Source],
    survey: Survey,
) -> tuple[dict[int, Receipt], ShardPlan]:
    target = f"{product}/{GROUP}/{number}"
    plan = ShardPlan(level.size, min(CHUNK_POINTS, level.size))
    make_group(engine.ledger, target, _template(survey), plan)
    orders = {i: _order(product, level, plan.slice(i), cut, sources, survey) for i in range(plan.n_shards)}
    keys = {i: _key(order, plan.slice(i)) for i, order in orders.items()}
    engine.ledger.supersede(target, keys)
    pending = {index: {"level": keys[index]} for index in sorted(engine.stale(target, keys))}

    def task(index: int, wanted: Mapping[str, str]) -> tuple[Any, ...]:
        return str_path(engine.path), target, index, plan, orders[index], wanted["level"]

    with watched(engine, target, plan, list(pending), [target], "") as progress:
        made = engine.settle(f"stage {target}", {"level": target}, pending, explore_shard, task, progress, (CubeError,))
    return {index: receipt for (_, index), receipt in made.items()}, plan


def _template(survey: Survey) -> xr.Dataset:
    none = np.empty(0)
    values = {name: none.astype(np.int8 if is_small(name) else float) for name in (*PLACES, *survey.steps)}
    made = explore_chunk(values, none, survey.offset, survey.steps)
    for name, origin in zip(PLACES, survey.offset, strict=True):
        made[name].attrs = {"units": "dm", "long_name": f"{name} from {origin:.0f} m"}
    made["row"].attrs = {"units": "1", "long_name": "row of the point in the cube"}
    for name, step in survey.steps.items():
        shown = VARIABLES[name]
        words = {"long_name": shown.label, "units": shown.units or "1"}
        made[name].attrs = words | ({} if is_small(name) else {"step": step, "missing": MISSING})
    return made


def _order(
    product: str, level: Level, where: slice, cut: ShardPlan, sources: Mapping[str, Source], survey: Survey
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
