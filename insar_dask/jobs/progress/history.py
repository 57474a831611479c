"""The history of runs in the store itself: what a page, or a terminal, shows without a scheduler, or after it died.

Of a run there are ``jobs/history/<run>/<number>.json``, each a batch of events, and now and then ``state-<number>``
in place of all before it: where the run stands. It never holds more than 33 objects, and a store the last 20 runs. The
engine never reads it, and it lies outside of what "byte-identical" covers: two runs differ in their times.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from zarr.abc.store import Store

from insar_dask.jobs.progress.board import Board
from insar_dask.jobs.progress.events import Event
from insar_dask.jobs.progress.kept_run import is_batch, is_board
from insar_dask.jobs.receipts import HISTORY
from insar_dask.jobs.seals import parsed, sealed, unsealed
from insar_dask.objects import delete, delete_below, get_bytes, list_keys, list_names, put_bytes

__all__ = ["Book", "Reader", "runs"]

RUNS_KEPT = 20
MOST_BATCHES = 32
STATE = "state-"


class Book:
    """What is written of one run.

    Parameters
    ----------
    store : Store
    run : str
        Names that sort are in the order of their runs.
    """

    def __init__(self, store: Store, run: str) -> None:
        self.store, self.run = store, run
        self.number = 0
        self.state: str | None = None
        self.batches: list[str] = []
        for name in runs(store)[: -(RUNS_KEPT - 1)]:
            delete_below(store, f"{HISTORY}/{name}")

    def write(self, events: Iterable[Event], at: float) -> None:
        """Add a batch of events, or none: that the run is alive ``at`` a time is said too."""
        self._put(f"{self.number:06d}.json", {"at": at, "events": [event.to_dict() for event in events]})
        self.batches.append(f"{self.number:06d}.json")
        self.number += 1

    @property
    def full(self) -> bool:
        """Whether it is time to say where the run stands."""
        return len(self.batches) >= MOST_BATCHES

    def settle(self, board: Mapping[str, Any]) -> None:
        """Say where the run stands after all batches, which are removed; a reader finds the one or the others.

        It may hold more than the batches, so it has a number of its own: whoever has read them all reads on.
        """
        self.number += 1
        name = f"{STATE}{self.number:06d}.json"
        self._put(name, board)
        for old in [*self.batches, *([self.state] if self.state else [])]:
            if old != name:
                delete(self.store, f"{HISTORY}/{self.run}/{old}")
        self.state, self.batches = name, []

    def _put(self, name: str, content: Mapping[str, Any]) -> None:
        data = json.dumps(sealed(content), separators=(",", ":")).encode()
        put_bytes(self.store, f"{HISTORY}/{self.run}/{name}", data)


class Reader:
    """A run as its history has it, read on from where it was read to.

    Parameters
    ----------
    store : Store
    run : str
    """

    def __init__(self, store: Store, run: str) -> None:
        self.store, self.run = store, run
        self.board = Board(run)
        self.position = 0
        self.damaged: list[str] = []
        """Objects that are not what was written; they are passed over, and named on the page."""

    def read(self) -> Board:
        """The board after all that is written so far."""
        prefix = f"{HISTORY}/{self.run}/"
        names = [key[len(prefix) :] for key in list_keys(self.store, prefix)]
        states = [name for name in names if name.startswith(STATE) and _number(name) > self.position]
        for name in sorted(states, reverse=True):
            content = self._content(name)
            if content is not None and (board := self._board(name, content)) is not None:
                self.board, self.position = board, _number(name)
                break
        for name in sorted(name for name in names if not name.startswith(STATE)):
            if _number(name) >= self.position and (content := self._content(name)) is not None:
                self._take(name, content["events"])
                self.board.last = max(self.board.last, content["at"])
                self.position = _number(name) + 1
        return self.board

    def _content(self, name: str) -> dict[str, Any] | None:
        data = get_bytes(self.store, f"{HISTORY}/{self.run}/{name}")
        if data is None:  # settled meanwhile: the next reading finds the state
            return None
        try:
            content = unsealed(parsed(data))
        except ValueError:
            content = None
        known = is_board if name.startswith(STATE) else is_batch
        content = content if content is not None and known(data) else None
        if content is None:
            self._pass_over(name)
        return content

    def _board(self, name: str, content: Mapping[str, Any]) -> Board | None:
        try:
            return Board.from_dict(content)
        except (TypeError, ValueError):  # of another version, or with states that are no bytes
            self._pass_over(name)
            return None

    def _take(self, name: str, events: Iterable[Mapping[str, Any]]) -> None:
        for event in events:
            try:
                self.board.take(Event.from_dict(event))
            except (TypeError, ValueError):
                self._pass_over(name)

    def _pass_over(self, name: str) -> None:
        if name not in self.damaged:
            self.damaged.append(name)


def _number(name: str) -> int:
    digits = name.removeprefix(STATE).removesuffix(".json")
    return int(digits) if digits.isdecimal() else -1


def runs(store: Store) -> list[str]:
    """Runs that a store has a history of, the last one last."""
    return [name for name in list_names(store, f"{HISTORY}/") if not name.endswith(".partial")]
