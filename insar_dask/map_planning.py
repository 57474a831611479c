"""What a run would do with tiles of maps: how many, their bytes, the memory of rasterising and of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec

from insar_dask.config import Config
from insar_dask.forecast.catalogue import MAPPED
from insar_dask.forecast.choices import MAP_STEPS
from insar_dask.jobs.memory import BASE_BYTES, NETWORK_BYTES, task_memory, tile_memory
from insar_dask.shards import ShardPlan

__all__ = ["STORED_FLOAT", "Stages", "plan_maps", "stage_table"]

STORED_FLOAT = 3.1
"""Bytes a stored value of float32 takes, zstd, as measured on real bursts."""

BESIDE = 4
"""Methods that are scored beside the one that forecasts, about."""

Stages = Mapping[str, tuple[int, float, float | None]]
"""Tasks, bytes written and the peak of the largest process, None where it is not known, by stage."""


def plan_maps(config: Config, sizes: Sequence[tuple[int, int]]) -> tuple[str, Stages]:
    """What is made of the tiles of a run, in a line, and its stages.

    Parameters
    ----------
    config : Config
        Its maps are wanted.
    sizes : sequence of (int, int)
        Points and dates of each product, which becomes a tile.
    """
    maps, (_, horizon) = config.maps, MAP_STEPS
    cells, dates = maps.cells**2, max(n_dates for _, n_dates in sizes)
    network = NETWORK_BYTES if maps.method in MAPPED else 0
    shards = [ShardPlan.of(*size, config.store.shard_points).shard for size in sizes]
    rasterising = max(
        tile_memory(*size, shard, cells, maps.pixels**2) for size, shard in zip(sizes, shards, strict=True)
    )
    forecasting = task_memory(cells, 4 * (dates + 3 * horizon), 4 * dates) + network
    stages = {
        "tiles": (len(sizes), STORED_FLOAT * dates * cells * len(sizes), rasterising),
        "train": (1, 0, _training(config, len(maps.learn) or len(sizes), dates) if network else forecasting),
        "foresee": (len(sizes), 3 * STORED_FLOAT * horizon * cells * len(sizes), forecasting),
        "hindcast": (len(sizes), STORED_FLOAT * (2 + BESIDE) * horizon * cells * len(sizes), forecasting),
    }
    tiles = "1 tile" if len(sizes) == 1 else f"{len(sizes)} tiles"
    learned = f"{len(maps.learn)} of them" if maps.learn else "all of them"
    about = f"maps: {tiles} of {maps.cells} x {maps.cells} cells x {dates} dates, {maps.method} learns from {learned}"
    return about, stages


def stage_table(about: str, stages: Stages, seconds: Mapping[str, float] | None = None) -> str:
    """Tasks, megabytes written, peak of the largest process and seconds of one core of each stage, under a line."""
    seconds = seconds or {}
    lines = [about, f"  {'stage':<10}{'tasks':>8}{'writes MB':>12}{'peak MB of a task':>20}{'core s':>10}"]
    for stage, (tasks, written, peak) in stages.items():
        told = "not known" if peak is None else f"{peak / 1e6:,.0f}"
        took = f"{seconds[stage]:,.0f}" if stage in seconds else "not known"
        lines.append(f"  {stage:<10}{tasks:>8}{written / 1e6:>12,.0f}{told:>20}{took:>10}")
    return "\n".join(lines)


def _training(config: Config, n_tiles: int, n_dates: int) -> float | None:
    """Peak of the process that trains the network, None where torch is not installed to say it."""
    if find_spec("torch") is None:
        return None
    from insar_dask.forecast.maps.map_history import history_bytes
    from insar_dask.forecast.maps.map_settings import MapSettings
    from insar_dask.forecast.maps.memory import training_bytes

    context, horizon = MAP_STEPS
    settings = MapSettings.of(config.maps.method, context, horizon, 0, None, None)
    settings, training = replace(settings, side=config.maps.cells), settings.training
    batch = training_bytes(settings.network, settings.all_sizes, training.batch, training.bf16)
    return BASE_BYTES + NETWORK_BYTES + batch + n_tiles * history_bytes(n_dates, settings.side**2)
