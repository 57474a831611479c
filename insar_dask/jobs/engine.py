"""Run stages: find what is not done, submit a bounded number of shards, collect receipts, go on after any kill."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits
from zarr.abc.store import Store
from zarr.storage import LocalStore

from insar_dask.jobs.memory import check_memory, stage_memory
from insar_dask.jobs.receipts import Ledger, Receipt
from insar_dask.jobs.recipe import Stage
from insar_dask.jobs.task import read_input, run_shard, run_steps
from insar_dask.jobs.watch import Progress
from insar_dask.layout import create_group
from insar_dask.objects import get_bytes, open_store
from insar_dask.shard_store import checksum_block
from insar_dask.store import shard_plan

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Engine", "JobError", "StageReport"]

IN_FLIGHT_PER_THREAD = 2
TICK_SECONDS = 0.25


class JobError(RuntimeError):
    """A chunk job failed; the message names stage, shard and the cause. What is done stays done."""


@dataclass(frozen=True)
class StageReport:
    """What running a stage came to."""

    stage: str
    shards: int
    computed: int
    points: int
    bytes: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """For the table of timings."""
        rate = self.points / self.seconds if self.seconds > 0 else 0.0
        return {
            "stage": self.stage,
            "seconds": round(self.seconds, 2),
            "shards": self.shards,
            "computed": self.computed,
            "points_per_second": round(rate),
            "megabytes": round(self.bytes / 1e6, 2),
        }


@dataclass
class Engine:
    """Runs stages on one store, on a Dask client or in this process.

    Parameters
    ----------
    path : str, Path or zarr Store
        The store.
    client : distributed.Client, optional
        Where tasks run; without one they run here on ``threads`` threads.
    threads : int
        Threads of this process when there is no client.
    quiet : bool
        No progress bars.
    """

    path: str | Path | Store
    client: Client | None = None
    threads: int = 1
    quiet: bool = False
    reports: list[StageReport] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Open the store."""
        self.store = open_store(self.path)
        self.ledger = Ledger(self.store)

    def run(self, stage: Stage) -> StageReport:
        """Bring every target of a stage up to date; shards whose receipts and bytes agree are not touched."""
        began = time.perf_counter()
        inputs = self.require(stage.source)
        plan = shard_plan(self.store, stage.source)
        self._create_targets(stage, inputs[0].checksum)
        keys = {i: {r: stage.key(r, inputs[i].checksum) for r in stage.saves} for i in range(plan.n_shards)}
        pending = self._pending(stage, keys)
        check_memory(f"stage {stage.name}", stage_memory(stage, self.store), self.client)
        tasks = [(str_path(self.path), stage, i, wanted, inputs[i].checksum) for i, wanted in pending.items()]
        receipts: list[Receipt] = []
        with Progress(stage.name, plan.n_shards, plan.n_shards - len(pending), quiet=self.quiet) as progress:
            for index, outcome in self.map(run_shard, tasks, label=stage.name.replace("/", "-")):
                if isinstance(outcome, BaseException):
                    raise JobError(f"stage {stage.name}, shard {index}: {outcome!r}{_cure(outcome)}") from outcome
                receipts += outcome
                progress.advance(outcome[0].points)
        for target in stage.saves.values():
            self.ledger.compact(target)
        points = sum(plan.slice(index).stop - plan.slice(index).start for index in pending)
        counts = len(pending), points, sum(receipt.size for receipt in receipts)
        return self.report(StageReport(stage.name, plan.n_shards, *counts, time.perf_counter() - began))

    def require(self, group: str) -> dict[int, Receipt]:
        """Receipts of all shards of a group; raises JobError where some are not done, or there is no such group."""
        if get_bytes(self.store, f"{group}/zarr.json") is None:
            raise JobError(f"there is no {group} yet; run its own stage first")
        done, n_shards = self.ledger.done(group), shard_plan(self.store, group).n_shards
        if lacking := [index for index in range(n_shards) if index not in done]:
            raise JobError(f"{group} lacks shards {lacking[:5]} of {n_shards}; run its own stage first")
        return done

    def partials(self, target: str) -> Iterator[dict[str, Any]]:
        """Partial results of a reduction in shard order, each read when its turn comes."""
        return (self.ledger.read_partial(target, index) for index in self.ledger.done(target))

    def verify(self, target: str) -> list[int]:
        """Shards whose stored bytes are not those their receipt was written for."""
        return [index for index, receipt in self.ledger.done(target).items() if not self._intact(target, receipt)]

    def map(
        self,
        function: Callable[..., Any],
        tasks: Iterable[tuple[Any, ...]],
        *,
        label: str,
        tick: Callable[[], None] = lambda: None,
    ) -> Iterator[tuple[int, Any]]:
        """Run ``function(*task)`` for all tasks with a bounded number in flight.

        Yields the task's shard (its third entry) and what came of it, a result or an exception, as they end;
        ``tick`` is called several times a second in between.
        """
        submit, workers, close = self._executor(function, label)
        try:
            waiting = iter(tasks)
            running: dict[Any, int] = {}
            for _ in range(workers * IN_FLIGHT_PER_THREAD):
                _submit_next(submit, waiting, running)
            while running:
                tick()
                for future in _first_done(running):
                    index = running.pop(future)
                    _submit_next(submit, waiting, running)
                    yield index, _outcome(future)
        finally:
            close()

    # --- the steps of run ---------------------------------------------------------------------------------------------

    def _create_targets(self, stage: Stage, checksum: str) -> None:
        """Make the groups of a stage from what its steps return for two points of the first shard."""
        groups = {result: target for result, target in stage.saves.items() if not target.startswith("jobs/")}
        if not groups:
            return
        probe = read_input(self.store, stage.source, 0, checksum).isel(point=slice(0, 2))
        results = run_steps(stage, probe, set(groups), self.ledger)
        plan = shard_plan(self.store, stage.source)
        for result, target in groups.items():
            template = results[result]
            template = template.assign_attrs(recipe=[step.identity() for step in stage.ancestors(result)])
            if create_group(self.store, target, template, plan):
                self.ledger.forget(target)

    def _pending(self, stage: Stage, keys: Mapping[int, Mapping[str, str]]) -> dict[int, dict[str, str]]:
        pending: dict[int, dict[str, str]] = {}
        for result, target in stage.saves.items():
            of_target = {i: wanted[result] for i, wanted in keys.items()}
            self.ledger.supersede(target, of_target)
            for index in self.stale(target, of_target):
                pending.setdefault(index, {})[result] = keys[index][result]
        return dict(sorted(pending.items()))

    def stale(self, target: str, keys: Mapping[int, str]) -> set[int]:
        """Shards of a target without a receipt of the wanted key, or whose bytes are not those it was written for."""
        current = [r for i, r in self.ledger.done(target).items() if keys.get(i) == r.key]
        with ThreadPoolExecutor(4) as pool:
            intact = list(pool.map(lambda receipt: self._intact(target, receipt), current))
        return set(keys) - {receipt.index for receipt, good in zip(current, intact, strict=True) if good}

    def report(self, report: StageReport) -> StageReport:
        """Keep a report for the table of timings."""
        self.reports.append(report)
        return report

    def _intact(self, target: str, receipt: Receipt) -> bool:
        if target.startswith("jobs/"):
            return self.ledger.checksum_partial(target, receipt.index) == receipt.checksum
        return checksum_block(self.store, target, receipt.index)[0] == receipt.checksum

    def _executor(
        self, function: Callable[..., Any], label: str
    ) -> tuple[Callable[[tuple[Any, ...]], Any], int, Callable[[], None]]:
        if self.client is None:
            stack = ExitStack()
            # held here, not by each task alone: the first to end gives BLAS its threads back under the others
            stack.enter_context(threadpool_limits(1))
            pool = ThreadPoolExecutor(self.threads, thread_name_prefix=label)
            stack.callback(pool.shutdown, cancel_futures=True)
            return lambda task: pool.submit(function, *task), self.threads, stack.close
        client, run_id = self.client, time.time_ns()

        def submit(task: tuple[Any, ...]) -> Any:
            return client.submit(function, *task, key=f"{label}-{run_id:x}-{task[2]:06d}", pure=False)

        return submit, max(sum(client.nthreads().values()), 1), lambda: None


