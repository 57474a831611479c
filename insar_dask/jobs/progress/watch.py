"""Progress of a stage: a bar in the terminal, silent when nobody looks, and word of its beginning and its end."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from insar_dask.cube import CubeError
from insar_dask.jobs.progress.events import Event, Told, failure
from insar_dask.jobs.progress.places import stage_boxes
from insar_dask.jobs.progress.stage_board import packed_boxes, ranges
from insar_dask.store import shard_plan
from insar_dask.terminal import TerminalBar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from insar_dask.jobs.engine import Engine
    from insar_dask.jobs.receipts import Receipt
    from insar_dask.shards import ShardPlan

__all__ = ["Progress", "alone", "done", "followed", "told_as", "watched"]

NAME_WIDTH = 27
OTHER_WIDTH = 70
"""Columns that all but the bar takes, the spaces too: at 80 columns nothing is cut."""


class Progress(TerminalBar):
    """A bar over the shards of one stage; shards that were done already count from the start.

    Parameters
    ----------
    name : str
        Stage.
    total, done : int
        Shards in all (None: not known yet), and done before this run.
    quiet : bool
        Show nothing. Nothing is shown either when standard error is no terminal.
    """

    def __init__(self, name: str, total: int | None, done: int = 0, *, quiet: bool = False) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.table import Column

        stage = Column(width=NAME_WIDTH, no_wrap=True, overflow="ellipsis")
        super().__init__(
            _label(name),
            lambda width: [
                TextColumn("{task.description}", table_column=stage),
                BarColumn(bar_width=max(6, min(32, width - OTHER_WIDTH))),
                MofNCompleteColumn(),
                TaskProgressColumn(show_speed=False),
                TextColumn("{task.fields[rate]:>16}"),
                TimeRemainingColumn(elapsed_when_finished=True),
            ],
            total,
            done,
            quiet=quiet,
            rate="",
        )
        self._points = 0

    def advance(self, points: int, shards: int = 1) -> None:
        """One more shard of so many points is done."""
        self._points += points
        if self._bars.disable:
            return
        elapsed = self._bars.tasks[0].elapsed or 0.0
        rate = f"{self._points / elapsed:,.0f} points/s" if elapsed > 0.5 else ""
        self._bars.update(self._task, advance=shards, rate=rate)

    def show(self, done: int, points: int) -> None:
        """Set the bar to what somebody else counted."""
        self._points = 0
        self._bars.update(self._task, completed=done)
        self.advance(points, shards=0)


@contextmanager
def watched(
    engine: Engine,
    name: str,
    plan: ShardPlan,
    pending: Collection[int],
    targets: Collection[str],
    source: str,
    boxes: npt.NDArray[np.float64] | None = None,
) -> Iterator[Progress]:
    """Show a stage's progress, and tell that it begins and ends.

    Parameters
    ----------
    engine : Engine
    name : str
        Stage.
    plan : ShardPlan
        Of the group that it reads.
    pending : collection of int
        Shards that are to be made; the others are done.
    targets : collection of str
        What it writes.
    source : str
        The group that it reads, or writes where it reads none: where its shards lie is known from it.
    boxes : (n_shards, 4) array, optional
        West, south, east and north of each shard [m], where the source does not tell.
    """
    bar = Progress(name, plan.n_shards, plan.n_shards - len(pending), quiet=engine.quiet)
    with told_as(engine.told, name, _outset(engine, plan, pending, targets, source, boxes)), bar as progress:
        yield progress


def _outset(
    engine: Engine,
    plan: ShardPlan,
    pending: Collection[int],
    targets: Collection[str],
    source: str,
    boxes: npt.NDArray[np.float64] | None = None,
) -> dict[str, Any]:
    """What an event of kind ``stage`` says; where nothing is to be done, nothing is drawn either."""
    n_shards, last = plan.n_shards, plan.slice(plan.n_shards - 1)
    if boxes is None and pending and source:
        boxes = stage_boxes(engine.store, source, n_shards)
    return {
        "n_shards": n_shards,
        "skipped": ranges(set(range(n_shards)) - set(pending)),
        "points": [plan.shard, last.stop - last.start],
        "targets": list(targets),
        **({} if boxes is None else {"boxes": packed_boxes(boxes)}),
    }


@contextmanager
def followed(engine: Engine, name: str) -> Iterator[Callable[[Iterable[Receipt]], None]]:
    """Tell of a stage that one task writes, shard by shard: give what this yields the receipts as they appear."""
    seen: set[int] = set()

    def follow(receipts: Iterable[Receipt]) -> None:
        for receipt in receipts:
            if not seen:
                try:
                    plan = shard_plan(engine.store, name)
                except CubeError:  # damaged, and the task has yet to mend it
                    return
                extra = _outset(engine, plan, range(plan.n_shards), [name], "")
                engine.told(Event("stage", name, extra=extra))
            if receipt.index not in seen:
                seen.add(receipt.index)
                engine.told(done(name, receipt))

    with told_as(engine.told, name, {"targets": [name]}):
        yield follow


@contextmanager
def told_as(told: Told, name: str, outset: Mapping[str, Any]) -> Iterator[None]:
    """Tell that a stage begins, with what `insar_dask.jobs.progress.events.Kind` wants; that it has ended, and why."""
    told(Event("stage", name, extra=outset))
    try:
        yield
    except BaseException as error:
        told(Event("ended", name, **failure(error)))
        raise
    told(Event("ended", name))


@contextmanager
def alone(engine: Engine, name: str) -> Iterator[None]:
    """Show and tell a stage of one job, which this process does itself."""
    began, here = time.perf_counter(), socket.gethostname()
    with told_as(engine.told, name, {"n_shards": 1}), Progress(name, None, quiet=engine.quiet):
        engine.told(Event("running", name, 0, worker=here))
        try:
            yield
        except Exception as error:
            engine.told(Event("failed", name, 0, worker=here, **failure(error)))
            raise
        engine.told(Event("done", name, 0, seconds=time.perf_counter() - began, worker=here))


def done(stage: str, *receipts: Receipt) -> Event:
    """That a shard has its receipts, one a target."""
    first, size = receipts[0], sum(receipt.size for receipt in receipts)
    seconds = max(receipt.seconds for receipt in receipts)
    return Event("done", stage, first.index, points=first.points, bytes=size, seconds=seconds, worker=first.worker)


def _label(name: str) -> str:
    """``EGMS_L3_E45N17_100km_U_2020_2024_1/raw`` as ``raw      L3_E45N17_100km_U_...``: what matters comes first."""
    product, _, stage = name.rpartition("/")
    return f"{stage:<8} {product.removeprefix('EGMS_')}" if product else stage
