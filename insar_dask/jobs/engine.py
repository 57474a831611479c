"""Run stages: find what is not done, submit a bounded number of shards, collect receipts, go on after any kill."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from zarr.abc.store import Store

from insar_dask.addresses import address
from insar_dask.jobs.devices import device_of, say_if_moved
from insar_dask.jobs.flights.blame import BlamedError
from insar_dask.jobs.flights.flight import in_flight
from insar_dask.jobs.flights.lookout import PATIENCE, ClusterError, Limits
from insar_dask.jobs.gpu_memory import check_gpus, release_gpus
from insar_dask.jobs.gpu_networks import check_network_gpus, release_network_gpus
from insar_dask.jobs.groups import make_group
from insar_dask.jobs.makers import maker_of
from insar_dask.jobs.memory import check_memory, stage_memory
from insar_dask.jobs.progress.events import Told, failure, silence
from insar_dask.jobs.progress.job_errors import JobError, LackingError, blaming, cure_of, failed
from insar_dask.jobs.progress.journal import Journal
from insar_dask.jobs.progress.watch import Progress, done, watched
from insar_dask.jobs.receipts import Ledger, Receipt, SupersededError
from insar_dask.jobs.recipe import Stage
from insar_dask.jobs.stage_report import StageReport
from insar_dask.jobs.standing import damaged_shards, lacks_any, pending_shards, stale_shards
from insar_dask.jobs.task import read_input, run_shard, run_steps
from insar_dask.objects import get_bytes, open_store
from insar_dask.shards import shard_axis
from insar_dask.store import shard_plan

if TYPE_CHECKING:
    import xarray as xr
    from distributed import Client

__all__ = ["Engine", "JobError", "StageReport"]

MOST_ROUNDS = 3
"""Times a stage is gone over: what tasks of a dead driver spoil, they spoil once."""


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
    limits : Limits
        How long to wait for a cluster that does not go on.
    told : callable, optional
        Is told what happens to stages and shards; default: the store's history, and the client's scheduler.
    """

    path: str | Path | Store
    client: Client | None = None
    threads: int = 1
    quiet: bool = False
    limits: Limits = PATIENCE
    told: Told = silence
    reports: list[StageReport] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Open the store."""
        self.store = open_store(self.path)
        self.ledger = Ledger(self.store)
        if self.told is silence:
            self.told = Journal(self.store, self.client, address(self.path), quiet=self.quiet)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Tell that the run has ended, and of what."""
        if isinstance(self.told, Journal):
            self.told.close("" if error is None else failure(error)["error"])

    @cached_property
    def device(self) -> str:
        """What the tasks of this engine's stages compute on: see `insar_dask.jobs.devices.device_of`."""
        return device_of(self.client)

    def run(self, stage: Stage) -> StageReport:
        """Bring every target of a stage up to date; shards whose receipts and bytes agree are not touched."""
        began, stage = time.perf_counter(), replace(stage, device=self.device)
        inputs = self.require(stage.source)
        plan = shard_plan(self.store, stage.source)
        keys = {i: {r: stage.key(r, inputs[i].checksum) for r in stage.saves} for i in range(plan.n_shards)}
        templates = self._templates(stage, inputs[0].checksum)
        there = stage.runs_on_gpu(set(stage.saves))
        networks = stage.networks_on_gpu(set(stage.saves))
        if (there or networks) and lacks_any(self.ledger, stage.saves, keys):
            if there:
                check_gpus(stage, self.store, templates, self.client, self.threads)
            check_network_gpus(stage.name, networks, plan.shard, self.ledger, self.client)
        self._create_targets(stage, templates)
        pending = pending_shards(self.ledger, stage.saves, keys)
        check_memory(f"stage {stage.name}", stage_memory(stage, self.store), self.client)

        def task(index: int, wanted: Mapping[str, str]) -> tuple[Any, ...]:
            return str_path(self.path), stage, index, wanted, inputs[index].checksum

        with watched(self, stage.name, plan, pending, stage.saves.values(), stage.source) as progress:
            made = self.settle(f"stage {stage.name}", stage.saves, pending, run_shard, task, progress)
        if there and pending:
            release_gpus(self.client)
        if networks and pending:
            release_network_gpus(self.client)
        points = sum(plan.slice(index).stop - plan.slice(index).start for index in pending)
        counts = len(pending), points, sum(receipt.size for receipt in made.values())
        steps = stage.by_device() if self.device != "cpu" else {}
        return self.report(StageReport(stage.name, plan.n_shards, *counts, time.perf_counter() - began, steps))

    def settle(
        self,
        name: str,
        saves: Mapping[str, str],
        pending: Mapping[int, Mapping[str, str]],
        function: Callable[..., list[Receipt]],
        task: Callable[[int, Mapping[str, str]], tuple[Any, ...]],
        progress: Progress,
        passed_on: tuple[type[BaseException], ...] = (),
    ) -> dict[tuple[str, int], Receipt]:
        """Compute shards, and again those that somebody else wrote over; bind their receipts into books.

        A driver that dies leaves tasks behind on an external scheduler. They keep off a shard that another run has
        made, but one that was writing already may end after it.

        Parameters
        ----------
        name : str
            For messages.
        saves : mapping
            Result -> target.
        pending : mapping
            Shard -> result -> key.
        function, task : callable
            What makes the results of a shard and returns their receipts, in the order of the results' names; and its
            arguments for a shard.
        progress : Progress
        passed_on : tuple of exception types
            Raised as they come, not as a `JobError`.

        Returns
        -------
        dict
            (target, shard) -> receipt, as it now stands in the ledger.

        Raises
        ------
        JobError
            When a shard fails, at once: the same error mostly waits in the others too, and what is done stays done.
            When shards kill their workers, after all others are done. When one is written over again and again:
            another driver is at work.
        """
        made: dict[tuple[str, int], Receipt] = {}
        blamed: dict[int, BlamedError] = {}
        stage, left = name.removeprefix("stage "), pending
        for _ in range(MOST_ROUNDS):
            tasks = (task(index, wanted) for index, wanted in left.items())
            for index, outcome in self._outcomes(name, function, tasks, passed_on):
                if isinstance(outcome, BlamedError):
                    blamed[index] = outcome
                    continue
                targets = [saves[result] for result in sorted(left[index])]
                made.update(((target, index), receipt) for target, receipt in zip(targets, outcome, strict=True))
                self.told(done(stage, *outcome))
                progress.advance(outcome[0].points)
            left = self._written_over(saves, {i: w for i, w in pending.items() if i not in blamed}, made)
            if not left:
                break
        else:
            raise JobError(f"{name}: shards {list(left)[:5]} are written by another run too; end it, and run again")
        if blamed:
            raise blaming(name, blamed)
        return made

    def require(self, group: str) -> dict[int, Receipt]:
        """Receipts of all shards of a group; raises LackingError where some are not done, or there is no such group."""
        if get_bytes(self.store, f"{group}/zarr.json") is None:
            raise LackingError(f"there is no {group} yet: {maker_of(self.store, group)} makes it")
        done, n_shards = self.ledger.done(group), shard_plan(self.store, group).n_shards
        if lacking := [index for index in range(n_shards) if index not in done]:
            maker = f"{maker_of(self.store, group)}, or the run that began it, goes on with it"
            raise LackingError(f"{group} lacks shards {lacking[:5]} of {n_shards}: {maker}")
        return done

    def partials(self, target: str) -> Iterator[dict[str, Any]]:
        """Partial results of a reduction in shard order, each read when its turn comes."""
        return (self.ledger.read_partial(target, index) for index in self.ledger.done(target))

    def verify(self, target: str) -> list[int]:
        """Shards whose stored bytes are not those their receipt was written for."""
        return damaged_shards(self.ledger, target, self.ledger.done(target).values())

    def map(
        self,
        function: Callable[..., Any],
        tasks: Iterable[tuple[Any, ...]],
        *,
        label: str,
        stage: str = "",
        tick: Callable[[], None] = lambda: None,
    ) -> Generator[tuple[int, Any], None, None]:
        """Run ``function(*task)`` for all tasks with a bounded number in flight, and tell what fails.

        See `insar_dask.jobs.flights.flight.in_flight`; its `ClusterError` becomes a `JobError`.
        """
        stage = stage or label
        flight = in_flight(
            function, tasks, self.client, self.threads, label, tick, stage=stage, told=self.told, limits=self.limits
        )
        try:
            for index, outcome in flight:
                if isinstance(outcome, BaseException):
                    self.told(failed(stage, index, outcome))
                yield index, outcome
        except ClusterError as error:
            raise JobError(f"{stage}: {error}") from error

    # --- the steps of run ---------------------------------------------------------------------------------------------

    def _templates(self, stage: Stage, checksum: str) -> dict[str, xr.Dataset]:
        """What the steps of a stage make of two points, or a tile, of the first shard, for each group it writes."""
        groups = {result for result, target in stage.saves.items() if not target.startswith("jobs/")}
        if not groups:
            return {}
        block = read_input(self.store, stage.source, 0, checksum)
        probe = block.isel({shard_axis(block.dims): slice(0, 2)})
        return run_steps(replace(stage, device="cpu"), probe, groups, self.ledger)  # whoever drives may have no GPU

    def _create_targets(self, stage: Stage, templates: Mapping[str, xr.Dataset]) -> None:
        """Make the groups of a stage."""
        plan = shard_plan(self.store, stage.source)
        for result, template in templates.items():
            target, recipe = stage.saves[result], stage.recipe(result)
            moved = partial(say_if_moved, target, recipe)
            make_group(self.ledger, target, template.assign_attrs(recipe=recipe), plan, moved)

    def _outcomes(
        self,
        name: str,
        function: Callable[..., Any],
        tasks: Iterable[tuple[Any, ...]],
        passed_on: tuple[type[BaseException], ...],
    ) -> Iterator[tuple[int, Any]]:
        """Receipts of shards, or their `BlamedError`, as they end; any other error is raised."""
        stage = name.removeprefix("stage ")
        # closed: what is in flight when a shard fails is let go of then, and not when its traceback is
        with closing(self.map(function, tasks, label=stage.replace("/", "-"), stage=stage)) as outcomes:
            for index, outcome in outcomes:
                if isinstance(outcome, SupersededError):
                    continue
                if isinstance(outcome, passed_on):
                    raise outcome
                if isinstance(outcome, BaseException) and not isinstance(outcome, BlamedError):
                    raise JobError(f"{name}, shard {index}: {outcome!r}{cure_of(outcome)}") from outcome
                yield index, outcome

    def _written_over(
        self,
        saves: Mapping[str, str],
        wanted: Mapping[int, Mapping[str, str]],
        made: Mapping[tuple[str, int], Receipt],
    ) -> dict[int, dict[str, str]]:
        """Bind receipts; shards and keys whose books do not hold what their task returned, which is revoked."""
        left: dict[int, dict[str, str]] = {}
        for result, target in saves.items():
            done = self.ledger.compact(target)
            if wanted and not done:  # another run has bound them
                done = self.ledger.done(target)
            for index, keys in wanted.items():
                if result in keys and (index not in done or done[index] != made.get((target, index))):
                    left.setdefault(index, {})[result] = keys[result]
                    self.ledger.revoke(target, [index])
        return left

    def stale(self, target: str, keys: Mapping[int, str]) -> set[int]:
        """Shards of a target without a receipt of the wanted key, or whose bytes are not those it was written for."""
        return stale_shards(self.ledger, target, keys)

    def report(self, report: StageReport) -> StageReport:
        """Keep a report for the table of timings."""
        self.reports.append(report)
        return report


def str_path(path: str | Path | Store) -> str | Store:
    """A store's address as it can travel to a worker on another machine."""
    return path if isinstance(path, Store) else address(path)
