import json
import re
from pathlib import Path

from insar_dask.dashboard.metrics import measures
from insar_dask.jobs.progress.board import Board
from insar_dask.jobs.progress.events import Event
from tests.dashboard.boards import STAGE, board_of, busy_board, done, stage

BOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "chunk-jobs.json"


def samples(board: Board) -> dict[tuple[str, ...], float]:
    return {(name, *labels): value for _, name, _, _, told in measures(board) for labels, value in told}


def test_metrics_say_what_the_board_has() -> None:
    told = samples(busy_board())
    assert told["insar_jobs", STAGE, "done"] == 20
    assert told["insar_jobs", STAGE, "retried"] == 1
    assert told["insar_points",] == 20_000
    assert told["insar_bytes",] == 80_000
    assert told["insar_retries",] == 2
    assert told["insar_stage_work_seconds", STAGE] == 40.0
    assert told["insar_stage_job_median_seconds", STAGE] == 2.0
    assert told["insar_training_loss", "lstm", "training"] == 0.25
    assert told["insar_training_loss", "lstm", "validation"] == 0.375
    assert told["insar_run_active",] == 1.0


def test_seconds_of_a_stage_stop_with_it() -> None:
    board = board_of([stage(1), done(0, at=101.0), Event("ended", STAGE, at=107.0)])
    assert samples(board)["insar_stage_seconds", STAGE] == 7.0
    assert samples(board)["insar_run_active",] == 0.0


def test_the_grafana_board_asks_for_metrics_that_there_are() -> None:
    panels = json.loads(BOARD.read_text())["panels"]
    asked = {name for one in panels for target in one["targets"] for name in re.findall(r"insar_\w+", target["expr"])}
    there = {name + "_total" * (kind == "counter") for kind, name, *_ in measures(busy_board())}
    assert asked <= there
    assert {name.split("_")[1] for name in there} == {name.split("_")[1] for name in asked | {"insar_run_active"}}
    assert len({one["id"] for one in panels}) == len(panels)


def test_the_readme_of_the_board_names_every_metric() -> None:
    said = (BOARD.parent / "README.md").read_text()
    assert all(f"`{name}{'_total' * (kind == 'counter')}`" in said for kind, name, *_ in measures(busy_board()))
