"""A little of `make fuzz`, and every input that was a fault once."""

import queue
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest

from tests.fuzz.doors import DOORS
from tests.fuzz.limits import HangError, limited
from tests.fuzz.tries import CORPUS, attempt, from_text, search

TRIES = 20
"""At each door, the same in every run: `make fuzz` draws new ones."""


@pytest.mark.parametrize("kept", sorted(CORPUS.rglob("*.json")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_was_a_fault_once_is_taken_or_refused(kept: Path) -> None:
    attempt(*from_text(kept.read_text(encoding="ascii")))


@pytest.mark.parametrize("door", DOORS)
def test_what_is_right_is_taken(door: str) -> None:
    assert attempt(door, DOORS[door].right())


@pytest.mark.parametrize("door", DOORS)
def test_what_is_wrong_is_taken_or_refused(door: str, tmp_path: Path) -> None:
    _, fault = search(door, zlib.crc32(door.encode()), TRIES, set(), tmp_path / "current")
    assert fault is None, fault


def test_a_try_that_does_not_end_is_a_fault() -> None:
    with pytest.raises(HangError, match="no end in sight"), limited(seconds=0.1):
        while True:
            pass
    with pytest.raises(HangError, match="no end in sight"), limited(seconds=0.02):
        queue.SimpleQueue().get()


def test_a_try_that_takes_gigabytes_is_a_fault() -> None:
    with pytest.raises(MemoryError), limited(memory=1 << 28):
        np.empty(1 << 30, np.uint8)
    assert np.empty(1 << 30, np.uint8).size == 1 << 30  # the limit is gone with the block


def test_what_threads_reserve_and_never_touch_is_no_memory() -> None:
    everyone = threading.Barrier(33)
    threads = [threading.Thread(target=everyone.wait) for _ in range(32)]
    with limited():
        for thread in threads:
            thread.start()
        everyone.wait()
    for thread in threads:
        thread.join()
