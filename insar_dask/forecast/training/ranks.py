"""Train on the workers of a Dask cluster, one rank a worker, through whatever happens to them."""

from __future__ import annotations

import itertools
import json
import queue
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from insar_dask.forecast.training.attempt import TOKEN, Assignment, Limits, Outcome
from insar_dask.forecast.training.crew import Crew
from insar_dask.forecast.training.hold import held
from insar_dask.forecast.training.roll_call import RESOURCE, RollCall, Seat, fit_to_train
from insar_dask.settings import known, whole

if TYPE_CHECKING:
    from distributed import Client

    from insar_dask.forecast.training.job import Trained

__all__ = ["Limits", "RankError", "train_on"]

Tell = Callable[[Mapping[str, Any]], None]

SEATS_SECONDS = 0.2


class RankError(RuntimeError):
    """A rank failed for good; the message has rank, host and traceback. The last checkpoint stays where it is."""


def train_on(
    client: Client,
    builder: str,
    params: Mapping[str, Any],
    folder: str | Path,
    ranks: int | None = None,
    *,
    device: str = "cpu",
    threads: int = 1,
    tell: Tell = lambda _: None,
    restarts: int = 3,
    limits: Limits | None = None,
) -> Trained:
    """Train a model with data parallelism, and go on from the last checkpoint when a rank or a worker dies.

    Each rank is a process that a small task on its worker guards; it takes one thread of that worker for as long as
    training lasts. Workers with the resource ``TRAIN`` are preferred to all others, if there are any: give each one
    thread for training and others for tasks, ``dask worker --nthreads 3 --resources TRAIN=1``. Ranks meet by gloo on
    CPUs and by NCCL on GPUs, one GPU each. A rank's memory is not counted by its worker's own limit.

    A worker that is lost is replaced by another; where none comes in time, training goes on with fewer ranks, and says
    so. At an unchanged number of ranks the outcome is the same to the last bit whatever was lost on the way.

    Parameters
    ----------
    client : distributed.Client
    builder : str
        ``"package.module:function"`` that every worker can import; ``function(**params)`` makes the `Job`.
    params : mapping
        JSON-able.
    folder : str or Path
        Shared by the workers and this process; see `insar_dask.forecast.training.train.train`.
    ranks : int, optional
        Default: one a worker.
    device : {"cpu", "cuda"}
        What to train on.
    threads : int
        Of each rank, on the CPU.
    tell : callable
        Gets what rank 0 says of its progress, and a mapping of kind ``restart`` at each new attempt.
    restarts : int
        Failures in a row, without a new checkpoint between them, after which training is given up.
    limits : Limits, optional
        How long to wait before something is taken for failed.

    Returns
    -------
    Trained

    Raises
    ------
    ValueError
        When there are fewer workers than ranks, or an argument cannot be meant.
    RankError
        When a rank fails and another try is of no use, or ``restarts`` are used up.
    HeldError
        When another training is at work in the folder.

    Notes
    -----
    Nothing is left running when this returns or raises, or when driver or scheduler die. One thing is out of reach: the
    rank of a worker that is frozen, not dead. The worker is sent away after ``limits.silence``, and its rank ends when
    whoever started the worker ends it or wakes it.
    """
    _check(builder, params, ranks, device, threads, restarts)
    roll_call = RollCall(client)
    place = Path(folder).absolute()
    draft = Assignment(
        token="",
        topic=f"insar-training-{uuid4().hex}",
        attempt=0,
        rank=0,
        world=_world(roll_call, ranks),
        builder=builder,
        params=params,
        folder=str(place),
        device=device,
        threads=threads,
        store=None,
        limits=limits or Limits(),
    )
    driver = _Driver(roll_call, draft, restarts, tell)
    with held(place, driver.note):
        driver.drive()
        from insar_dask.forecast.training.train import restored

        return restored(place)


def _check(
    builder: str, params: Mapping[str, Any], ranks: int | None, device: str, threads: int, restarts: int
) -> None:
    module, _, name = builder.partition(":")
    if not all(part.isidentifier() for part in [*module.split("."), name]):
        raise ValueError(f"builder is {builder!r}; wanted 'package.module:function'")
    try:
        json.dumps(params, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"params must travel as JSON to other processes: {error}") from error
    for what, count, least in (("ranks", ranks, 1), ("threads", threads, 1), ("restarts", restarts, 0)):
        if count is not None:
            whole(what, count, least)
    known("device", device, ("cpu", "cuda"))


def _world(roll_call: RollCall, ranks: int | None) -> int:
    """Number of ranks, of which there can be no more than workers."""
    seats = fit_to_train(roll_call.seats())
    if not seats:
        raise ValueError("the cluster has no workers; start some, or train in this process with `train`")
    if ranks is not None and ranks > len(seats):
        kind = f"workers with the resource {RESOURCE}" if seats[0].reserved else "workers"
        raise ValueError(
            f"{ranks} ranks were asked for, and there are {len(seats)} {kind}, one rank each; take "
            f"ranks={len(seats)}, or start more and wait with client.wait_for_workers({ranks})"
        )
    return ranks or len(seats)


