"""What a run would do, before it does anything: shards, tasks, bytes, and the memory of its largest task."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from insar_dask.bucket_address import is_bucket
from insar_dask.config import Config
from insar_dask.costs import (
    Size,
    Speed,
    Work,
    cost_lines,
    product_work,
    seconds_of,
    speed_of,
)
from insar_dask.forecast.catalogue import TRAINED
from insar_dask.ground_costs import meeting_work
from insar_dask.ground_planning import check_tracks, met_size, plan_areas, plan_meeting
from insar_dask.jobs.devices import said_device, steps_by_device
from insar_dask.jobs.memory import BASE_BYTES, bucket_memory, ingest_memory, page_memory, task_memory
from insar_dask.jobs.steps.cube_ingest import product_of
from insar_dask.jobs.steps.east_up_jobs import track_sources
from insar_dask.machine import usable_cpus
from insar_dask.map_planning import STORED_FLOAT, Stages, plan_maps, stage_table
from insar_dask.readers.bucket_file import SourceFile
from insar_dask.readers.extents import Extent, extent_of
from insar_dask.readers.pixels import TILE_BYTES
from insar_dask.readers.recognise import reader_of
from insar_dask.shards import SERIES_DATES, ShardPlan
from insar_dask.sources import listed
from insar_dask.store import open_group

__all__ = ["Planned", "plan_run", "planned"]

STORED_TENTHS = 1.0
"""Bytes a stored value of int16 tenths takes, zstd, as measured on real bursts."""

POINT_COLUMNS = 30
"""About as many 1-D arrays, of 8 bytes, travel with the points of every group."""

PLACE_BYTES = 150
"""Bytes a pixel of places and names while the process that ingests sorts them, 147 measured; 82 are held then."""

PASSES = 4
"""Over all points, to find patterns: a sample, about two exact steps, labels."""

PAGE_BYTES = 4_000_000
EXPORT_BYTES = 250
"""Of a product's page and figures, and of a point in GeoTIFF and GeoParquet."""

PIXELS = ("mintpy", "raster", "pairs", "ifgram_stack")


@dataclass(frozen=True)
class Planned:
    """Stages of every product of a run, and of its areas and maps, under a line about each, and what they take.

    Sizes are those of the products that all steps run on.
    """

    tables: tuple[tuple[str, Stages], ...]
    works: tuple[Work, ...]
    sizes: tuple[Size, ...]

    @property
    def tasks(self) -> int:
        """Of all stages."""
        return sum(row[0] for _, stages in self.tables for row in stages.values())

    @property
    def stored(self) -> float:
        """Bytes written by all stages."""
        return sum(row[1] for _, stages in self.tables for row in stages.values())

    @property
    def unknown(self) -> list[str]:
        """Stages whose seconds nobody measured."""
        rows = zip(self.tables, self.works, strict=True)
        return list(dict.fromkeys(stage for (_, stages), work in rows for stage in stages if stage not in work))


def plan_run(config: Config, like: str | Path | None = None) -> str:
    """Describe the stages of a configuration as a text table, from the headers of its files alone.

    Parameters
    ----------
    config : Config
    like : str or Path, optional
        A store that a run has made on this machine, whose speed is to be taken for the seconds.

    Raises
    ------
    CubeError, OSError
        What a reader says of a header; when no run of ``like`` made a product from its file to its report.
    """
    speed = Speed() if like is None else speed_of(like, config)
    plan = planned(config)
    rows = zip(plan.tables, plan.works, strict=True)
    parts = [stage_table(about, stages, seconds_of(work, speed)) for (about, stages), work in rows]
    lines = cost_lines(config, plan.works, plan.tasks, plan.stored, speed, plan.unknown)
    return "\n\n".join([*parts, "\n".join([*lines, *_devices(config)])])


def _devices(config: Config) -> list[str]:
    """Which steps of a run on GPUs run there, in a line; none of any other run."""
    device = said_device() or ("cpu" if config.cluster.gpus is None else "gpu")
    patterns = ("sample_patterns", "sum_patterns", "label_patterns") if config.patterns.n_clusters else ()
    parts = (config.decompose.method, "component_variances") if config.decompose.method != "none" else ()
    steps = steps_by_device(device, ("regularise", "savgol", "cumulative_displacement", "motion", *patterns, *parts))
    if "gpu" not in steps:
        return []
    networks = {*config.forecast.methods, config.maps.method} & set(TRAINED)
    there = ", ".join((*steps["gpu"], *(["networks that forecast"] if networks else [])))
    here = ", ".join(
        (*steps.get("cpu", ()), f"whatever{' else' if networks else ''} reads, forecasts, maps and reports")
    )
    return [f"on GPUs: {there}; on processors: {here}; the seconds are of processors alone"]


