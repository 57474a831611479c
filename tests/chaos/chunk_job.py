"""The job that chaos is let loose on: 40 shards of 2 s each and hardly any CPU, and what it must leave behind.

usage: python -m tests.chaos.chunk_job STORE SCHEDULER SECONDS     a driver of its own; SECONDS: of a chunk
"""

import sys
import time
from collections.abc import Callable, Generator, Iterable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from distributed import Client

import insar_dask as insar
from insar_dask.jobs.engine import Engine, StageReport
from insar_dask.jobs.holding.lock import owned
from insar_dask.jobs.recipe import Stage, Step
from insar_dask.synthetic import scene
from tests.conftest import stored_bytes
from tests.s3.runs import objects_of

Place = TypeVar("Place", str, Path)

SHARDS, SHARD_POINTS = 40, 128
POINTS = SHARDS * SHARD_POINTS - 50
STAGE = Stage(
    "site/sums",
    "site/raw",
    (Step("cumulative_displacement", "raw", "sums"),),
    {"sums": "site/sums"},
)


class SlowEngine(Engine):
    """An engine whose chunk jobs do something else besides.

    Parameters
    ----------
    besides : callable
        Is called with the shard, on the worker, before the chunk job.
    """

    def __init__(self, path: str | Path, client: Any, besides: Callable[[int], None], **others: Any) -> None:
        super().__init__(path, client, quiet=True, **others)
        self._besides = besides

    def run(self, stage: Stage) -> StageReport:
        """As a run of a user's: it holds the store, and sweeps up at its end."""
        with owned(self.path):
            return super().run(stage)

    def map(
        self, function: Callable[..., Any], tasks: Iterable[tuple[Any, ...]], **others: Any
    ) -> Generator[Any, None, None]:
        return super().map(partial(slowly, function, self._besides), tasks, **others)


def slowly(function: Callable[..., Any], besides: Callable[[int], None], *task: Any) -> Any:
    """A chunk job, and what else it does."""
    besides(task[2])
    return function(*task)


def sleep(_shard: int, seconds: float = 2.0) -> None:
    """What makes a chunk last; it takes no CPU."""
    time.sleep(seconds)


def new_store(path: Place, shards: int = SHARDS) -> Place:
    """A store that holds what the job reads."""
    cube = scene("l2b", n_points=shards * SHARD_POINTS - 50, n_dates=30, seed=6).compute(scheduler="synchronous")
    insar.save(cube, path, "site/raw", shard_points=SHARD_POINTS, quiet=True)
    return path


def undisturbed(path: Path, shards: int = SHARDS) -> dict[str, bytes]:
    """What the store holds when nothing happens: made in this process, without a cluster."""
    Engine(new_store(path, shards), quiet=True).run(STAGE)
    return stored_bytes(path)


def loss(path: str | Path, wanted: dict[str, bytes], shards: int = SHARDS) -> str:
    """What a store lacks, or has otherwise; empty when rows in are rows out and every byte is as it was."""
    engine, found = Engine(path, quiet=True), stored_bytes(path) if isinstance(path, Path) else objects_of(path)
    for target in STAGE.saves.values():
        rows = sum(receipt.points for receipt in engine.ledger.done(target).values())
        if rows != shards * SHARD_POINTS - 50:
            return f"{rows} rows of {shards * SHARD_POINTS - 50} in {target}"
        if damaged := engine.verify(target):
            return f"shards {damaged} of {target} are not what their receipts say"
    other = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    return f"{len(other)} objects differ, {other[0]} among them" if other else ""


if __name__ == "__main__":
    with Client(sys.argv[2], timeout="60s") as client:
        client.wait_for_workers(2, timeout=120)
        SlowEngine(sys.argv[1], client, partial(sleep, seconds=float(sys.argv[3]))).run(STAGE)
