from dataclasses import replace
from pathlib import Path

import pytest
from zarr.storage import LocalStore, MemoryStore

from insar_dask.jobs.progress.batches import packed, unpacked
from insar_dask.jobs.progress.board import Board
from insar_dask.jobs.progress.events import Event
from insar_dask.jobs.progress.history import MOST_BATCHES, RUNS_KEPT, Book, Reader, runs
from insar_dask.objects import list_keys
from tests.dashboard.boards import STAGE, board_of, done, stage


def write(book: Book, events: list[Event], board: Board) -> None:
    for event in events:
        board.take(event)
    book.write(events, events[-1].at)
    if book.full:
        book.settle(board.to_dict())


def test_a_reader_finds_the_run_as_its_driver_knew_it() -> None:
    store, board = MemoryStore(), Board("0001", "/data/site.zarr")
    book = Book(store, "0001")
    write(book, [stage(200)], board)
    reader = Reader(store, "0001")
    assert reader.read().stages[STAGE].counts()["done"] == 0
    for shard in range(200):
        write(book, [done(shard, at=101.0 + shard)], board)
        assert len(list_keys(store, "jobs/history/")) <= MOST_BATCHES + 1
        if shard in (3, 50, 199):  # batches alone, and a state with batches after it
            assert reader.read().to_dict() == Reader(store, "0001").read().to_dict()
    kept = reader.read().stages[STAGE].to_dict()
    assert kept == board.stages[STAGE].to_dict()


def test_of_old_runs_the_last_twenty_are_kept() -> None:
    store = MemoryStore()
    for number in range(RUNS_KEPT + 5):
        Book(store, f"{number:04d}").write([stage(1)], 1.0)
    assert runs(store) == [f"{number:04d}" for number in range(5, RUNS_KEPT + 5)]


def test_what_is_damaged_is_passed_over_and_named(tmp_path: Path) -> None:
    store, board = LocalStore(tmp_path), Board("0001")
    book = Book(store, "0001")
    for shard in range(3):
        write(book, [stage(3)] if shard == 0 else [done(shard, at=101.0 + shard)], board)
    middle = tmp_path / "jobs/history/0001/000001.json"
    middle.write_bytes(middle.read_bytes().replace(b"4000", b"5000"))
    reader = Reader(store, "0001")
    assert reader.read().stages[STAGE].counts()["done"] == 1
    assert reader.damaged == ["000001.json"]


def test_an_event_survives_the_way_through_json() -> None:
    for event in (done(3, at=5.0), done(0, at=5.0), Event("ended", "", error="it broke", at=5.0)):
        assert Event.from_dict(event.to_dict()) == event
        of_a_run = replace(event, run="18ea39")
        assert unpacked(packed([event, of_a_run])) == [event, of_a_run]
    with pytest.raises(TypeError):
        Event.from_dict({"kind": "done", "stage": "a", "nonsense": 1})


def test_a_history_says_when_its_run_was_last_heard_of() -> None:
    store = MemoryStore()
    book = Book(store, "0001")
    book.write([stage(1, at=100.0)], 100.0)
    book.write([], 130.0)
    assert Reader(store, "0001").read().last == 130.0
    assert board_of([stage(1, at=100.0)]).last == 100.0