def planned(config: Config) -> Planned:
    """What `plan_run` describes."""
    if not config.source.files and config.east_up.tracks:
        tables, sizes = [], []
    elif not config.source.files:
        scene = config.synthetic
        product = f"EGMS_{scene.kind.upper()}" if scene.kind.startswith("l") else scene.kind
        name, kind = f"synthetic {scene.kind}", "0 MB of text"
        tables = [_product(name, scene.n_points, scene.n_dates, scene.n_dates, kind, config)]
        sizes = [Size.of(scene.n_points, scene.n_dates, product, config)]
    else:
        found = [(source, _extent(source, config)) for source in listed(config.source)]
        tables = [_source(source, extent, config) for source, extent in found]
        sizes = [
            Size.of(extent.n_points, len(extent.times), product_of(source), config, extent.pairs)
            for source, extent in found
        ]
    works = _taken(tables, [product_work(size) for size in sizes])
    if config.east_up.name is not None:
        tables, works, sizes = _with_east_up(config, tables, sizes)
    if config.areas.method != "none":
        about, stages, work = plan_areas(config, sizes)
        tables, works = [*tables, (about, stages)], [*works, work]
    if config.maps.method != "none":
        tables, works = [*tables, plan_maps(config, [(size.points, size.dates) for size in sizes])], [*works, {}]
    return Planned(tuple(tables), tuple(works), tuple(sizes))


def _with_east_up(
    config: Config, tables: list[tuple[str, Stages]], sizes: list[Size]
) -> tuple[list[tuple[str, Stages]], list[Work], list[Size]]:
    """Tables, what they take, and sizes, with those of east and up, which come first where steps run on these alone."""
    found = [_extent(source, config) for source in listed(config.source)] if config.source.files else []
    tracks = [(extent.n_points, extent.times) for extent in found]
    for track in [one for named in config.east_up.tracks for one in track_sources(named)]:
        cube = open_group(track.path, track.group)
        tracks.append((cube.sizes["point"], cube["time"].values))
    check_tracks(len(found), len(tracks) - len(found))
    points, dates = met_size(config, tracks)
    met = [Size.of(n, len(times), "", config) for n, times in tracks]
    shard = max(ShardPlan.of(n, len(times), config.store.shard_points).shard for n, times in tracks)
    plan, size = ShardPlan.of(points, dates), Size.of(points, dates, str(config.east_up.name), config)
    wanted, left = config.east_up, {"ingest"}
    if wanted.how != "previous" or wanted.anchor == "model" or any(one.pairs for one in sizes):
        left |= {"fit", "score", "forecast"}  # of values that have seen the future there is no honest forecast
    made: list[tuple[str, Stages]] = []
    for component in ("E", "U"):
        kind = f"{len(tracks)} tracks, cells that both ways see"
        about, stages = _product(f"{config.east_up.name}_{component}", points, dates, dates, kind, config, "raster")
        meeting = plan_meeting(plan, points, dates, shard) if component == "E" else {}
        made.append((about, {**meeting, **{name: row for name, row in stages.items() if name not in left}}))
    if wanted.alone:
        tables = [(about, {k: row for k, row in of.items() if k in ("ingest", "invert")}) for about, of in tables]
    both = {**product_work(size), **meeting_work(met, plan.n_shards)}
    of_tracks = [product_work(one) for one in sizes]
    if not wanted.alone:
        return [*tables, *made], _taken([*tables, *made], [*of_tracks, both, both]), [*sizes, size, size]
    return [*made, *tables], _taken([*made, *tables], [both, both, *of_tracks]), [size, size]


def _taken(tables: list[tuple[str, Stages]], works: list[Work]) -> list[Work]:
    """What just the stages of the tables take."""
    return [
        {stage: part for stage, part in work.items() if stage in stages}
        for (_, stages), work in zip(tables, works, strict=True)
    ]


def _extent(source: SourceFile, config: Config) -> Extent:
    reader = config.source.reader or reader_of(source)
    return extent_of(source, reader, config.source.known(reader))


def _source(source: SourceFile, extent: Extent, config: Config) -> tuple[str, Stages]:
    reader, name = config.source.reader or reader_of(source), product_of(source)
    kind = f"{extent.size / 1e6:,.0f} MB of {'rasters' if extent.at_most else 'text'}"
    if extent.at_most:
        kind += ", pixels without a series being left out"
    sizes = extent.n_points, len(extent.times), _grid(extent, name, config)
    return _product(name, *sizes, kind, config, reader, extent.pairs)


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


