"""Run many tasks with a bounded number in flight, on a Dask client or on threads of this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["in_flight"]

IN_FLIGHT_PER_THREAD = 2
TICK_SECONDS = 0.25


def in_flight(
    function: Callable[..., Any],
    tasks: Iterable[tuple[Any, ...]],
    client: Client | None,
    threads: int,
    label: str,
    tick: Callable[[], None] = lambda: None,
) -> Iterator[tuple[int, Any]]:
    """Run ``function(*task)`` for all tasks; yields what came of them as they end.

    Parameters
    ----------
    function : callable
    tasks : iterable of tuple
        Arguments; the third is the shard.
    client : distributed.Client or None
        Where tasks run; without one they run here on ``threads`` threads.
    threads : int
    label : str
        Begins the tasks' names.
    tick : callable
        Called several times a second in between.

    Yields
    ------
    (int, Any)
        Shard, and its result or the exception.
    """
    submit, workers, close = _executor(function, client, threads, label)
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


def _executor(
    function: Callable[..., Any], client: Client | None, threads: int, label: str
) -> tuple[Callable[[tuple[Any, ...]], Any], int, Callable[[], None]]:
    if client is None:
        stack = ExitStack()
        # held here, not by each task alone: the first to end gives BLAS its threads back under the others
        stack.enter_context(threadpool_limits(1))
        pool = ThreadPoolExecutor(threads, thread_name_prefix=label)
        stack.callback(pool.shutdown, cancel_futures=True)
        return lambda task: pool.submit(function, *task), threads, stack.close
    run_id = time.time_ns()

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


def _outcome(future: Any) -> Any:
    error = future.exception()
    return future.result() if error is None else error
