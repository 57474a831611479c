"""What a run costs: seconds of one core by stage, hours on the workers there are, and money.

A stage takes some seconds whatever its size (importing, compiling, fitting on a sample, drawing a page), some for every
shard, and more for every value that it goes over, or forecast that it scores. Those of a reference machine stand here;
how much faster or slower another machine is says a run that was made there, whose history has when its stages began.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

from insar_dask.addresses import address
from insar_dask.capacity import capacity_of
from insar_dask.config import Config
from insar_dask.cube import CubeError
from insar_dask.jobs.progress.board import Board
from insar_dask.jobs.progress.history import Reader, runs
from insar_dask.jobs.progress.stage_board import StageBoard
from insar_dask.objects import open_store
from insar_dask.shards import SERIES_DATES, ShardPlan
from insar_dask.store import open_group

__all__ = [
    "REFERENCE",
    "Rate",
    "Size",
    "Speed",
    "Work",
    "cost_lines",
    "product_work",
    "seconds_of",
    "speed_of",
    "work_of",
]

Work = Mapping[str, tuple[float, float, int]]
"""By stage, seconds of the reference machine: those that one process has for itself, those that are shared, and by how
many workers at most. A stage that is not in it has not been measured."""


@dataclass(frozen=True)
class Size:
    """What the seconds of a product follow from: points, dates, shards, and forecasts a point that are scored.

    ``pairs`` are those of interferograms it is inverted from, and ``passes`` how often these are gone over.
    """

    points: int
    dates: int
    shards: int
    scored: int
    pairs: int = 0
    passes: int = 0

    @classmethod
    def of(cls, points: int, dates: int, product: str, config: Config, pairs: int = 0) -> Size:
        """Size of a product under a configuration."""
        longest = SERIES_DATES if pairs else dates
        wanted, shards = config.forecast, ShardPlan.of(points, longest, config.store.shard_points).n_shards
        horizon = wanted.horizon or (10 if product.startswith("EGMS_L3") else 6)
        scored = horizon * ceil(wanted.test_fraction * dates / wanted.stride)
        return cls(points, dates, shards, scored, pairs, config.pairs.passes(config.inversion) if pairs else 0)


@dataclass(frozen=True)
class Rate:
    """Seconds of one core.

    ``once`` and for each ``date``, whatever the points; for each ``shard``; and for a million ``values``, points times
    dates, which forecasts that are ``scored`` go over once each, or values of ``pairs`` that are gone over; or for a
    million ``points``. All but the first two are shared by workers.
    """

    once: float
    date: float = 0.0
    shard: float = 0.0
    values: float = 0.0
    scored: float = 0.0
    pairs: float = 0.0
    points: float = 0.0

    def parts(self, size: Size) -> tuple[float, float]:
        """Seconds that one process has for itself, and seconds that workers share."""
        each = (self.values + self.scored * size.scored) * size.dates + self.pairs * size.pairs * max(size.passes, 1)
        each += self.points
        grown = size.points * each / 1e6
        return self.once + self.date * size.dates, self.shard * size.shards + grown


REFERENCE = {
    "ingest": Rate(0.8, values=0.05),
    "prepare": Rate(0.3, shard=0.18, values=0.09),
    "patterns": Rate(1.5, shard=0.30, values=0.13),
    "decompose": Rate(0.3, shard=0.15, values=0.19),
    "fit": Rate(1.0, date=0.085, shard=0.11, values=0.17),
    "score": Rate(1.0, shard=0.65, scored=0.022),
    "forecast": Rate(0.1, shard=0.23, values=0.14),
    "report": Rate(9.0, shard=0.15, values=0.2),
}
"""Of default settings, in CPU seconds of one core of an AMD EPYC, the other idle: of 1,000, 20,000 and 100,000 points x
210 dates of ``l2b``, 1,000 x 300 of ``l3u``, and the 522 x 304 of a real tile, 33, 87, 132, 38 and 56 s in all. What
``fit`` takes whatever the points follows from the steps that its likelihood wants: 16, 23 and 41 s there. With other
work on both cores the same runs take about a tenth more. `tests.benchmarks.costs` compares these rates with other
runs."""

OF_PAIRS = {
    "ingest": Rate(3.0, shard=0.02, pairs=0.03),
    "invert": Rate(2.0, shard=0.1, pairs=0.15),
}
"""What takes the place of ``ingest``, and comes besides, where a product is inverted from interferograms: of 500 and
12,000 points x 270 pairs x 60 dates gone over five times, with other work beside it."""

OPTIONAL = {"patterns", "decompose"}
"""Stages that a run may leave out."""

MACHINE = "the reference machine, a core of a cloud server of 2026"


@dataclass(frozen=True)
class Speed:
    """Seconds of a machine for one of the reference machine, and whose they are."""

    factor: float = 1.0
    told: str = MACHINE


def work_of(size: Size, speed: Speed = Speed()) -> dict[str, float]:
    """Seconds of one core by stage."""
    return {stage: speed.factor * sum(parts) for stage, parts in _parts(size).items()}


def wall_of(size: Size, workers: int, speed: Speed = Speed(), left_out: Collection[str] = ()) -> float:
    """Seconds that a product takes on so many one-thread workers, without stages that are ``left_out``."""
    parts = (part for stage, part in _parts(size).items() if stage not in left_out)
    return speed.factor * sum(own + shared / min(workers, size.shards) for own, shared in parts)


def product_work(size: Size) -> Work:
    """What the stages of a product take."""
    return {stage: (*parts, size.shards) for stage, parts in _parts(size).items()}


def seconds_of(work: Work, speed: Speed = Speed()) -> dict[str, float]:
    """Seconds of one core by stage."""
    return {stage: speed.factor * (own + shared) for stage, (own, shared, _) in work.items()}


def _parts(size: Size) -> dict[str, tuple[float, float]]:
    """Seconds of the reference machine by stage, those that one process has for itself and those that are shared."""
    if not size.pairs:
        return {stage: rate.parts(size) for stage, rate in REFERENCE.items()}
    read = {"ingest": OF_PAIRS["ingest"].parts(replace(size, passes=1))}  # interferograms are read but once
    return {**{stage: rate.parts(size) for stage, rate in (REFERENCE | OF_PAIRS).items()}, **read}


def speed_of(store: str | Path, config: Config) -> Speed:
    """The speed of the machine that made a store, from the last of its runs that made a product from file to report.

    Raises
    ------
    CubeError
        When no run of the store did.
    """
    opened = open_store(store)
    for run in reversed(runs(opened)):
        board = Reader(opened, run).read()
        for product, began, ended, inverted, left_out in _made(board):
            raw = open_group(opened, f"{product}/raw")
            pairs = open_group(opened, f"{product}/pairs").sizes["pair"] if inverted else 0
            size = Size.of(raw.sizes["point"], raw.sizes["time"], product, config, pairs)
            workers = max(sum("://" in hand for hand in board.hands), 1)
            factor = (ended - began) / wall_of(size, workers, left_out=left_out)
            told = f"the machine of {address(store)}, where {product} took {ended - began:,.0f} s on {workers} workers"
            return Speed(factor, f"{told}: {factor:.2f} times as long as on {MACHINE}")
    raise CubeError(
        f"no run of {address(store)} made a product from its file to its report: pass a store that one did make on "
        "this machine, such as that of `insar-dask demo`"
    )


def _made(board: Board) -> Iterator[tuple[str, float, float, bool, set[str]]]:
    """Products that a run made whole, when it began and ended them, whether from interferograms, what it left out."""
    for name, stage in board.stages.items():
        product, _, last = name.rpartition("/")
        if last != "report" or stage.ended is None:
            continue
        own = {key.rpartition("/")[2]: one for key, one in board.stages.items() if key.startswith(f"{product}/")}
        if {"raw", "prepare", "fit", "score", "forecast"} <= set(own) and all(map(_is_whole, own.values())):
            yield product, own.get("pairs", own["raw"]).began, stage.ended, "pairs" in own, OPTIONAL - set(own)


def _is_whole(stage: StageBoard) -> bool:
    return not stage.error and stage.counts()["done"] == stage.n_shards


def cost_lines(
    config: Config, works: Sequence[Work], tasks: int, stored: float, speed: Speed, unknown: Sequence[str] = ()
) -> list[str]:
    """What all of it comes to: tasks, bytes, time, money where prices are known, and what the seconds stand on.

    Stages whose seconds are ``unknown`` are named, for they are in no sum.
    """
    cost, there = config.cost, capacity_of(config)
    parts = [part for work in works for part in work.values()]
    core = speed.factor * sum(own + shared for own, shared, _ in parts)
    wall = speed.factor * sum(own + shared / min(there.threads, at_once) for own, shared, at_once in parts)
    lines = [
        f"in all {tasks:,} tasks, {stored / 1e9:,.2f} GB stored, {_span(core)} of one core: about {_span(wall)} on "
        f"{there.told}"
    ]
    if unknown:
        lines.append(f"without the seconds of {', '.join(unknown)}, which are not known")
    money = f" {cost.currency}" if cost.currency else ""
    prices = [
        f"{wanted * price:,.2f}{money} {what} at {price:g}"
        for wanted, price, what in (
            (core / 3600, cost.cpu_hour, "for hours of a core"),
            (stored / 1e9, cost.gb_month, "for GB stored a month"),
        )
        if price is not None
    ]
    lines.append(f"price: {', '.join(prices) or 'not known; set cpu_hour and gb_month under [cost]'}")
    asked = "; --like STORE takes the speed of one of yours" if speed.told == MACHINE else ""
    lines.append(f"seconds: of {speed.told}, with default methods{asked}")
    return lines


def _span(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:,.1f} h"
