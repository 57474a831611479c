"""The page while a run goes on: a scheduler in this process, two worker threads, one chunk that fails."""

import asyncio
import io
import json
import logging
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from distributed import Client, LocalCluster, Worker
from zarr.storage import LocalStore

import insar_dask as insar
from insar_dask.dashboard.plugin import RUNS_KEPT, JobsPlugin
from insar_dask.dashboard.serving import page_address, running, serve
from insar_dask.jobs.engine import Engine, JobError
from insar_dask.jobs.flights import lookout
from insar_dask.jobs.flights.attempt import BEGIN, mark_keys
from insar_dask.jobs.flights.lookout import ask
from insar_dask.jobs.progress.batches import packed
from insar_dask.jobs.progress.events import TOPIC, Event
from insar_dask.jobs.progress.journal import Journal
from insar_dask.jobs.progress.live_view import latest_run
from insar_dask.jobs.recipe import Stage, Step

MOTION = Stage("site/motion", "site/raw", (Step("motion", "raw", "products"),), {"products": "site/products"})
SHARDS = 6


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A scheduler with a web server, and workers that are threads."""
    here = {"processes": False, "protocol": "tcp", "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(n_workers=2, threads_per_worker=1, **here) as cluster, Client(cluster) as client:
        yield client


@pytest.fixture(scope="module")
def failed(client: Client, small_scene: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of which one shard was damaged before a stage ran on it."""
    path = tmp_path_factory.mktemp("failed") / "site.zarr"
    insar.save(small_scene, path, "site/raw", shard_points=512, quiet=True)
    shard = path / "site/raw/displacement/c/4/0"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    with pytest.raises(JobError, match="shard 4"), Engine(path, client, quiet=True) as engine:
        engine.run(MOTION)
    while any(client.run(executing).values()):  # what was in flight gets its receipt all the same
        time.sleep(0.05)
    return path


def executing(dask_worker: Worker) -> int:
    return dask_worker.state.executing_count


def fetch(client: Client, what: str) -> bytes:
    with urllib.request.urlopen(page_address(client) + what, timeout=20) as answer:
        data: bytes = answer.read()
        return data


def state(client: Client, wanted: str = "") -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(fetch(client, f"/state.json{wanted}"))
    return shown


def test_what_failed_is_told_with_its_reason(client: Client, failed: Path) -> None:
    shown = state(client)
    assert shown["store"] == str(failed)
    assert shown["ended"] is not None
    stage = shown["stage"]
    assert (stage["name"], stage["n"], stage["counts"]["failed"]) == ("site/motion", SHARDS, 1)
    assert stage["states"][4] == "f"
    (fault,) = (one for one in stage["faults"] if one["kind"] == "failed")
    assert (fault["shard"], fault["error"].split(":")[0]) == (4, "CubeError")
    assert len(shown["workers"]["rows"]) == 2
    assert sum(row.get("jobs", 0) for row in shown["workers"]["rows"]) == stage["counts"].get("done", 0)


def test_a_click_is_answered_with_a_traceback_or_a_receipt(client: Client, failed: Path) -> None:
    (told,) = json.loads(fetch(client, "/cell.json?stage=site/motion&cell=4"))
    assert "does not hold the bytes of its receipt" in told["fault"]["traceback"]
    with Engine(failed, client, quiet=True) as engine:
        insar_made = engine.ledger.done("site/products")
    for shard in range(SHARDS):
        found = json.loads(fetch(client, f"/receipts.json?stage=site/motion&shard={shard}"))
        assert set(found) == ({"site/products"} if shard in insar_made else set())
        if shard in insar_made:
            assert found["site/products"]["checksum"] == insar_made[shard].checksum


@pytest.mark.parametrize(
    "what",
    [
        "/cell.json?stage=nonsense&cell=0",
        "/cell.json?stage=site/motion&cell=99",
        "/receipts.json?stage=site/motion&shard=-1",
        "/places.json",
    ],
)
def test_what_there_is_not_is_not_found(client: Client, failed: Path, what: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match=r"40[04]"):
        fetch(client, what)


