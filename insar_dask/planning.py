"""What a run would do, before it does anything: shards, tasks, bytes, and the memory of its largest task."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from insar_dask.config import Config
from insar_dask.jobs.cube_ingest import product_of
from insar_dask.jobs.memory import BASE_BYTES, ingest_memory, task_memory
from insar_dask.map_planning import STORED_FLOAT, plan_maps, stage_table
from insar_dask.readers.extents import Extent, extent_of
from insar_dask.readers.pixels import TILE_BYTES
from insar_dask.readers.recognise import reader_of
from insar_dask.shards import ShardPlan
from insar_dask.workbench import listed

__all__ = ["plan_run"]

STORED_TENTHS = 1.0
"""Bytes a stored value of int16 tenths takes, zstd, as measured on real bursts."""

POINT_COLUMNS = 30
"""About as many 1-D arrays, of 8 bytes, travel with the points of every group."""

PLACE_BYTES = 150
"""Bytes a pixel of places and names while the process that ingests sorts them, 147 measured; 82 are held then."""

PIXELS = ("mintpy", "raster")


def plan_run(config: Config) -> str:
    """Describe the stages of a configuration as a text table, from the headers of its files alone."""
    if not config.source.files:
        scene, kind = config.synthetic, "0 MB of text"
        sizes = [(scene.n_points, scene.n_dates)]
        parts = [_product(f"synthetic {scene.kind}", scene.n_points, scene.n_dates, scene.n_dates, kind, config)]
    else:
        found = [(source, _extent(source, config)) for source in listed(config.source)]
        sizes = [(extent.n_points, len(extent.times)) for _, extent in found]
        parts = [_source(source, extent, config) for source, extent in found]
    return "\n\n".join(parts + ([plan_maps(config, sizes)] if config.maps.method != "none" else []))


def _extent(source: Path, config: Config) -> Extent:
    reader = config.source.reader or reader_of(source)
    return extent_of(source, reader, config.source.known(reader))


def _source(source: Path, extent: Extent, config: Config) -> str:
    reader, name = config.source.reader or reader_of(source), product_of(source)
    kind = f"{extent.size / 1e6:,.0f} MB of {'rasters' if extent.at_most else 'text'}"
    if extent.at_most:
        kind += ", pixels without a series being left out"
    return _product(name, extent.n_points, len(extent.times), _grid(extent, name, config), kind, config, reader)


def _grid(extent: Extent, name: str, config: Config) -> int:
    step = int(config.prepare.spacing(name).removesuffix("D"))
    return int((extent.times[-1] - extent.times[0]) / np.timedelta64(step, "D")) + 1


def _ingest(plan: ShardPlan, n_points: int, n_dates: int, raw: int, reader: str) -> tuple[int, float, int]:
    """Tasks, bytes written and the peak of the largest process."""
    if reader == "egms":
        return 1, STORED_TENTHS * n_dates * n_points, ingest_memory(n_points, n_dates)
    written, places = STORED_FLOAT * n_dates * n_points, BASE_BYTES + PLACE_BYTES * n_points
    if reader == "psi_csv":
        return 1, written, places + 4 * n_dates * n_points
    return plan.n_shards, written, max(task_memory(plan.shard, raw) + TILE_BYTES, places)


def _product(
    name: str, n_points: int, n_dates: int, n_grid: int, kind: str, config: Config, reader: str = "egms"
) -> str:
    plan = ShardPlan.of(n_points, n_dates, config.store.shard_points)
    columns = POINT_COLUMNS * 8
    raw, regular = 4 * n_dates + columns, 4 * n_grid + columns
    stages = {
        "ingest": _ingest(plan, n_points, n_dates, raw, reader),
        "prepare": (plan.n_shards, 2 * STORED_FLOAT * n_grid * n_points, task_memory(plan.shard, raw + 2 * regular)),
        "patterns": (plan.n_shards, STORED_FLOAT * 2 * n_points, task_memory(plan.shard, regular + columns)),
        "decompose": (plan.n_shards, 3 * STORED_FLOAT * n_grid * n_points, task_memory(plan.shard, 4 * regular)),
        "fit": (plan.n_shards, 0, task_memory(plan.shard, raw, raw)),
        "score": (plan.n_shards, 0, task_memory(plan.shard, raw, raw)),
        "forecast": (plan.n_shards, 3 * STORED_FLOAT * 10 * n_points, task_memory(plan.shard, raw + columns, raw)),
    }
    about = (
        f"{name}: {'at most' if reader in PIXELS else 'about'} {n_points:,} points x {n_dates} dates from {kind}, "
        f"{plan.n_shards} shards of {plan.shard:,} points"
    )
    return stage_table(about, stages)
