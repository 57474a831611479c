"""Where a driver's events go: into the store's history, and to the scheduler whose page shows them.

A run never waits for this, and never fails by it: a thread sends and writes while a stage goes on, and where nothing
can be written or nobody listens, that is said once.
"""

from __future__ import annotations

import logging
import sys
import time
from threading import Condition, RLock, Thread
from threading import enumerate as threads_here
from types import TracebackType
from typing import TYPE_CHECKING, Self
from uuid import uuid4

from zarr.abc.store import Store

from insar_dask.jobs.flights.lookout import ask
from insar_dask.jobs.progress.batches import packed
from insar_dask.jobs.progress.board import Board
from insar_dask.jobs.progress.events import TOPIC, Event, failure
from insar_dask.jobs.progress.history import Book

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Journal"]

SEND_SECONDS = 0.5
THREAD = "insar-journal"
MOST_EAGER = 8
"""Journals of this process that each gather events for a quarter of a second. Of more each gathers longer, of the 32 of
a campaign for two seconds: a message costs this process and the scheduler a millisecond."""

WRITE_SECONDS = 2.0
ALIVE_SECONDS = 15.0
MOST_EVENTS = 1000


class Journal:
    """Takes events; nothing is begun before the first.

    Parameters
    ----------
    store : Store
    client : distributed.Client, optional
        Its scheduler gets the events too, and a page that shows them.
    address : str
        Of the store, as people are shown it.
    quiet : bool
        Say nothing in the terminal.
    """

    def __init__(self, store: Store, client: Client | None = None, address: str = "", *, quiet: bool = False) -> None:
        self.store, self.client, self.quiet = store, client, quiet
        self.board = Board(f"{time.time_ns():016x}-{uuid4().hex[:6]}", address)
        self.book: Book | None = None
        self._changed = Condition()
        """Guards the board and what is to be passed on; never held while anything is sent or written."""
        self._passing = RLock()
        self._to_send: list[Event] = []
        self._to_write: list[Event] = []
        self._thread: Thread | None = None
        self._written = 0.0
        self._has_page = False
        self._torn = False
        """Whether the history lacks events, which the board has."""
        self._troubles: set[str] = set()

    def __call__(self, event: Event) -> None:
        """Take an event. That a stage begins or fails, or the run ends, is passed on before this returns.

        That a stage is done is not: the next one's beginning, or the run's end, mostly follows at once.
        """
        with self._changed:
            first = not self.board.began
            self.board.take(event)
            self._to_write.append(event)
            if self.client is not None:
                self._to_send.append(event)
            self._changed.notify()
        if first and self.client is not None:
            self._open_page(self.client)
        if event.kind == "stage" or (event.kind == "ended" and (event.error or not event.stage)):
            self._send()
            self._write()
        with self._changed:  # tasks of this process tell from threads of their own
            if self._thread is None and self._busy():
                self._thread = Thread(target=self._pass_on, name=THREAD, daemon=True)
                self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say that the run has ended, and of what."""
        self.close("" if error is None else failure(error)["error"])

    def close(self, error: str = "") -> None:
        """Say that the run has ended, if it ever began."""
        if self.board.began and self.board.ended is None:
            self(Event("ended", "", error=error))

    def _pass_on(self) -> None:
        """Send and write until no stage runs any more, and nothing is left to pass on."""
        while True:
            self._send()
            late = time.time() - self._written
            if late > (WRITE_SECONDS if self._to_write else ALIVE_SECONDS) or len(self._to_write) >= MOST_EVENTS:
                self._hear()
                self._write()
            with self._changed:
                if not self._busy():
                    self._thread = None
                    return
                self._changed.wait(SEND_SECONDS)
                awoken = len(self._to_write)
            if awoken < MOST_EVENTS:
                time.sleep(_pause())  # a batch, not a message an event

    def _busy(self) -> bool:
        return bool(self._to_write or self._to_send) or any(stage.ended is None for stage in self.board.stages.values())

    def _taken(self, events: list[Event]) -> list[Event]:
        """At most a batch of what is to be passed on."""
        with self._changed:
            part = events[:MOST_EVENTS]
            del events[: len(part)]
        return part

    def _send(self) -> None:
        with self._passing:
            while self.client is not None and (part := self._taken(self._to_send)):
                about = {"run": self.board.run, "store": self.board.store, "client": self.client.id}
                message = {**about, "events": packed(part)}
                try:
                    ask(self.client, "log_event", topic=TOPIC, msg=message)  # for so long as it may take, and no longer
                except Exception as error:  # whatever ails the scheduler is for the run itself to find
                    self._trouble("the dashboard does not hear of this run any more", error)

    def _hear(self) -> None:
        """Take what workers have begun: they tell the scheduler, and a dead run's page is to show it too.

        One question before each writing: had the driver every event of the workers sent, each job would cost it one.
        """
        if self.client is None or not self._has_page:
            return
        from insar_dask.dashboard.serving import running

        try:
            found = running(self.client, self.board.run)
        except (OSError, TimeoutError):  # the next time it may answer
            return
        except Exception as error:  # a scheduler that was started anew, or has a page of another version
            self._has_page = False
            self._trouble("the history of this run does not hear any more which jobs run", error)
            return
        with self._changed:
            for stage, shard, at, worker in found:
                board = self.board.stages.get(stage)
                if board is not None and board.ended is None and shard not in board.running:
                    event = Event("running", stage, shard, worker=worker, at=at)
                    self.board.take(event)
                    self._to_write.append(event)

    def _write(self) -> None:
        with self._passing:
            self._written = time.time()
            try:
                if self.book is None:
                    self.book = Book(self.store, self.board.run)
                over = self.board.ended is not None
                if not over:
                    self.book.write(self._taken(self._to_write), self._written)
                    while self._to_write and not self.book.full:
                        self.book.write(self._taken(self._to_write), self._written)
                if self._torn or self.book.full or over:
                    with self._changed:
                        kept = self.board.to_dict()
                        self._to_write.clear()  # the board has taken them
                    self.book.settle(kept)
                    self._torn = False
            except Exception as error:  # a full disk or a lost bucket is for the run itself to find
                with self._changed:
                    self._to_write.clear()  # nor are they kept here for ever
                self._torn = True
                self._trouble("the history of this run cannot be written", error)

    def _open_page(self, client: Client) -> None:
        from insar_dask.dashboard.serving import page_address, serve

        try:
            serve(client)
            self._has_page = True
            shown = not self.quiet and sys.stderr.isatty()
            address = page_address(client) if shown else ""
        except Exception as error:  # a scheduler may refuse plugins, or not have this package
            self._trouble("there is no dashboard of chunk jobs, for the scheduler refused it", error)
            return
        if address:
            sys.stderr.write(f"dashboard  {address}\n")

    def _trouble(self, what: str, error: Exception) -> None:
        if what not in self._troubles:
            self._troubles.add(what)
            first = (str(error).splitlines() or [type(error).__name__])[0]
            logging.getLogger("insar_dask").warning("%s (%s); the run goes on", what, first)


def _pause() -> float:
    """Seconds to gather events before they are sent."""
    alive = sum(thread.name == THREAD for thread in threads_here())
    return SEND_SECONDS / 2 * max(1, alive // MOST_EAGER * 2)
