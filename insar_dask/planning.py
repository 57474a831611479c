"""What a run would do, before it does anything: shards, tasks, bytes, and the memory of its largest task."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from insar_dask.config import Config
from insar_dask.jobs.memory import ingest_memory, task_memory
from insar_dask.readers.egms import ProductInfo, find_egms, peek
from insar_dask.shards import ShardPlan

__all__ = ["plan_run"]

STORED_TENTHS = 1.0
STORED_FLOAT = 3.1
"""Bytes a stored value of int16 tenths and of float32 takes, zstd, as measured on real bursts."""

POINT_COLUMNS = 30
"""About as many 1-D arrays, of 8 bytes, travel with the points of every group."""


def plan_run(config: Config) -> str:
    """Describe the stages of a configuration as a text table, from the headers of its files alone."""
    if not config.source.files:
        scene = config.synthetic
        return _product(f"synthetic {scene.kind}", scene.n_points, scene.n_dates, scene.n_dates, 0, config)
    if (reader := config.source.reader) not in (None, "egms"):
        return "\n\n".join(f"{name}: its size is known once {reader} has read it" for name in config.source.files)
    parts = []
    for path in find_egms(config.source.files):
        info = peek(path)
        parts.append(_product(path.stem, info.n_points, len(info.times), _grid(info, path, config), info.size, config))
    return "\n\n".join(parts)


def _grid(info: ProductInfo, path: Path, config: Config) -> int:
    step = int(config.prepare.spacing(path.stem).removesuffix("D"))
    return int((info.times[-1] - info.times[0]) / np.timedelta64(step, "D")) + 1


def _product(name: str, n_points: int, n_dates: int, n_grid: int, size: int, config: Config) -> str:
    plan = ShardPlan.of(n_points, n_dates, config.store.shard_points)
    columns = POINT_COLUMNS * 8
    raw, regular = 4 * n_dates + columns, 4 * n_grid + columns
    stages = {
        "ingest": (1, STORED_TENTHS * n_dates * n_points, ingest_memory(n_points, n_dates)),
        "prepare": (plan.n_shards, 2 * STORED_FLOAT * n_grid * n_points, task_memory(plan.shard, raw + 2 * regular)),
        "patterns": (plan.n_shards, STORED_FLOAT * 2 * n_points, task_memory(plan.shard, regular + columns)),
        "decompose": (plan.n_shards, 3 * STORED_FLOAT * n_grid * n_points, task_memory(plan.shard, 4 * regular)),
        "fit": (plan.n_shards, 0, task_memory(plan.shard, raw, raw)),
        "score": (plan.n_shards, 0, task_memory(plan.shard, raw, raw)),
        "forecast": (plan.n_shards, 3 * STORED_FLOAT * 10 * n_points, task_memory(plan.shard, raw + columns, raw)),
    }
    lines = [
        f"{name}: about {n_points:,} points x {n_dates} dates from {size / 1e6:,.0f} MB of text, "
        f"{plan.n_shards} shards of {plan.shard:,} points",
        f"  {'stage':<10}{'tasks':>8}{'writes MB':>12}{'peak MB of a task':>20}",
    ]
    for stage, (tasks, written, peak) in stages.items():
        lines.append(f"  {stage:<10}{tasks:>8}{written / 1e6:>12,.0f}{peak / 1e6:>20,.0f}")
    return "\n".join(lines)
