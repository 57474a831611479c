"""Only what ran when its worker died is ever to blame, and only after nine times."""

import pickle
from typing import Any

import pytest

from insar_dask.jobs.flights.blame import ALONE_AFTER, BLAMED_AFTER, Blame, BlamedError, fate_of
from insar_dask.jobs.flights.told_to_go import ACTION

KEY, OTHER = ("stage-1f", 3), ("stage-1f", 4)


def removed(*running: object, lost: tuple[object, ...] = (), expected: bool = False) -> tuple[float, dict[str, Any]]:
    """As the scheduler notes the end of a worker."""
    event = {"action": "remove-worker", "processing-tasks": {*running}, "lost-computed-tasks": {*lost}}
    return 0.0, {**event, "lost-scattered-tasks": set(), "stimulus_id": "handle-worker-cleanup", "expected": expected}


CLOSING = 0.0, {"action": "closing-worker", "reason": "worker-lifetime-reached"}
TERMINATED = 0.0, {"action": ACTION}
ADDED = 0.0, {"action": "add-worker"}


@pytest.mark.parametrize(
    ("events", "fate"),
    [
        ([ADDED, removed(KEY, OTHER)], "died"),
        ([ADDED, removed(OTHER, lost=(KEY,))], "ended"),
        ([ADDED, removed(KEY, expected=True)], "pre-empted"),
        ([ADDED, CLOSING, removed(KEY)], "pre-empted"),
        # a worker that is thrown out says that it closes, too, but afterwards
        ([ADDED, removed(KEY), CLOSING], "died"),
        # ports are used again: the worker before went in order
        ([ADDED, CLOSING, removed(OTHER), ADDED, removed(KEY)], "died"),
        ([ADDED, removed(OTHER), ADDED, CLOSING, removed(KEY)], "pre-empted"),
        ([ADDED, TERMINATED, removed(KEY)], "pre-empted"),
        ([ADDED], "cut off"),
        ([], "cut off"),
    ],
)
def test_the_record_of_a_worker_says_what_became_of_an_attempt(events: list[Any], fate: str) -> None:
    assert fate_of(KEY, events) == fate


def test_a_nanny_that_ends_a_worker_for_its_memory_tells_nobody_to_go() -> None:
    assert fate_of(KEY, [ADDED, TERMINATED, removed(KEY)], [0.0]) == "out of memory"
    assert fate_of(KEY, [ADDED, removed(KEY)], [0.0]) == "out of memory"
    assert fate_of(KEY, [ADDED, removed(KEY, expected=True)], [0.0]) == "pre-empted"


def test_a_note_of_memory_is_of_the_worker_that_was_there_then_and_of_no_later_one() -> None:
    first = [(at, event) for at, (_, event) in zip((1.0, 2.0, 3.0), (ADDED, TERMINATED, removed(OTHER)), strict=True)]
    later = [(at, event) for at, (_, event) in zip((9.0, 10.0, 11.0), (ADDED, TERMINATED, removed(KEY)), strict=True)]
    assert fate_of(KEY, [*first, *later], [2.0]) == "pre-empted"  # the address is the same
    assert fate_of(KEY, [*first, *later], [2.0, 10.0]) == "out of memory"
    assert fate_of(OTHER, [*first, *later], [3.5]) == "out of memory"  # the note may come after the worker's end
    assert fate_of(OTHER, [*first, *later], [10.0]) == "pre-empted"


def test_three_deaths_lead_to_solitude_and_six_more_to_blame() -> None:
    blame = Blame()
    for death in range(ALONE_AFTER + BLAMED_AFTER):
        assert blame.is_suspect(3) == (death >= ALONE_AFTER) and blame.verdict(3) is None
        blame.died(3, f"tcp://10.0.0.{death}:1")
    verdict = blame.verdict(3)
    assert isinstance(verdict, BlamedError) and (verdict.shard, verdict.deaths) == (3, 9)
    assert all(f"tcp://10.0.0.{death}:1" in str(verdict) for death in range(9))
    assert not blame.is_suspect(4) and blame.verdict(4) is None


def test_blame_travels() -> None:
    error = BlamedError(3, ("tcp://a", "tcp://b"), 1)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
