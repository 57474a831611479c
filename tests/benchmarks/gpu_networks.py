"""Training and forecasting of the networks on a GPU, for `gpu.py`: as a training does it, with all that it does.

Steps are those of `insar_dask.forecast.training.queued`, on windows gathered from all series of a scene that lie on the
device, or picked from maps there. Each is measured as it comes, recorded as a graph, compiled, and both. What is
reckoned from some steps, an epoch or a continent, says so.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property, partial

import numpy as np
import torch

from insar_dask.forecast.models import build
from insar_dask.forecast.series.framing import Framing
from insar_dask.forecast.series.jobs import seeded
from insar_dask.forecast.series.point_source import ArrayPoints
from insar_dask.forecast.series.prediction_blocks import series_contexts
from insar_dask.forecast.series.splits import split_by_length
from insar_dask.forecast.series.windows import SeriesWindows
from insar_dask.forecast.training.accelerator import STEPS, prepared
from insar_dask.forecast.training.feeding import Pick, QueuedFeed
from insar_dask.forecast.training.job import Batch, Job, Training
from insar_dask.forecast.training.queued import QueuedDescent
from insar_dask.forecast.training.together import Ranks
from tests.benchmarks.gpu_roofline import BACKWARD, mmstt_flops, spacetimeformer_flops
from tests.benchmarks.gpu_rows import Row, broken, guarded

EPOCH, CONTINENT = 41_800_000, 100_000_000
"""Point-windows of an epoch of 588,600 points at 71 origins; points of another forecast."""

ROOM = 150.0
"""Seconds of the whole run that have to be left for a network to be compiled."""

PAPER, FAST = spacetimeformer_flops(16, 100, 400, 120), spacetimeformer_flops(16, 128, 512, 128, patch=6)

Ways = tuple[str, ...]
WAYS: tuple[Ways, ...] = ((), ("graphs",), ("compiled",), ("compiled", "graphs"))


@dataclass(frozen=True)
class Bench:
    """Where it is measured, and how much of it."""

    device: torch.device = field(default_factory=lambda: torch.device("cuda"))
    points: int = 588_600
    dates: int = 166
    warm: int = 5
    steps: int = 20
    """Measured, after those that warm up."""
    maps: int = 128
    """Windows of maps that lie on the device."""
    checked: int = 64
    """Groups of the steps that are compared to the bit."""
    bf16: bool = True
    """Whether those networks multiply in bfloat16 that shall."""

    @cached_property
    def source(self) -> ArrayPoints:
        """A scene: points 20 m apart in rows of 1,000; trend, year and noise."""
        rng = np.random.default_rng(0)
        at, t = np.arange(self.points), np.arange(self.dates, dtype=np.float32)
        values = rng.standard_normal((self.points, self.dates), np.float32)
        values += rng.standard_normal((self.points, 1), np.float32) * (0.3 * t)
        values += 4 * np.sin(np.float32(2 * np.pi / 30) * t)
        places = 20.0 * np.stack([at % 1000, at // 1000], axis=1)
        return ArrayPoints.of(values, places, np.datetime64("2018-01-03") + 12 * np.arange(self.dates))

    def wait(self) -> None:
        """Until the device has nothing to do."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def timed(self, work: Callable[[], object]) -> float:
        """Seconds from one moment at which the device is idle to another."""
        self.wait()
        began = time.perf_counter()
        work()
        self.wait()
        return time.perf_counter() - began


@dataclass(frozen=True)
class Subject:
    """A network in training."""

    name: str
    job: Callable[[Bench], Job]
    samples: int
    """Point-windows or maps of a step."""
    flops: float
    """Of a sample, forward."""
    wanted: float | None = None
    """Most seconds for an epoch of point-windows, or for a sample of maps."""
    epoch: int = EPOCH


@cache
def windows_of(source: ArrayPoints, network: str, groups: int) -> SeriesWindows:
    """Windows of all points of a scene at once."""
    return SeriesWindows(
        source,
        split_by_length(len(source.days)),
        length=16,
        calendar="waves" if network == "fast" else "paper",
        scaling="last",
        batch=groups,
        resident=source.n_points,
        n_patterns=8,
    )


def points_job(network: str, groups: int, bf16: bool = True) -> Callable[[Bench], Job]:
    def job(bench: Bench) -> Job:
        windows = windows_of(bench.source, network, groups)
        return Job(seeded(network, windows.framing, {}, 0), windows, Training(batch=groups, bf16=bf16 and bench.bf16))

    return job


class Maps:
    """Windows of maps that lie on the device, drawn at random."""

    def __init__(self, count: int, size: int) -> None:
        self.count, self.size = count, size

    def stock_bytes(self) -> int:
        return self.count * 4 * 64 * 64 * (10 * 6 + 2 * 10)

    def pick(self, step: int, rank: int, world: int) -> Pick:
        taken = torch.from_numpy(np.random.default_rng(step).integers(0, self.count, self.size))
        return Pick(
            0, lambda _: self.stock(), {"taken": taken}, lambda stock, t: {n: x[t["taken"]] for n, x in stock.items()}
        )

    def stock(self) -> Batch:
        scored = torch.rand(self.count, 10, 64, 64) < 0.8
        maps, targets = torch.randn(self.count, 10, 6, 64, 64), torch.randn(self.count, 10, 64, 64)
        return {"values": maps, "target_time": torch.randn(self.count, 10, 2), "targets": targets, "scored": scored}

    def batch(self, step: int, rank: int, world: int) -> Batch:
        pick = self.pick(step, rank, world)
        return pick.gather(pick.stock(lambda: None), pick.taken)

    def validation(self, rank: int, world: int) -> Iterator[Batch]:
        yield self.batch(0, rank, world)


