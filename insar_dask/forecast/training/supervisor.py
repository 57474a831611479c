"""One rank's guardian: a small Dask task that runs the rank in a process of its own, and never outlives its driver.

A process, since a rank that hangs in a collective or dies of a segmentation fault would take a worker's thread, or the
worker and the chunks in its memory, along with it.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from insar_dask.forecast.training.attempt import TOKEN, Assignment, Kind, Outcome
from insar_dask.forecast.training.rank_handle import RankHandle

__all__ = ["supervise"]

TICK_SECONDS = 0.1

FAULT = 1
"""Exit code of a rank that has said what went wrong."""


def supervise(assignment: Assignment) -> None:
    """Run one rank to its end; a Dask task.

    What went wrong is for the driver to judge, who sees all ranks: it gets the `Outcome` as an event, which comes even
    where the result of a task would be lost with its worker.
    """
    from distributed import get_worker

    guardian = _Guardian(assignment, get_worker())
    guardian.say("started")
    guardian.say("ended", outcome=asdict(guardian.run()))


class _Guardian:
    """The rank's process, how far it is, and whether anybody still wants it."""

    def __init__(self, assignment: Assignment, worker: Any) -> None:
        self.assignment, self.worker = assignment, worker
        self.task = worker.get_current_task()
        self.phase = "boot"
        self.heard = time.monotonic()
        self.failure: dict[str, Any] = {}
        self.done = False

    def say(self, what: str, **more: Any) -> None:
        """Send word to the driver."""
        word = {"what": what, "rank": self.assignment.rank, "attempt": self.assignment.attempt, **more}
        self.worker.log_event(self.assignment.topic, word)

    def run(self) -> Outcome:
        fault = self._folder_fault()
        if fault:
            return self._outcome("refused", fault)
        address = address_of(self.worker.address)
        try:
            handle = RankHandle(self.assignment, address)
        except OSError as error:
            return self._outcome("refused", f"no process with a port at {address} could be started: {error}")
        try:
            self.say("running", pid=handle.process.pid, store=handle.store)
            return self._watch(handle)
        finally:
            handle.kill()

    def _watch(self, handle: RankHandle) -> Outcome:
        self.heard = time.monotonic()
        while True:
            for word in handle.hear(TICK_SECONDS):
                self._take(word)
            if not self._wanted():
                return self._outcome("dropped", "its driver or its worker is gone")
            code = handle.exit_code
            if code is not None:
                return self._ended(code, handle)
            if time.monotonic() - self.heard > self._patience():
                return self._stalled(handle)

    def _take(self, word: dict[str, Any]) -> None:
        """Note a sign of life, and pass on what is for the driver."""
        said = word.pop("say")
        if said == "phase":
            self.phase = word["phase"]
            self.say(self.phase)
        elif said == "tell":
            self.say("tell", told=word["told"])
        elif said == "failed":
            self.failure = word
        elif said == "done":
            self.done = True
        # while it joins, it says nothing, and waits for the slowest
        self.heard = time.monotonic()

    def _wanted(self) -> bool:
        """Whether the driver still holds the task, and the worker means to stay."""
        task = self.worker.state.tasks.get(self.task)
        return task is not None and task.state == "executing" and self.worker.status.name in ("running", "paused")

    def _patience(self) -> float:
        limits = self.assignment.limits
        return {"boot": limits.boot, "built": limits.join, "joined": limits.stall}[self.phase]

    def _stalled(self, handle: RankHandle) -> Outcome:
        """What kept the rank from going on, as far as that can be seen from outside."""
        what = {"boot": "building its model", "built": "waiting for the other ranks", "joined": "one step"}[self.phase]
        late = f"no sign of life for {self._patience():g} s of {what}"
        if handle.stopped:
            return self._outcome("frozen", f"{late}: its process is stopped (SIGSTOP)")
        return self._outcome("stalled", f"{late}, though its process runs", handle.last_words())

    def _ended(self, code: int, handle: RankHandle) -> Outcome:
        if self.done and code == 0:
            return self._outcome("done")
        if code == FAULT and self.failure:
            return self._outcome(self.failure["kind"], self.failure["text"], self.failure["trace"])
        if code < 0:
            name = signal.Signals(-code).name
            memory = ", as the kernel does where memory runs out" if name == "SIGKILL" else ""
            return self._outcome("killed", f"killed by {name}{memory}", handle.last_words())
        return self._outcome("error", f"ended with exit code {code}, without a word", handle.last_words())

    def _folder_fault(self) -> str:
        """Why the folder is no good on this worker, or nothing."""
        folder, deadline = Path(self.assignment.folder), time.monotonic() + self.assignment.limits.folder
        while not _holds(folder, self.assignment.token):
            if time.monotonic() > deadline or not self._wanted():
                return (
                    f"{folder} on this worker is not the folder that the driver writes to: its file {TOKEN!r} is not "
                    "there; name a folder that the driver and every worker share"
                )
            time.sleep(TICK_SECONDS)
        return "" if os.access(folder, os.W_OK) else f"{folder} cannot be written by this worker; checkpoints go there"

    def _outcome(self, kind: Kind, text: str = "", trace: str = "") -> Outcome:
        return Outcome(self.assignment.rank, self.worker.address, socket.gethostname(), kind, text, trace)


def _holds(folder: Path, token: str) -> bool:
    try:
        return (folder / TOKEN).read_text() == token
    except OSError:
        return False


def address_of(worker: str) -> str:
    """Host in a worker's address, such as ``tls://10.0.0.7:40331``: the other workers reach it by that."""
    from distributed.comm.addressing import get_address_host

    return "127.0.0.1" if worker.startswith("inproc:") else str(get_address_host(worker))