def _submit_next(
    submit: Callable[[tuple[Any, ...]], Any], waiting: Iterator[tuple[Any, ...]], running: dict[Any, int]
) -> None:
    task = next(waiting, None)
    if task is not None:
        running[submit(task)] = task[2]


def _first_done(running: Mapping[Any, int]) -> set[Any]:
    futures = list(running)
    if isinstance(futures[0], Future):
        return set(wait(futures, timeout=TICK_SECONDS, return_when=FIRST_COMPLETED).done)
    from distributed import wait as wait_distributed

    try:
        return set(wait_distributed(futures, timeout=TICK_SECONDS, return_when=FIRST_COMPLETED).done)
    except TimeoutError:
        return set()


def _cure(error: BaseException) -> str:
    full = isinstance(error, OSError) and error.errno == errno.ENOSPC
    return "; make room and run again: the shards that are done stay done" if full else ""


def _outcome(future: Any) -> Any:
    error = future.exception()
    return future.result() if error is None else error


def str_path(path: str | Path | Store) -> str | Store:
    """A store's address as it can travel to a worker on another machine."""
    return path if isinstance(path, Store) else str(Path(path).absolute())


@contextmanager
def owned(path: str | Path | Store) -> Iterator[None]:
    """Hold a store for one run: refuse a second driver, and sweep what a killed one left half written.

    Raises
    ------
    JobError
        When another run holds the store, or the folder holds something else.
    """
    if not isinstance(open_store(path), LocalStore):
        yield
        return
    import fcntl

    folder = Path(str(path)).absolute()
    names = {entry.name for entry in folder.iterdir()} if folder.exists() else set()
    if names and not names & {"zarr.json", "jobs"}:
        raise JobError(f"{folder} is no store and not empty, so nothing is written there; name a new folder")
    (folder / "jobs").mkdir(parents=True, exist_ok=True)
    with (folder / "jobs" / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JobError(f"another run is working on {folder}; wait for it, or end it") from None
        for leftover in folder.rglob("*.partial"):
            leftover.unlink()
        yield