class _Driver:
    """Attempt after attempt, until one succeeds or there is no use in another."""

    def __init__(self, roll_call: RollCall, draft: Assignment, restarts: int, tell: Tell) -> None:
        self.client, self.roll_call = roll_call.client, roll_call
        self.draft, self.restarts, self.tell = draft, restarts, tell
        self.folder = Path(draft.folder)
        self.words: queue.Queue[dict[str, Any]] = queue.Queue()
        self.seated: list[Seat] = []
        self.saved = -1
        self.failures: list[Outcome] = []
        """Those since the last new checkpoint."""

    def drive(self) -> None:
        # the handler is called on the client's own thread, where nothing may take time
        self.client.subscribe_topic(self.draft.topic, lambda event: self.words.put(event[1]))
        try:
            restart = None
            for attempt in itertools.count(1):
                outcome = self._attempt(attempt, restart)
                if outcome.kind == "done":
                    return
                restart = self._judged(outcome, attempt + 1)
                self.tell(restart)
        except OSError as error:
            raise RankError(
                f"the scheduler does not answer, and ranks end with it: {error}; {self._standing()}"
            ) from error
        finally:
            self._leave()
            if self.client.status == "running":
                self.client.unsubscribe_topic(self.draft.topic)

    def note(self, text: str) -> None:
        """Tell of something that a person should know."""
        self.tell(self._say("note", text))

    def _leave(self) -> None:
        """Take the token away, unless another training has put its own there."""
        token = self.folder / TOKEN
        with suppress(FileNotFoundError):
            if token.read_text().startswith(self.draft.topic):
                token.unlink()

    def _attempt(self, number: int, restart: Mapping[str, Any] | None) -> Outcome:
        self.seated = self._seats()
        token = f"{self.draft.topic}-{number}"
        _write(self.folder / TOKEN, token)
        world = len(self.seated)
        if restart is not None and world < self.draft.world:
            self.note(f"going on with {world} of {self.draft.world} ranks, since no other worker came")
        draft = replace(self.draft, token=token, attempt=number, world=world, restart=restart)
        crew = Crew(self.roll_call, draft, self.seated, self.words, self.tell)
        try:
            return crew.work()
        finally:
            if crew.saved > self.saved:
                self.saved = crew.saved
                self.failures.clear()

    def _seats(self) -> list[Seat]:
        """Workers for the ranks: those of the last attempt as far as they are left, then idle ones."""
        limits, before = self.draft.limits, {seat.identity: n for n, seat in enumerate(self.seated)}
        deadline = time.monotonic() + limits.replacement
        while True:
            found = [seat for seat in fit_to_train(self.roll_call.seats()) if seat.silent < limits.silence]
            found.sort(key=lambda seat: before.get(seat.identity, len(before)))
            if len(found) >= self.draft.world or (found and time.monotonic() > deadline):
                return found[: self.draft.world]
            if time.monotonic() > deadline:
                raise RankError(f"no worker is left, none came in {limits.replacement:g} s; {self._standing()}")
            time.sleep(SEATS_SECONDS)

    def _judged(self, outcome: Outcome, following: int) -> dict[str, Any]:
        """What to say of another attempt; an error where it would be of no use."""
        self.failures.append(outcome)
        again = [failure.text for failure in self.failures[-2:] if failure.kind == "error"]
        for_good = {
            "another try would end alike": outcome.kind == "refused",
            "twice in the same place": len(again) == 2 and again[0] == again[1],
            f"failures since the last new checkpoint: {len(self.failures)}": len(self.failures) > self.restarts,
        }
        what = f"rank {outcome.rank} on {outcome.host} ({outcome.worker}): {outcome.text}"
        for reason, holds in for_good.items():
            if holds:
                raise RankError("\n".join(filter(None, [f"{what}; {reason}. {self._standing()}", outcome.trace])))
        return self._say("restart", what, attempt=following)

    def _standing(self) -> str:
        if self.saved < 0:
            return f"This training has written no checkpoint to {self.folder} yet"
        return f"The checkpoint of step {self.saved} stays in {self.folder}, to go on from"

    def _say(self, kind: str, text: str, **more: Any) -> dict[str, Any]:
        return {"kind": kind, "step": max(self.saved, 0), "time": round(time.time(), 3), "text": text, **more}


def _write(path: Path, text: str) -> None:
    """At once: a worker sees all of it or nothing."""
    draft = path.with_suffix(".partial")
    draft.write_text(text)
    draft.replace(path)
