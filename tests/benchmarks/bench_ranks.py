"""Training by ranks: what a second rank gains, and how long a fault holds training up.

Run as ``python tests/benchmarks/run.py ranks``. The gain is measured in wall time on whatever the machine leaves free,
and in CPU time: with the CPU seconds of one rank over those of the busier of two, which is the gain on two idle cores
but for what ranks wait for each other on the wire (15 ms for 3.3 million gradients). Both see the same groups a step.
The fast network has a cost a step that does not fall with the groups of a rank, since weights are cast and 281 small
tensors handled: so a second rank gains less of 8 groups a rank than of 32. ``results/networks.json`` has the figures.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from distributed import Client

import insar_dask as insar
from insar_dask.forecast.models import build
from insar_dask.forecast.training.attempt import Limits
from insar_dask.forecast.training.job import Batch, Job, Training
from insar_dask.forecast.training.ranks import RankError, train_on
from tests.benchmarks.measure import QUICK, Row

BUILDER = "tests.benchmarks.bench_ranks:job"
WARM, MEASURED = (1, 2) if QUICK else (3, 20)
PAIRS = 1 if QUICK else 3
CONTEXT, HORIZON, FEATURES = 24, 6, {"fast": 5, "spacetimeformer": 3}
CASES = (("spacetimeformer", 8, 16), ("fast", 16, 16), ("fast", 16, 64))
"""Network, points a group, groups a step."""

FAULT_STEP, PAUSE_SECONDS = 10, 0.05
LIMITS = Limits(stall=8.0, silence=8.0)
STRUCK = {"model": "fast", "points": 4, "steps": 2 * FAULT_STEP, "pause": PAUSE_SECONDS, "every": 2}
"""A training that faults befall."""
RAISED = "raised"


class ClockedWindows:
    """Batches drawn once, and the clocks of the rank after the warm and after the last step.

    At step ``raises_at`` rank 1 raises an exception, and leaves a file that tells when.
    """

    def __init__(
        self, model: str, points: int, groups: int, steps: int, folder: str, pause: float, raises_at: int | None
    ) -> None:
        self.model, self.points, self.groups = model, points, groups
        self.steps, self.folder, self.pause, self.raises_at = steps, folder, pause, raises_at
        self.began = (0.0, 0.0)
        self.drawn: Batch = {}

    def batch(self, step: int, rank: int, world: int) -> Batch:
        time.sleep(self.pause)
        if step == self.raises_at and rank == 1:
            Path(self.folder, RAISED).touch()
            raise ZeroDivisionError("of the benchmark")
        self.drawn = self.drawn or draw(self.model, self.points, self.groups, rank, world)
        now = (time.perf_counter(), time.process_time())
        if step == WARM:
            self.began = now
        if step == self.steps - 1:
            spent = [after - before for after, before in zip(now, self.began, strict=True)]
            Path(self.folder, f"clock-{rank}.json").write_text(json.dumps(spent))
        return self.drawn

    def validation(self, rank: int, world: int) -> Iterator[Batch]:
        yield self.drawn


def job(
    model: str,
    points: int,
    steps: int,
    folder: str,
    groups: int = 16,
    pause: float = 0.0,
    every: int = 1000,
    raises_at: int | None = None,
) -> Job:
    sizes = {"spacetimeformer": {"points": points}}.get(model, {})
    settings = Training(max_steps=steps, batch=groups, check_every=1000, checkpoint_every=every, bf16=model == "fast")
    torch.manual_seed(0)
    windows = ClockedWindows(model, points, groups, steps, folder, pause, raises_at)
    return Job(build(model, **sizes), windows, settings)


def draw(model: str, points: int, groups: int, rank: int, world: int) -> Batch:
    generator = torch.Generator().manual_seed(1)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(groups, *shape, generator=generator)

    whole = {
        "values": normal(points, CONTEXT),
        "given": normal(points, CONTEXT) < 2,
        "present": torch.ones(groups, points, dtype=torch.bool),
        "context_time": normal(CONTEXT, FEATURES[model]),
        "target_time": normal(HORIZON, FEATURES[model]),
        "targets": normal(points, HORIZON),
        "scored": normal(points, HORIZON) < 2,
        "places": 500 * normal(points, 2),
        "pattern": torch.zeros(groups, points, dtype=torch.int64),
        "baseline": normal(points, HORIZON),
    }
    return {name: tensor[rank::world] for name, tensor in whole.items()}


def rows() -> list[Row]:
    with insar.session(workers=2) as client:
        return [*(gain_row(client, *case) for case in CASES), *fault_rows(client)]


def gain_row(client: Client, model: str, points: int, groups: int) -> Row:
    """One rank and two, interleaved."""
    case = model, points, groups
    pairs = [(spent(client, *case, 1), spent(client, *case, 2)) for _ in range(PAIRS)]
    cpu = [max(one[:, 1]) / max(two[:, 1]) for one, two in pairs]
    wall = [max(one[:, 0]) / max(two[:, 0]) for one, two in pairs]
    steps = MEASURED - 1
    return {
        "what": f"{model}, L={points}, {groups} groups a step: two ranks against one",
        "rival": "one rank of one thread",
        "rival_s": statistics.median(float(max(one[:, 1])) / steps for one, _ in pairs),
        "ours_s": statistics.median(float(max(two[:, 1])) / steps for _, two in pairs),
        "ratio": statistics.median(map(float, cpu)),
        "bar": ">= 1.6",
        "clock": "CPU seconds a step of the busier rank",
        "note": f"by the wall {statistics.median(map(float, wall)):.2f}x at load {os.getloadavg()[0]:.0f}",
    }


def spent(client: Client, model: str, points: int, groups: int, ranks: int) -> torch.Tensor:
    """Wall and CPU seconds (ranks, 2) of the measured steps."""
    with tempfile.TemporaryDirectory() as folder:
        params = {"model": model, "points": points, "groups": groups, "steps": WARM + MEASURED, "folder": folder}
        train_on(client, BUILDER, params, folder, ranks)
        return torch.tensor([json.loads(Path(folder, f"clock-{rank}.json").read_text()) for rank in range(ranks)])


class Fault:
    """Strikes after a step; notes when it was noticed, and when training had gone a step further."""

    def __init__(self, strike: Callable[[Mapping[str, Any]], None]) -> None:
        self.strike = strike
        self.where: Mapping[str, Any] = {}
        self.times: dict[str, float] = {}

    def __call__(self, said: Mapping[str, Any]) -> None:
        kind, now = said["kind"], time.perf_counter()
        if kind == "rank" and said["rank"] == 1:
            self.where = said
        elif kind == "restart":
            self.times.setdefault("noticed", now)
        elif kind in ("checkpoint", "step") and said["step"] >= FAULT_STEP:
            if "struck" not in self.times:
                self.times["struck"] = now
                self.strike(self.where)
            elif "noticed" in self.times:
                self.times.setdefault("went on", now)

    def after(self, what: str) -> float:
        return self.times.get(what, float("nan")) - self.times["struck"]


def fault_rows(client: Client) -> list[Row]:
    def worker_of(rank: Mapping[str, Any]) -> int:
        return int(client.run(os.getpid, workers=[rank["worker"]])[rank["worker"]])

    strikes: dict[str, tuple[Callable[[Mapping[str, Any]], None], str | None]] = {
        "SIGKILL of a rank": (lambda rank: os.kill(rank["pid"], signal.SIGKILL), "<= 15 s"),
        "SIGKILL of a Dask worker": (lambda rank: os.kill(worker_of(rank), signal.SIGKILL), "<= 15 s"),
        f"SIGSTOP of a rank, limit {LIMITS.stall:g} s": (lambda rank: os.kill(rank["pid"], signal.SIGSTOP), None),
    }
    rows = [fault_row(client, what, strike, bar) for what, (strike, bar) in strikes.items()]
    return [*rows, exception_row(client)]


def fault_row(client: Client, what: str, strike: Callable[[Mapping[str, Any]], None], bar: str | None) -> Row:
    client.wait_for_workers(2, timeout=300)
    fault = Fault(strike)
    with tempfile.TemporaryDirectory() as folder:
        trained = train_on(client, BUILDER, {**STRUCK, "folder": folder}, folder, 2, tell=fault, limits=LIMITS)
    note = (
        f"noticed after {fault.after('noticed'):.2f} s; {trained.world} ranks at the end; load {os.getloadavg()[0]:.0f}"
    )
    return {"what": f"{what}, until training has gone on", "ours_s": fault.after("went on"), "clock": "wall"} | {
        "note": note,
        **({"bar": bar} if bar else {}),
    }


def exception_row(client: Client) -> Row:
    client.wait_for_workers(2, timeout=300)
    with tempfile.TemporaryDirectory() as folder:
        try:
            train_on(client, BUILDER, {**STRUCK, "folder": folder, "raises_at": FAULT_STEP}, folder, 2, limits=LIMITS)
        except RankError as error:
            seconds, told = time.time() - Path(folder, RAISED).stat().st_mtime, str(error).splitlines()[0]
        else:
            raise AssertionError(f"rank 1 raised an exception at step {FAULT_STEP}, and training went on")
    return {
        "what": "exception on a rank, until it is raised at the client",
        "ours_s": seconds,
        "clock": "wall",
        "bar": "<= 60 s",
        "note": f"{told.partition(';')[0]}; load {os.getloadavg()[0]:.0f}",
    }


if __name__ == "__main__":
    for one in rows():
        print(one)
