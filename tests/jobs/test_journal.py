import logging
import threading
from pathlib import Path

import pytest
import xarray as xr
from typer.testing import CliRunner
from zarr.storage import LocalStore, MemoryStore

import insar_dask as insar
from insar_dask.cli import app
from insar_dask.jobs.engine import Engine, JobError
from insar_dask.jobs.progress import journal
from insar_dask.jobs.progress.events import Event
from insar_dask.jobs.progress.history import Reader, runs
from insar_dask.jobs.progress.journal import Journal
from insar_dask.jobs.progress.live_view import latest_run, run_view, standing
from insar_dask.jobs.progress.status import damaged_documents
from insar_dask.jobs.recipe import Stage, Step
from insar_dask.objects import list_keys
from tests.dashboard.boards import STAGE, done, stage

MOTION = Stage("site/motion", "site/raw", (Step("motion", "raw", "products"),), {"products": "site/products"})


@pytest.fixture
def saved(tmp_path: Path, small_scene: xr.Dataset) -> Path:
    """A cube of six shards."""
    path = tmp_path / "site.zarr"
    insar.save(small_scene, path, "site/raw", shard_points=512, quiet=True)
    return path


def test_a_run_leaves_what_it_did_in_its_store(saved: Path) -> None:
    with Engine(saved, quiet=True) as engine:
        engine.run(MOTION)
        engine.run(MOTION)
    store = LocalStore(saved)
    first, second = (Reader(store, run).read() for run in runs(store))
    assert first.stages["site/raw"].counts()["done"] == 6
    assert first.stages["site/raw"].points == 3000
    board = second.stages["site/motion"]
    assert board.counts()["skipped"] == 6  # the second time nothing was left to be done
    assert (first.ended is not None, second.ended is not None, second.error) == (True, True, "")
    assert damaged_documents(saved) == []


def test_who_reads_along_hears_of_the_end() -> None:
    store = MemoryStore()
    with Journal(store) as told:
        told(stage(2))
        reader = Reader(store, told.board.run)
        assert reader.read().ended is None
        told(done(0, at=101.0))
    board = reader.read()
    assert board.ended is not None
    assert board.to_dict() == Reader(store, told.board.run).read().to_dict()


def test_a_stage_knows_where_its_shards_lie(saved: Path) -> None:
    with Engine(saved, quiet=True) as engine:
        engine.run(MOTION)
    boxes = latest_run(LocalStore(saved)).read().stages["site/motion"].boxes
    assert boxes is not None
    for shard in range(6):
        block = insar.open_cube(saved).isel(point=slice(512 * shard, 512 * (shard + 1)))
        west, south, east, north = boxes[shard]
        assert abs(west - float(block.easting.min())) < 1
        assert abs(south - float(block.northing.min())) < 1
        assert abs(east - float(block.easting.max())) < 1
        assert abs(north - float(block.northing.max())) < 1


def test_a_failure_is_kept_with_its_traceback(saved: Path) -> None:
    shard = saved / "site/raw/displacement/c/4/0"
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(JobError), Engine(saved, quiet=True) as engine:
        engine.run(MOTION)
    board = latest_run(LocalStore(saved)).read()
    assert standing(board, board.last) == "failed"
    assert board.error.startswith("JobError: stage site/motion, shard 4")
    fault = board.stages["site/motion"].faults[4]
    assert fault.error.startswith("CubeError: shard 4 of site/raw")
    assert "read_input" in fault.traceback


def test_a_run_that_cannot_write_its_history_goes_on_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "history").write_text("a file where a folder is wanted")
    journal = Journal(LocalStore(tmp_path), quiet=True)
    with caplog.at_level(logging.WARNING, "insar_dask"):
        journal(stage(2, at=100.0))
        journal(done(0, at=101.0))
        journal(Event("ended", STAGE, at=102.0))
        journal.close()
    assert [record.message.split(" (")[0] for record in caplog.records] == ["the history of this run cannot be written"]


def test_a_history_that_could_not_be_written_for_a_while_lacks_nothing(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "history").write_text("a file where a folder is wanted")
    journal = Journal(LocalStore(tmp_path), quiet=True)
    journal(stage(2, at=100.0))
    journal(done(0, at=101.0))
    (tmp_path / "jobs" / "history").unlink()
    journal(stage(1, name="site/next", at=102.0))
    assert latest_run(LocalStore(tmp_path)).read().stages[STAGE].counts()["done"] == 1
    journal.close()


def test_nothing_is_written_before_something_is_told() -> None:
    store = MemoryStore()
    Journal(store).close()
    assert list_keys(store, "") == []


def test_a_run_that_is_silent_for_a_minute_is_dead() -> None:
    store = MemoryStore()
    Journal(store, quiet=True)(stage(2, at=100.0))
    board = latest_run(store).read()
    assert standing(board, board.last + 30) == "running"
    assert standing(board, board.last + 90) == "dead"
    with pytest.raises(FileNotFoundError, match="no history of run 'x'"):
        latest_run(store, "x")
    with pytest.raises(FileNotFoundError, match="no history of runs"):
        latest_run(MemoryStore())


def test_the_terminal_shows_stages_rates_and_what_went_wrong(saved: Path) -> None:
    from rich.console import Console

    from tests.dashboard.boards import busy_board

    console = Console(width=80, record=True, file=(saved.parent / "out").open("w"))
    console.print(run_view(busy_board(), 130.0, 80))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "25 of 40" in text
    assert "20 done" in text
    assert "shard 7 failed: CubeError" in text
    assert "points/s" in text
    assert "training lstm: step 20 of 40" in text
    console.file.close()


def test_status_writes_the_page_of_a_dead_run_and_shows_it_in_the_terminal(saved: Path) -> None:
    said = CliRunner().invoke(app, ["status", str(saved), "--html"])
    page = saved.with_name("site-jobs.html")
    assert said.stdout.strip() == str(page)
    assert '"name":"site/raw"' in page.read_text()
    shown = CliRunner().invoke(app, ["status", str(saved), "--watch"])
    assert "6 of 6" in shown.stdout
    assert shown.exit_code == 0


def test_many_journals_of_one_process_send_less_often() -> None:
    end = threading.Event()
    alone = journal._pause()
    others = [threading.Thread(target=end.wait, name=journal.THREAD) for _ in range(32)]
    try:
        for other in others:
            other.start()
        assert journal._pause() == pytest.approx(8 * alone)
    finally:
        end.set()
        for other in others:
            other.join()
