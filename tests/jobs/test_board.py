import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insar_dask.jobs.progress.board import MOST_LOSSES, MOST_STAGES, Board
from insar_dask.jobs.progress.events import Event
from insar_dask.jobs.progress.stage_board import MOST_FAULTS, STATES
from tests.dashboard.boards import STAGE, board_of, busy_board, done, failed, retried, running, stage


def test_jobs_are_counted_by_state() -> None:
    counts = busy_board().stages[STAGE].counts()
    assert counts == {"waiting": 11, "running": 2, "done": 20, "failed": 1, "retried": 1, "skipped": 5}


def test_what_is_done_stays_so_when_late_news_come() -> None:
    board = board_of([stage(3), done(1, at=102.0), running(1, at=101.0), done(1, at=103.0)])
    one = board.stages[STAGE]
    assert one.counts()["done"] == 1
    assert (one.points, one.bytes, board.hands["tcp://a:1"].jobs) == (1000, 4000, 1)


def test_a_job_is_credited_to_the_worker_that_was_seen_to_begin_it() -> None:
    board = board_of([stage(3), running(1, at=101.0), done(1, at=103.0, worker="some-host")])
    assert set(board.hands) == {"tcp://b:1"}


def test_a_retried_job_keeps_its_reason_when_it_is_done() -> None:
    board = board_of([stage(3), running(1, at=101.0), retried(1, at=102.0), retried(1, at=103.0), done(1, at=104.0)])
    one = board.stages[STAGE]
    assert (one.retries, one.faults[1].times, one.faults[1].error) == (2, 2, "its worker died")
    assert one.counts()["done"] == 1


def test_failures_displace_retries_where_there_is_no_more_room_for_tracebacks() -> None:
    many = [stage(2 * MOST_FAULTS)]
    many += [retried(shard, at=101.0) for shard in range(MOST_FAULTS)]
    many += [failed(shard, at=102.0) for shard in range(MOST_FAULTS, MOST_FAULTS + 7)]
    faults = board_of(many).stages[STAGE].faults
    assert len(faults) == MOST_FAULTS
    assert sum(fault.kind == "failed" for fault in faults.values()) == 7


def test_nothing_runs_any_more_when_a_stage_has_ended() -> None:
    board = board_of([stage(3), running(1, at=101.0), Event("ended", STAGE, at=105.0, error="it broke")])
    one = board.stages[STAGE]
    assert (one.counts()["running"], one.ended, one.error) == (0, 105.0, "it broke")


def test_more_jobs_than_were_announced_find_room() -> None:
    board = board_of([stage(0), done(4, at=101.0)])
    assert board.stages[STAGE].counts()["done"] == 1
    assert board.stages[STAGE].n_shards == 5


def test_stages_that_went_well_long_ago_are_added_up() -> None:
    board = Board()
    for number in range(MOST_STAGES + 50):
        name = f"site-{number}/raw"
        for event in (stage(2, name=name), done(0, at=101.0, name=name), Event("ended", name, at=102.0)):
            board.take(event)
    assert len(board.stages) == MOST_STAGES
    assert (board.folded.stages, board.folded.shards, board.folded.done, board.folded.points) == (50, 100, 50, 50_000)


def test_stages_of_one_product_share_their_places() -> None:
    board = board_of(
        [stage(4, name="site/raw"), stage(4, name="site/motion", boxes=True), stage(4, name="site/smooth")]
    )
    known = board.stages["site/motion"].boxes
    assert known is not None
    assert all(np.array_equal(one.boxes, known) for one in board.stages.values() if one.boxes is not None)
    assert [one.boxes is not None for one in board.stages.values()] == [True, True, True]


def test_a_loss_curve_is_thinned_and_keeps_both_ends_and_what_was_checked() -> None:
    board = Board()
    for step in range(5 * MOST_LOSSES):
        said = {"model": "lstm", "step": step, "loss": 1.0 / (1 + step)}
        board.take(Event("loss", "training", at=1.0, extra={**said, "validation": 2.0} if step % 100 == 0 else said))
    rows = board.losses["lstm"]
    assert MOST_LOSSES // 2 <= len(rows) < 2 * MOST_LOSSES
    assert (rows[0][0], rows[-1][0]) == (0.0, 5 * MOST_LOSSES - 1)
    assert sum(row[2] is not None for row in rows) == 5 * MOST_LOSSES // 100


def test_a_loss_that_is_no_number_is_none() -> None:
    board = board_of([Event("loss", "training", at=1.0, extra={"model": "lstm", "step": 1, "loss": float("nan")})])
    assert board.losses == {}


shards = st.integers(0, 9)
events = st.one_of(
    st.builds(lambda shard, at: done(shard, at=at), shards, st.floats(100, 200)),
    st.builds(lambda shard, at: running(shard, at=at), shards, st.floats(100, 200)),
    st.builds(lambda shard, at: retried(shard, at=at), shards, st.floats(100, 200)),
    st.builds(lambda shard, at: failed(shard, at=at), shards, st.floats(100, 200)),
    st.builds(lambda shard: Event("skipped", STAGE, shard, at=150.0), shards),
    st.just(Event("ended", STAGE, at=190.0)),
)


@settings(max_examples=60, deadline=None)
@given(told=st.lists(events, max_size=60))
def test_every_job_is_in_one_state_whatever_is_told_and_a_kept_board_is_the_same(told: list[Event]) -> None:
    board = board_of([stage(10, boxes=True), *told])
    one = board.stages[STAGE]
    assert sum(one.counts().values()) == 10
    assert set(one.running) == {shard for shard in range(10) if STATES[one.states[shard]] == "running"}
    again = Board.from_dict(board.to_dict())
    assert again.to_dict() == board.to_dict()


def test_a_kept_board_that_is_damaged_is_refused() -> None:
    kept = busy_board().to_dict()
    with pytest.raises(ValueError, match="version"):
        Board.from_dict({**kept, "version": 0})
    kept["stages"][0]["n_shards"] = 41
    with pytest.raises(ValueError, match="damaged"):
        Board.from_dict(kept)
