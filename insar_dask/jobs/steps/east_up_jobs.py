"""Stored tracks to stored east and up: one run of cells is one job, which reads the shards that its points lie in."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from zarr.abc.store import Store

from insar_dask.cube import CubeError
from insar_dask.geometry.cells import N_TOTALS, Cells, Sight, in_cells, sight_of, sights
from insar_dask.geometry.cubes import cubes_of
from insar_dask.geometry.options import Options
from insar_dask.geometry.sums import LookSums
from insar_dask.geometry.tracks import STATIC, Track
from insar_dask.jobs.engine import Engine, StageReport, str_path
from insar_dask.jobs.groups import make_group
from insar_dask.jobs.holding.lock import owned, unused_gone
from insar_dask.jobs.memory import BASE_BYTES, check_memory
from insar_dask.jobs.progress.places import block_box
from insar_dask.jobs.progress.watch import watched
from insar_dask.jobs.receipts import Ledger, Receipt
from insar_dask.jobs.recipe import STEPS, canonical_key
from insar_dask.jobs.steps.meeting_jobs import StoredMeeting, StoredTrack, meet_tracks, wanted_names
from insar_dask.jobs.steps.tile_jobs import TileSource, tile_sources
from insar_dask.jobs.task import read_input
from insar_dask.layout import CODEC
from insar_dask.machine import one_blas_thread
from insar_dask.objects import get_bytes, open_store
from insar_dask.shard_store import write_block
from insar_dask.shards import ShardPlan
from insar_dask.store import open_group, shard_plan

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["SHARD_CELLS", "save_east_up", "store_east_up", "track_sources"]

SHARD_CELLS = 16_384
"""Cells of a shard: their sums take 12 kB each at 304 dates, 200 MB."""

COMPONENTS = ("east", "up")
PRODUCT = "east_up"
"""What `insar_dask.geometry.cubes.shared_attributes` calls what it describes."""

PLAIN = re.compile(r"\w[\w.-]*")


def save_east_up(
    sources: str | Path | Iterable[str | Path],
    path: str | Path,
    name: str = "east_up",
    *,
    shard_cells: int = SHARD_CELLS,
    client: Client | None = None,
    quiet: bool = False,
    **options: Any,
) -> tuple[str, str]:
    """East and up of stored tracks, as `insar_dask.geometry.series.east_up`; what a killed call finished is kept.

    Parameters
    ----------
    sources : path or iterable of paths
        Stores, of which all lines of sight are taken, or ``STORE/PRODUCT``.
    path : str or Path
        The store, made when absent; it may be one of the sources.
    name : str
        The products are ``NAME_E`` and ``NAME_U``.
    shard_cells : int
        Most cells of a shard.
    client : distributed.Client, optional
        Where tasks run; default: in this process.
    quiet : bool
        No progress bar.
    **options
        Of `east_up`.

    Returns
    -------
    tuple of str
        The groups of the raw cubes of east and of up: bit for bit those of `east_up`, for any length of shards.

    Raises
    ------
    CubeError
        What `east_up` says of the tracks.
    JobError
        When a source is not whole.
    """
    many = [sources] if isinstance(sources, str | Path) else list(sources)
    with owned(path), unused_gone(path), Engine(path, client, quiet=quiet) as engine:
        found = [source for one in many for source in track_sources(one)]
        store_east_up(engine, found, name, Options.of(options), shard_cells)
    return _group(name, "east"), _group(name, "up")


def track_sources(source: str | Path) -> list[TileSource]:
    """Lines of sight behind a path: all of a store, or the one that ``STORE/PRODUCT`` names.

    Raises
    ------
    CubeError
        When there are none.
    """
    sources = tile_sources(source)
    components = [open_group(one.path, one.group).attrs.get("component") for one in sources]
    found = [one for one, component in zip(sources, components, strict=True) if component == "los"]
    if not found:
        raise CubeError(
            f"{source} has no lines of sight ('los'), it has {sorted(set(map(str, components)))}: leave it out"
        )
    return found


def store_east_up(
    engine: Engine, sources: Sequence[TileSource], name: str, options: Options, shard_cells: int = SHARD_CELLS
) -> StageReport:
    """As `save_east_up`, where an engine works already."""
    began = time.perf_counter()
    saves = {component: _group(name, component) for component in COMPONENTS}
    _check_free(engine, name, saves)
    tracks = _looked_at(sources)
    meeting = meet_tracks(engine, name, tracks, options, shard_cells)
    plan = meeting.plan
    _create(engine, saves, meeting, tracks[0].cube["crs"].variable)
    state = engine.ledger.write_state({"cells": meeting.cells.keys, "dates": meeting.dates.astype(np.int64)})
    orders = {i: _order(tracks, meeting, i, state) for i in range(plan.n_shards)}
    keys = {i: {c: _key(order, c) for c in saves} for i, order in orders.items()}
    pending: dict[int, dict[str, str]] = {}
    for component, group in saves.items():
        of_group = {index: wanted[component] for index, wanted in keys.items()}
        engine.ledger.supersede(group, of_group)
        for index in engine.stale(group, of_group):
            pending.setdefault(index, {})[component] = of_group[index]
    pending = dict(sorted(pending.items()))
    check_memory(f"east and up of {plan.shard:,} cells", _memory(tracks, plan, len(meeting.dates)), engine.client)

    def task(index: int, wanted: Mapping[str, str]) -> tuple[Any, ...]:
        return str_path(engine.path), saves, index, plan, orders[index], wanted

    with watched(engine, name, plan, list(pending), list(saves.values()), saves["up"]) as progress:
        made = engine.settle(f"stage {name}", saves, pending, meet_shard, task, progress, (CubeError,))
    n_cells = sum(plan.slice(i).stop - plan.slice(i).start for i in pending)
    counts = len(pending), n_cells, sum(receipt.size for receipt in made.values())
    return engine.report(StageReport(name, plan.n_shards, *counts, time.perf_counter() - began))


def meet_shard(
    path: str | Path | Store,
    saves: Mapping[str, str],
    index: int,
    plan: ShardPlan,
    order: Mapping[str, Any],
    keys: Mapping[str, str],
) -> list[Receipt]:
    """East and up of one run of cells, on this thread; from shards that hold what their receipts say."""
    began, store = time.perf_counter(), open_store(path)
    state, options = Ledger(store).read_state(order["state"]), Options.of(order["options"])
    cells = Cells(state["cells"], options.cell).part(plan.slice(index))
    dates = state["dates"].astype("datetime64[ns]")
    with one_blas_thread():
        sums, sight = _summed(order["sources"], cells, dates, options)
        solution = sums.solve(sight.reason == 0)
    east_up = cubes_of(solution, sight, cells, dates, xr.Variable((), np.int32(0)), {})
    receipts = []
    for component in sorted(keys):
        group = saves[component]
        claim = Ledger(store).check_free(group, index, keys[component])
        block = getattr(east_up, component)
        stored = write_block(store, group, plan, index, block)
        receipt = Receipt.sign(index, keys[component], stored, len(cells.keys), began, block_box(block))
        Ledger(store).write(group, receipt, claim)
        receipts.append(receipt)
    return receipts


def _summed(sources: Sequence[Any], cells: Cells, dates: Any, options: Options) -> tuple[LookSums, Sight]:
    """Sums over all shards that hold points of some cells, one shard in memory at a time."""
    sums = LookSums.empty(len(cells.keys), dates, options)
    tracks, members = [], []
    for path, group, shards in sources:
        store = open_store(path)
        for index, checksum in shards:
            block = read_input(store, group, index, checksum, ["displacement", *wanted_names(options)])
            track = Track.of(block, options)
            inside = in_cells(track, cells, options)
            sums.add(block["displacement"].values, track, inside, block["time"].values)
            tracks.append(track.part(inside >= 0))
            members.append(inside[inside >= 0])
    return sums, sights(tracks, members, len(cells.keys), options)


def _check_free(engine: Engine, name: str, saves: Mapping[str, str]) -> None:
    """Raise where a name is no name of a product, or that of one that was not made of tracks."""
    if not PLAIN.fullmatch(name):
        raise ValueError(f"name is {name!r}; wanted letters, digits, dots, dashes and underscores")
    for group in saves.values():
        if get_bytes(engine.store, f"{group}/zarr.json") is None:
            continue
        kept = open_group(engine.store, group).attrs
        if kept.get("product") != PRODUCT:
            raise CubeError(
                f"the store has {group} already, of {kept.get('source', 'another source')}, and east and up would take "
                "its place: take another name"
            )


def _looked_at(sources: Sequence[TileSource]) -> list[StoredTrack]:
    named = [(str(source.path), source.group) for source in sources]
    if len(set(named)) < len(named):
        raise CubeError(
            f"a track is named twice among {sorted(group for _, group in named)}: its points would count so"
        )
    found = []
    for source in sources:
        receipts = Engine(source.path, quiet=True).require(source.group)
        cube, plan = open_group(source.path, source.group), shard_plan(open_store(source.path), source.group)
        checksums = tuple(receipts[i].checksum for i in range(plan.n_shards))
        found.append(StoredTrack(source.path, source.group, cube, plan, checksums))
    return found


def _create(engine: Engine, saves: Mapping[str, str], meeting: StoredMeeting, crs: xr.Variable) -> None:
    """Make both groups, after what no cell at all would come to."""
    none, few = slice(0, 0), meeting.options
    sight = sight_of(np.zeros((0, N_TOTALS), np.int64), few)
    solution = LookSums.empty(0, meeting.dates, few).solve(sight.reason == 0)
    recipe = {"function": "east_up", "version": STEPS["east_up"][1], "params": few.to_dict()}
    attrs = {**meeting.attributes, "recipe": [recipe]}
    templates = cubes_of(solution, sight, meeting.cells.part(none), meeting.dates, crs, attrs)
    for component, group in saves.items():
        make_group(engine.ledger, group, getattr(templates, component), meeting.plan)


def _order(tracks: Sequence[StoredTrack], meeting: StoredMeeting, run: int, state: str) -> dict[str, Any]:
    """What a task is told: which shards of which tracks hold points of its cells."""
    sources = [
        (track.path, track.group, [(i, track.checksums[i]) for i in shards])
        for track, shards in zip(tracks, meeting.shards[run], strict=True)
    ]
    where = meeting.plan.slice(run)
    cells = [where.start, where.stop]
    return {"state": state, "cells": cells, "options": meeting.options.to_dict(), "sources": sources}


def _key(order: Mapping[str, Any], component: str) -> str:
    inputs = sorted([checksum for _, checksum in shards] for _, _, shards in order["sources"])
    what = {"input": inputs, "component": component} | {name: order[name] for name in ("state", "cells", "options")}
    return canonical_key({**what, "version": STEPS["east_up"][1], "codec": CODEC})


def _memory(tracks: Sequence[StoredTrack], plan: ShardPlan, n_dates: int) -> int:
    """Sums and results of a run of cells, and the largest shard twice: as it is read, and what lies in the cells."""
    cells = min(plan.shard, plan.n_points) * n_dates * (5 * 8 + 2 * 5 * 4)
    return BASE_BYTES + cells + max(2 * 4 * t.plan.shard * (t.cube.sizes["time"] + 3 * len(STATIC)) for t in tracks)


def _group(name: str, component: str) -> str:
    return f"{name}_{component[0].upper()}/raw"