def maps_job(windows: int, **sizes: int) -> Callable[[Bench], Job]:
    def job(bench: Bench) -> Job:
        torch.manual_seed(0)
        training = Training(batch=windows, loss="huber", bf16=bench.bf16)
        return Job(build("mmstt", **sizes), Maps(bench.maps, windows), training)

    return job


SUBJECTS = (
    Subject("fast, L=16, 4096 groups", points_job("fast", 4096), 4096 * 16, FAST, 60.0),
    Subject("mmstt, P=8, 32 windows", maps_job(32), 32, mmstt_flops(), 1e-3, 1),
    Subject("spacetimeformer, L=16, 512 groups", points_job("spacetimeformer", 512), 512 * 16, PAPER),
    Subject("fast, L=16, 512 groups", points_job("fast", 512), 512 * 16, FAST),
    Subject("spacetimeformer, L=16, 512 groups, TF32", points_job("spacetimeformer", 512, bf16=False), 512 * 16, PAPER),
)
"""Those that are compiled while there is time first."""


def network_rows(product: float, left: Callable[[], float], bench: Bench | None = None) -> Iterator[Row]:
    """Seconds of steps and forecasts, and their share of the ``product`` that the GPU makes in bfloat16 [FLOP/s].

    ``left`` says how many seconds the run has left: a network is compiled while there is time for it.
    """
    bench = bench or Bench()
    with prepared(bench.device):
        yield from guarded("forecasts", forecast_rows(bench))
        for subject in SUBJECTS:
            yield from training_rows(bench, subject, product, left)


def training_rows(bench: Bench, subject: Subject, product: float, left: Callable[[], float]) -> Iterator[Row]:
    """Steps of a network, started in each of the ways; the best is told, and held against what was wanted."""
    best: tuple[float, Ways] = (np.inf, ())
    for ways in WAYS:
        what = ", ".join([subject.name, *ways])
        if "graphs" in ways and bench.device.type != "cuda":
            continue
        if "compiled" in ways and left() < ROOM:
            yield {"what": f"{what}, training step", "note": f"left out, since {left():.0f} s of the run are left"}
            continue
        gc.collect()  # of the last network, whose parts know each other
        if bench.device.type == "cuda":
            torch.cuda.empty_cache()
        try:
            spent, first = paced(bench, subject, ways)
        except Exception as error:
            yield broken(f"{what}, training step", error)
            continue
        best = min(best, (spent, ways))
        rate = subject.samples / spent
        reached = (1 + BACKWARD) * subject.flops * rate / product
        note = f"{rate:,.0f} samples/s, {reached:.1%} of the product; the first steps took {first:.1f} s"
        yield {"what": f"{what}, training step", "seconds": spent, "rate": rate, "share": reached, "note": note}
    whole = subject.epoch / subject.samples * best[0]
    set_to = f"{STEPS}={','.join(best[1])}" if best[1] else f"no {STEPS}"
    note = f"reckoned from {bench.steps} steps; set {set_to}"
    row = {"what": f"{subject.name}, {subject.epoch:,} samples at best", "seconds": whole, "note": note}
    yield row | (
        {} if subject.wanted is None else {"bar": whole <= subject.wanted, "wanted": f"<= {subject.wanted:g} s"}
    )


def paced(bench: Bench, subject: Subject, ways: Ways) -> tuple[float, float]:
    """Seconds of a step with all that belongs to it, and of all that goes before: data sent, kernels compiled."""
    job = subject.job(bench)
    descent = QueuedDescent(job, Ranks(), bench.device, ways)
    feed = QueuedFeed(job.windows, Ranks(), bench.device, room=10**11)

    def steps(first: int, count: int) -> None:
        for step in range(first, first + count):
            descent.step(feed.batch(step), step, 1e-5)

    try:
        first = bench.timed(lambda: steps(0, bench.warm))
        spent = bench.timed(lambda: steps(bench.warm, bench.steps)) / bench.steps
        descent.settle()
    finally:
        feed.close()
    return spent, first


def forecast_rows(bench: Bench) -> Iterator[Row]:
    """All points of a scene at the end of its record: series sent, windows cut, forecasts fetched."""
    for name, wanted in (("fast", 2.0), ("spacetimeformer", None)):
        framing = windows_of(bench.source, name, 512).framing
        work = partial(forecast, bench, seeded(name, framing, {}, 0).eval().to(bench.device), framing)
        work()
        spent = bench.timed(work)
        rate = bench.points / spent
        note = f"{rate:,.0f} points/s; {CONTINENT:,} points, reckoned from these: {CONTINENT / rate:.0f} s"
        row = {"what": f"{name}, L=16, bfloat16, {bench.points:,} points forecast", "seconds": spent, "note": note}
        yield row | ({} if wanted is None else {"bar": spent <= wanted, "wanted": f"<= {wanted:g} s"})


def forecast(bench: Bench, model: torch.nn.Module, framing: Framing) -> None:
    for block in series_contexts(bench.source, framing, [bench.dates]):
        block.forecast_there(model, bench.device, bf16=bench.bf16)