def test_prometheus_finds_the_jobs_on_the_schedulers_metrics(client: Client, failed: Path) -> None:
    parser = pytest.importorskip("prometheus_client.parser", reason="needs prometheus-client (extra deploy)")
    address = page_address(client).removesuffix("/insar") + "/metrics"
    with urllib.request.urlopen(address, timeout=20) as answer:
        families = {one.name: one for one in parser.text_string_to_metric_families(answer.read().decode())}
    jobs = {tuple(one.labels.values()): one.value for one in families["insar_jobs"].samples}
    counts = state(client)["stage"]["counts"]
    assert jobs["site/motion", "failed"] == 1
    assert jobs["site/motion", "done"] == counts.get("done", 0)
    assert families["insar_points"].samples[0].value == state(client)["stage"]["points"]
    assert families["insar_run_active"].samples[0].value == 0


def test_the_page_is_opened_once_however_often_it_is_asked_for(client: Client, failed: Path) -> None:
    before = state(client)["runs"]
    serve(client)
    with Client(client.scheduler_info()["address"], set_as_default=False) as another:
        serve(another)
    assert state(client)["runs"] == before
    assert b"Chunk jobs" in fetch(client, "")


def test_a_training_without_an_engine_is_seen_by_what_its_ranks_tell(client: Client, failed: Path) -> None:
    for step in (1, 2, 3):
        told = {"kind": "step", "step": step, "of": 10, "loss": 1.0 / step}
        client.log_event("insar-training-0123456789", {"what": "tell", "rank": 0, "told": told})
    (model,) = state(client)["losses"]
    assert [row[:2] for row in model["rows"]] == [[1.0, 1.0], [2.0, 0.5], [3.0, 1 / 3]]


def test_nonsense_under_the_topic_harms_nothing(client: Client, failed: Path) -> None:
    before = state(client)["stage"]["counts"]
    for nonsense in (
        None,
        "x",
        {"kind": "done"},
        {"run": "1"},
        {"run": "1", "store": "", "client": "", "events": b"x"},
    ):
        client.log_event(TOPIC, nonsense)
    assert state(client, "?run=" + state(client)["runs"][-1]["run"])["stage"]["counts"] == before


def test_a_driver_that_leaves_in_the_middle_is_no_longer_waited_for(client: Client, tmp_path: Path) -> None:
    with Client(client.scheduler.address) as other:
        told = Engine(tmp_path / "left.zarr", other, quiet=True).told
        told(Event("stage", "left/raw", extra={"n_shards": 3, "points": [5, 5]}))
        told(Event("running", "left/raw", 1, worker="tcp://a:1"))
        assert state(client)["stage"]["ended"] is None
    soon(lambda: state(client)["ended"] is not None)
    shown = state(client)
    assert shown["error"] == "the driver has left"
    assert shown["stage"]["counts"] == {"waiting": 3}


def test_a_driver_that_was_cut_off_for_a_while_goes_on_on_the_page_too(client: Client, tmp_path: Path) -> None:
    with Client(client.scheduler.address) as other, Engine(tmp_path / "cut.zarr", other, quiet=True) as engine:
        engine.told(Event("stage", "cut/raw", extra={"n_shards": 3, "points": [5, 5]}))
        other.loop.add_callback(other.scheduler_comm.comm.abort)
        soon(lambda: state(client)["error"] == "the driver has left" and other.status == "running")
        engine.told(Event("done", "cut/raw", 0, points=5))
        soon(lambda: state(client)["stage"]["counts"].get("done") == 1)
        shown = state(client)
        assert (shown["ended"], shown["error"], shown["stage"]["ended"], shown["stage"]["error"]) == (
            None,
            "",
            None,
            "",
        )
        engine.told(Event("ended", "cut/raw"))


def soon(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)


def test_a_failing_run_is_watched_in_a_browser(client: Client, failed: Path, browser: Any) -> None:
    run = next(one["run"] for one in state(client)["runs"] if one["store"] == str(failed))
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(page_address(client))
    page.wait_for_selector("#grid i")
    if page.locator("#runs").is_visible():
        page.locator("#runs").select_option(run)
        page.wait_for_selector("#grid i.f")
    assert page.locator("#grid i").count() == SHARDS
    page.locator("#grid i.f").click()
    page.wait_for_selector("#trace")
    assert "does not hold the bytes of its receipt" in page.locator("#trace").inner_text()
    assert page.locator("#workers tbody tr").count() == 2
    page.close()
    assert complaints == []