def _of_pairs(plan: ShardPlan, n_points: int, n_dates: int, pairs: int, config: Config) -> dict[str, Any]:
    """Interferograms read, and gone over until they are displacement."""
    coherent = 2  # phase and coherence; where there is none, less is written
    read = 4 * pairs * coherent + POINT_COLUMNS * 8
    made = (4 + 4 + 1) * n_dates + POINT_COLUMNS * 8
    places = BASE_BYTES + PLACE_BYTES * n_points
    passes = config.pairs.passes(config.inversion)
    written = {"ingest": STORED_FLOAT * coherent * pairs * n_points, "invert": 2 * STORED_FLOAT * n_dates * n_points}
    return {
        "ingest": (plan.n_shards, written["ingest"], max(task_memory(plan.shard, read) + TILE_BYTES, places)),
        "invert": (passes * plan.n_shards, written["invert"], task_memory(plan.shard, read + made)),
    }


def _product(
    name: str, n_points: int, n_dates: int, n_grid: int, kind: str, config: Config, reader: str = "egms", pairs: int = 0
) -> tuple[str, Stages]:
    plan = ShardPlan.of(n_points, SERIES_DATES if pairs else n_dates, config.store.shard_points)
    columns = POINT_COLUMNS * 8
    raw, regular = 4 * n_dates + columns, 4 * n_grid + columns
    stages: dict[str, tuple[int, float, float | None]] = {
        **(
            _of_pairs(plan, n_points, n_dates, pairs, config)
            if pairs
            else {"ingest": _ingest(plan, n_points, n_dates, raw, reader)}
        ),
        "prepare": (plan.n_shards, 2 * STORED_FLOAT * n_grid * n_points, task_memory(plan.shard, raw + 2 * regular)),
        "patterns": (PASSES * plan.n_shards, STORED_FLOAT * 2 * n_points, task_memory(plan.shard, regular + columns)),
        "decompose": (plan.n_shards, 3 * STORED_FLOAT * n_grid * n_points, task_memory(plan.shard, 4 * regular)),
        "fit": (plan.n_shards, 0, task_memory(plan.shard, raw, raw)),
        "score": (plan.n_shards, 0, task_memory(plan.shard, raw, raw)),
        "forecast": (plan.n_shards, 3 * STORED_FLOAT * 10 * n_points, task_memory(plan.shard, raw + columns, raw)),
        "report": (1, PAGE_BYTES + EXPORT_BYTES * n_points * config.report.exports, page_memory(n_points)),
    }
    stages = {stage: row for stage, row in stages.items() if stage not in _switched_off(config)}
    if is_bucket(config.store.path):
        added = _of_bucket(plan.shard, n_dates, n_grid, reader)
        stages = {stage: (*row[:2], (row[2] or 0) + added.get(stage, 0)) for stage, row in stages.items()}
    about = (
        f"{name}: {'at most' if reader in PIXELS else 'about'} {n_points:,} points x {n_dates} dates from "
        f"{f'{pairs:,} interferograms, ' if pairs else ''}{kind}, "
        f"{plan.n_shards} shards of {plan.shard:,} points"
    )
    return about, stages


def _switched_off(config: Config) -> set[str]:
    """Stages of every product that the configuration leaves out."""
    wanted = {"patterns": config.patterns.n_clusters > 0, "decompose": config.decompose.method != "none"}
    return {stage for stage, on in wanted.items() if not on}


def _of_bucket(points: int, n_dates: int, n_grid: int, reader: str) -> dict[str, int]:
    """Bytes that a store in a bucket adds to the largest process of the stages whose tasks go through it."""
    columns = [8] * POINT_COLUMNS
    raw, series = [2 * n_dates if reader == "egms" else 4 * n_dates, *columns], [4 * n_grid, *columns]
    read_and_written: dict[str, tuple[list[int], list[int]]] = {
        "prepare": (raw, series),
        "patterns": (series, [8, 8]),
        "decompose": (series, [4 * n_grid, 4 * n_grid, *series]),
        "fit": (raw, []),
        "score": (raw, []),
        "forecast": (raw, [40, 40, 40, *columns]),
    }
    added = {stage: bucket_memory(points, read, [written]) for stage, (read, written) in read_and_written.items()}
    # whoever reads a product file writes its shards on as many threads as the machine has
    return {"ingest": usable_cpus() * bucket_memory(points, [], [raw]), **added}
