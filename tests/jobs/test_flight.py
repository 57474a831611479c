"""Errors that may pass are tried again, a bounded number of times; others are told at once."""

import errno
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from insar_dask.jobs.flights import retries
from insar_dask.jobs.flights.flight import Attempt, _Flight, in_flight
from insar_dask.jobs.flights.retries import MOST_TRIES, is_transient
from insar_dask.jobs.progress.events import Event, silence
from insar_dask.store_errors import StoreError, TransientStoreError

TASKS = [("", "", shard) for shard in range(6)]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST_PAUSE", 0.01)


def test_a_store_that_comes_back_costs_nothing_but_time() -> None:
    tries, told = Counter[int](), list[Event]()

    def work(_path: str, _stage: str, shard: int) -> int:
        tries[shard] += 1
        if shard == 2 and tries[shard] < MOST_TRIES:
            raise OSError(errno.EIO, "the server is away")
        return shard * 10

    found = dict(in_flight(work, TASKS, None, 2, "work", told=told.append))
    assert found == {shard: shard * 10 for shard in range(6)}
    assert tries == {**dict.fromkeys(range(6), 1), 2: MOST_TRIES}
    retried = [event for event in told if event.kind == "retried"]
    assert [(event.shard, event.extra["attempt"]) for event in retried] == [(2, 1), (2, 2), (2, 3)]
    assert all("the server is away" in event.error for event in retried)
    assert len([event for event in told if event.kind == "running"]) == 5 + MOST_TRIES


def test_a_store_that_stays_away_is_an_error_after_a_bounded_number_of_tries() -> None:
    tries = Counter[int]()

    def work(_path: str, _stage: str, shard: int) -> int:
        tries[shard] += 1
        if shard == 2:
            raise TimeoutError("no answer")
        return shard

    found = dict(in_flight(work, TASKS, None, 1, "work"))
    assert isinstance(found.pop(2), TimeoutError) and found == {0: 0, 1: 1, 3: 3, 4: 4, 5: 5}
    assert tries[2] == MOST_TRIES


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad"),
        OSError(errno.ENOSPC, "full"),
        PermissionError(13, "no"),
        FileNotFoundError(2, "gone"),
        StoreError(),
    ],
)
def test_what_will_be_the_same_again_is_not_tried_again(error: Exception) -> None:
    tries = []

    def work(_path: str, _stage: str, shard: int) -> int:
        tries.append(shard)
        raise error

    assert dict(in_flight(work, TASKS[:1], None, 1, "work")) == {0: error}
    assert tries == [0]


def test_a_store_says_itself_whether_its_error_may_pass() -> None:
    assert is_transient(TransientStoreError()) and not is_transient(StoreError())


def test_where_many_are_in_flight_they_are_begun_together() -> None:
    lane = Steps(room=64)
    assert dict(_Flight(lane, iter(("", "", shard) for shard in range(500)), "work", silence).results(lambda: None))
    assert lane.begun[0] == 64 and sum(lane.begun) == 500
    assert min(lane.begun[1:-1]) >= 4 and lane.most <= 64
    few = Steps(room=4)
    assert len(list(_Flight(few, iter(TASKS), "work", silence).results(lambda: None))) == len(TASKS)
    assert few.begun == [4, 1, 1]  # of few, each thread's next one counts


class Steps:
    """A lane on which one attempt ends after another."""

    run = ""

    def __init__(self, room: int) -> None:
        self.most, self.begun, self.left = 0, list[int](), list[Attempt]()
        self._room = room

    def room(self) -> int:
        return self._room

    def start(self, attempts: Sequence[Attempt]) -> None:
        self.begun.append(len(attempts))
        self.left += attempts
        self.most = max(self.most, len(self.left))

    def ended(self, seconds: float) -> list[tuple[Attempt, Any]]:
        first = self.left.pop(0)
        return [(first, first.shard)]

    def wants_alone(self, shard: int) -> bool:
        return False

    def look(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_nothing_to_do_is_nothing_done() -> None:
    assert list(in_flight(print, [], None, 2, "work")) == []
