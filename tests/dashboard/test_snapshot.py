import json

import numpy as np
import pytest
from zarr.storage import MemoryStore

from insar_dask.dashboard.kept import kept_state
from insar_dask.dashboard.page import dead_page, live_page
from insar_dask.dashboard.snapshot import MOST_CELLS, cell_details, cell_size, places, snapshot
from insar_dask.jobs.progress.board import Board
from insar_dask.jobs.progress.events import Event
from insar_dask.jobs.progress.stage_board import STATES
from insar_dask.jobs.receipts import Ledger
from tests.dashboard.boards import STAGE, board_of, busy_board, done, failed, running, stage

MEGABYTE = 1_000_000


def large_board(n_shards: int = 100_000) -> Board:
    """Half of the jobs are done in no order, each hundredth failed: nothing is left for run lengths to save."""
    order = np.random.default_rng(0).permutation(n_shards)[: n_shards // 2].tolist()
    board = board_of([stage(n_shards, boxes=True)])
    for place, shard in enumerate(order):
        at = 101.0 + place / 50
        board.take(failed(shard, at=at) if place % 100 == 0 else done(shard, at=at))
    return board


@pytest.fixture(scope="module")
def large() -> Board:
    return large_board()


def test_cells_stand_for_all_jobs_and_no_other(large: Board) -> None:
    shown = snapshot(large)["stage"]
    size = shown["cell"]
    assert size == 64
    states = np.frombuffer(large.stages[STAGE].states, np.uint8)
    for name, column in shown["counts_of"].items():
        code = STATES.index(name)
        assert column == [int((states[first : first + size] == code).sum()) for first in range(0, states.size, size)]


@pytest.mark.parametrize("n", [1, 2, 2399, 2400, 2401, 4801, 24_000, 76_000, 100_000, 1_000_000])
def test_there_are_never_too_many_cells(n: int) -> None:
    size = cell_size(n)
    assert -(-n // size) <= MOST_CELLS
    assert size == 1 or -(-n // (size // 2)) > MOST_CELLS


def test_a_hundred_thousand_jobs_fit_a_megabyte_alive_and_dead(large: Board) -> None:
    alive = json.dumps(snapshot(large))
    where = json.dumps(places(large.stages[STAGE]))
    assert len(alive) + len(where) + len(live_page()) < MEGABYTE / 4
    assert len(dead_page(kept_state(large, Ledger(MemoryStore())))) < MEGABYTE


def test_many_large_stages_fit_a_megabyte_too() -> None:
    board = large_board(30_000)
    for number in range(25):
        extra = {**stage(30_000).extra, "targets": [f"site-{number}/raw"]}
        board.take(Event("stage", f"site-{number}/raw", at=200.0, extra=extra))
        for shard in range(0, 30_000, 19):
            board.take(done(shard, at=201.0, name=f"site-{number}/raw"))
    page = dead_page(kept_state(board, Ledger(MemoryStore())))
    assert 0.3 * MEGABYTE < len(page) < MEGABYTE


def test_jobs_that_run_for_three_medians_are_stragglers() -> None:
    board = busy_board()
    found = snapshot(board, now=130.0)["stage"]
    assert found["median"] == 2.0
    assert [(one["shard"], one["seconds"]) for one in found["stragglers"]] == [(26, 20.0)]
    few = board_of([stage(9), *(done(shard, at=101.0) for shard in range(4)), running(5, at=101.0)])
    assert snapshot(few, now=999.0)["stage"]["stragglers"] == []


def test_the_time_left_follows_from_the_rate() -> None:
    board = board_of([stage(40), *(done(shard, at=101.0 + shard) for shard in range(10))])
    shown = snapshot(board, now=110.0)["stage"]
    assert shown["rate"] == {"jobs": 1.0, "points": 1000.0, "bytes": 4000.0}
    assert shown["eta"] == 30.0
    assert snapshot(board, now=120.0)["stage"]["eta"] == 60.0  # it has stood still since
    board.take(Event("ended", STAGE, at=120.0))
    assert snapshot(board, now=999.0)["stage"]["eta"] is None


def test_the_map_has_the_box_around_the_shards_of_a_cell() -> None:
    board = board_of([stage(5000, boxes=True)])
    boxes = board.stages[STAGE].boxes
    assert boxes is not None
    found = places(board.stages[STAGE])
    assert found is not None
    assert len(found) == 1250
    part = boxes[4 * 7 : 4 * 8]
    assert found[7] == [*part[:, :2].min(axis=0).astype(int), *part[:, 2:].max(axis=0).astype(int)]
    assert places(board_of([stage(3)]).stages[STAGE]) is None


def test_details_of_a_cell_are_those_of_its_shards() -> None:
    told = {one["shard"]: one for one in cell_details(board_of([stage(5000), failed(9, at=101.0)]).stages[STAGE], 2)}
    assert sorted(told) == [8, 9, 10, 11]
    assert told[9]["state"] == "failed"
    assert told[9]["fault"]["traceback"].startswith("Traceback")
    assert told[8] == {"shard": 8, "state": "waiting"}


def test_a_page_cannot_be_broken_by_what_an_error_says() -> None:
    page = dead_page(kept_state(busy_board(), Ledger(MemoryStore())))
    assert page.count("</script>") == live_page().count("</script>")
    assert "<b>shard 7" not in page


def test_a_run_without_stages_can_be_shown() -> None:
    assert snapshot(Board())["stage"] is None
    assert "null" in dead_page(kept_state(Board(), Ledger(MemoryStore())))