def test_the_history_hears_what_workers_have_begun(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "site.zarr"
    with Engine(path, client, quiet=True) as engine:
        engine.told(Event("stage", "heard/raw", extra={"n_shards": 3, "points": [5, 5]}))
        client.log_event(TOPIC, Event("running", "heard/raw", 1, worker="tcp://a:1", at=7.0).to_dict())
        engine.told(Event("done", "heard/raw", 0, points=5))
        reader, deadline = latest_run(LocalStore(path)), time.monotonic() + 20
        while not reader.read().stages["heard/raw"].running and time.monotonic() < deadline:
            time.sleep(0.1)
        assert reader.board.stages["heard/raw"].running == {1: (7.0, "tcp://a:1")}
        engine.told(Event("ended", "heard/raw"))


def test_a_run_goes_on_without_the_page_where_the_scheduler_does_not_answer(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def silent(**_: object) -> None:
        await asyncio.sleep(3)

    with Client(client.scheduler.address) as other, Journal(LocalStore(tmp_path), other, quiet=True) as told:
        told(Event("stage", "unheard", extra={"n_shards": 1}))
        monkeypatch.setattr(lookout, "ANSWER_SECONDS", 0.1)
        monkeypatch.setitem(client.cluster.scheduler.handlers, "log_event", silent)  # type: ignore[union-attr]
        with caplog.at_level(logging.WARNING, "insar_dask"):
            told(Event("ended", "unheard", error="it failed"))
    said = [record.message.partition(" (")[0] for record in caplog.records if record.name == "insar_dask"]
    assert said == ["the dashboard does not hear of this run any more"]


def test_a_mark_is_left_and_told_in_one_question(client: Client, tmp_path: Path) -> None:
    seat = mark_keys(f"{client.id} run", 0)
    with Engine(tmp_path / "site.zarr", client, quiet=True) as engine:
        engine.told(Event("stage", "marked/raw", extra={"n_shards": 3}))

        def begin(attempt: str, worker: str, **further: object) -> object:
            event = Event("running", "marked/raw", 1, worker=worker, at=7.0).to_dict() | further
            return ask(client, BEGIN, keys=seat, attempt=attempt, event=event)

        assert begin("first", "tcp://a:1") == {"begun": None}
        assert begin("first", "tcp://b:1") == {"begun": "tcp://a:1"}
        mark = {"attempt": "first", "worker": "tcp://a:1"}
        assert ask(client, "get_metadata", keys=seat, default=None) == mark
        assert running(client, engine.told.board.run) == (("marked/raw", 1, 7.0, "tcp://a:1"),)  # type: ignore[attr-defined]
        assert begin("next in this seat", "tcp://b:1") == {"begun": None}
        assert begin("of another version", "tcp://b:1", unheard_of=1) == {"begun": None}
        ask(client, "set_metadata", keys=seat[:2], value=None)  # as a driver does that ends
        assert begin("late", "tcp://b:1") == {"begun": "tcp://b:1"}  # so that nothing is made for nobody
        engine.told(Event("ended", "marked/raw"))


def test_attempts_of_a_scheduler_with_a_page_are_marked_by_it(client: Client, tmp_path: Path) -> None:
    before = len(client.get_events(TOPIC))
    with Engine(tmp_path / "site.zarr", client, quiet=True) as engine:
        engine.told(Event("stage", "paged", extra={"n_shards": 5}))
        found = dict(engine.map(shard_of, [("", "", shard) for shard in range(5)], label="paged"))
        assert found == {shard: shard for shard in range(5)}
        assert {shard for _, shard, _, _ in running(client, engine.told.board.run)} == set(range(5))  # type: ignore[attr-defined]
        engine.told(Event("ended", "paged"))
    # workers had nothing to say beside
    assert not any("kind" in message for _, message in client.get_events(TOPIC)[before:])


def test_stages_of_one_name_in_the_runs_of_two_drivers_hear_of_their_own_jobs(client: Client, tmp_path: Path) -> None:
    with (
        Client(client.scheduler.address) as second,
        Engine(tmp_path / "twin.zarr", second, quiet=True) as other,
        Engine(tmp_path / "site.zarr", client, quiet=True) as engine,
    ):
        for one, n_shards in ((engine, 5), (other, 2)):
            one.told(Event("stage", "twin", extra={"n_shards": n_shards}))
        assert len(dict(engine.map(shard_of, [("", "", shard) for shard in range(5)], label="twin"))) == 5
        assert {shard for _, shard, _, _ in running(client, engine.told.board.run)} == set(range(5))  # type: ignore[attr-defined]
        assert not running(client, other.told.board.run)  # type: ignore[attr-defined]
        for one in (engine, other):
            one.told(Event("ended", "twin"))


def test_runs_that_have_ended_make_room_before_one_between_two_stages() -> None:
    plugin = JobsPlugin()

    def tell(run: str, *events: Event) -> None:
        plugin.log_event(TOPIC, {"run": run, "store": run, "client": "", "events": packed(events)})

    tell("between", Event("stage", "a/raw", extra={"n_shards": 1}), Event("ended", "a/raw"))
    for number in range(2 * RUNS_KEPT):
        tell(f"over {number}", Event("stage", "b/raw", extra={"n_shards": 1}), Event("ended", "b/raw"), Event("ended"))
    assert [*plugin.boards] == ["between", *(f"over {number}" for number in range(RUNS_KEPT + 1, 2 * RUNS_KEPT))]


def shard_of(_path: str, _stage: str, shard: int) -> int:
    return shard


def test_a_campaign_stays_in_front_and_leads_to_its_products(client: Client, tmp_path: Path, browser: Any) -> None:
    stores = [str(tmp_path / f"{name}.zarr") for name in ("E32N34", "E33N34")]
    product = Journal(LocalStore(stores[0]), client, stores[0], quiet=True)
    with Journal(LocalStore(tmp_path / "campaign"), client, "here/campaign", quiet=True) as told:
        told(Event("stage", "products", extra={"n_shards": 2, "targets": ["products"], "stores": stores}))
        told(Event("running", "products", 0))
        product(Event("stage", "E32N34/raw", extra={"n_shards": 4, "points": [5, 5]}))
        for number in range(12):
            with Journal(LocalStore(tmp_path / "other"), client, f"other {number}", quiet=True) as other:
                other(Event("stage", f"other {number}", extra={"n_shards": 1}))
                other(Event("ended", f"other {number}"))
        page = browser.new_page()
        page.goto(page_address(client))
        page.wait_for_selector("#grid i.r")
        assert page.locator("#where").inner_text() == "here/campaign"
        page.locator("#grid i.r").click()
        assert page.locator("#told h2").inner_text().startswith("E32N34")
        page.locator("#told a").click()
        page.wait_for_selector("#name:text('E32N34/raw')")
        assert page.locator("#where").inner_text() == stores[0]
        assert page.locator("#grid i").count() == 4
        page.close()
        assert len(state(client)["runs"]) <= 10
        told(Event("ended", "products"))
    product(Event("ended", "E32N34/raw"))
    product.close()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_address_is_said_once_in_a_terminal(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    with Engine(tmp_path / "site.zarr", client) as engine:
        for name in ("site/raw", "site/smooth"):
            engine.told(Event("stage", name, extra={"n_shards": 1, "points": [5, 5]}))
            engine.told(Event("ended", name))
    assert screen.getvalue().splitlines() == [f"dashboard  {page_address(client)}"]


def test_a_scheduler_can_have_the_page_from_its_start() -> None:
    preload = {"preload": ["insar_dask.dashboard.preload"], "preload_argv": [[]]}
    here = {"processes": False, "protocol": "tcp", "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(n_workers=0, scheduler_kwargs=preload, **here) as cluster:
        address = cluster.dashboard_link.removesuffix("/status") + "/insar/state.json"
        with urllib.request.urlopen(address, timeout=20) as answer:
            assert json.loads(answer.read())["stages"] == []


def test_a_scheduler_that_refuses_the_page_does_not_stop_a_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    here = {"processes": False, "protocol": "tcp", "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(n_workers=0, **here) as cluster, Client(cluster) as client:

        async def refuse(**_: Any) -> None:
            raise ValueError("this scheduler takes no plugins")

        cluster.scheduler.handlers["register_scheduler_plugin"] = refuse
        with Engine(tmp_path / "site.zarr", client, quiet=True) as engine:
            engine.told(Event("stage", "site/raw", extra={"n_shards": 1, "points": [5, 5]}))
            engine.told(Event("ended", "site/raw"))
    ours = [record.message for record in caplog.records if record.name == "insar_dask"]
    assert ours == [
        "there is no dashboard of chunk jobs, for the scheduler refused it (this scheduler takes no plugins); "
        "the run goes on"
    ]
