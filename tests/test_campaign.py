import os
import signal
import threading
import time
import warnings
from asyncio import CancelledError
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import xarray as xr
from distributed import Client
from typer.testing import CliRunner
from zarr.storage import LocalStore

import insar_dask as insar
from insar_dask import outcomes
from insar_dask.campaign import Campaign, RunOne, _key
from insar_dask.campaign_book import campaign_table
from insar_dask.cli import app
from insar_dask.config import Config, ConfigError, parse_config
from insar_dask.crew import PATIENCE, as_they_end, stop_if_told
from insar_dask.jobs.engine import JobError
from insar_dask.jobs.holding.lock import owned
from insar_dask.jobs.progress.live_view import latest_run
from insar_dask.outcomes import Outcome
from insar_dask.pipeline import opened
from insar_dask.synthetic import egms_tile, scene, write_egms
from insar_dask.viewer.fresh import bring_up
from tests.conftest import stored_bytes
from tests.readers.mintpy_layout import metres, write_plane, write_series

BURSTS = ("0100", "0101", "0102")


def name_of(burst: str) -> str:
    return f"EGMS_L2b_022_{burst}_IW2_VV_2020_2024_1"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three bursts of 256 points and 80 dates."""
    folder = tmp_path_factory.mktemp("archive")
    for seed, burst in enumerate(BURSTS):
        write_egms(folder / f"{name_of(burst)}.zip", scene("l2b", n_points=256, n_dates=80, seed=seed))
    return folder


def configured(archive: Path, root: Path, **store: object) -> Config:
    return parse_config(
        {
            "source": {"files": [str(archive)]},
            "store": {"path": str(root / "{product}.zarr"), **store},
            "forecast": {"methods": ["persistence", "harmonic"], "as_published": False},
            "report": {"exports": False},
            "cluster": {"workers": 0},
        }
    )


def reader(client: Client | None = None) -> RunOne:
    """Runs as far as the raw cube, and leaves a page that says so: what follows is every run's own."""

    def one(config: Config) -> list[Outcome]:
        with opened(config, client=client, quiet=True) as bench:
            (source,) = bench.sources()
            product = bench.ingest(source)
        page = bench.store.with_suffix(".txt")
        page.write_text(product)
        return [Outcome(product, bench.store, page, (f"{bench.ingested(product)['n_points']} points",))]

    return one


def nap(*_: object) -> None:
    time.sleep(0.01)


def never(config: Config) -> list[Outcome]:
    raise AssertionError(f"{config.store.path} was run")


def test_each_product_gets_the_store_that_a_run_of_its_own_makes(archive: Path, tmp_path: Path) -> None:
    outcomes = insar.run(configured(archive, tmp_path / "all", at_once=2), quiet=True)
    assert [outcome.product for outcome in outcomes] == [name_of(burst) for burst in BURSTS]
    assert all(outcome.report.exists() and "256 points read" in outcome.summary[0] for outcome in outcomes)
    index = (tmp_path / "all" / "index.html").read_text()
    assert all(f"{outcome.product}/index.html" in index for outcome in outcomes)
    told = CliRunner().invoke(app, ["status", str(tmp_path / "all")])
    assert told.output.splitlines()[-1] == "3 of 3 products are done"
    config = configured(archive, tmp_path)
    source = config.source.model_copy(update={"files": [str(archive / f"{name_of(BURSTS[1])}.zip")]})
    store = config.store.model_copy(update={"path": str(tmp_path / "one.zarr")})
    insar.run(config.model_copy(update={"source": source, "store": store}), quiet=True)
    assert stored_bytes(outcomes[1].store) == stored_bytes(tmp_path / "one.zarr")


def test_finished_products_are_not_run_again(archive: Path, tmp_path: Path) -> None:
    campaign = Campaign(configured(archive, tmp_path), quiet=True)
    outcomes = campaign.run(reader(), None)
    assert campaign.run(never, None) == outcomes


@pytest.mark.parametrize("how", ["cut off", "flipped"])
def test_a_damaged_shard_is_made_again(archive: Path, tmp_path: Path, how: str) -> None:
    campaign = Campaign(configured(archive, tmp_path), quiet=True)
    first = Path(campaign.run(reader(), None)[0].store)
    shard = first / name_of(BURSTS[0]) / "raw/displacement/c/0/0"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1] if how == "cut off" else bytes([whole[0] ^ 1]) + whole[1:])
    if how == "flipped":  # which nobody sees but who reads all
        assert CliRunner().invoke(app, ["verify", str(first)]).exit_code == 1
    ran = []
    campaign.run(lambda config: ran.append(config.store.path) or reader()(config), None)
    assert ran == [str(first)] and shard.read_bytes() == whole
    campaign.run(never, None)
    assert CliRunner().invoke(app, ["verify", str(first)]).exit_code == 0


def test_a_note_found_damaged_has_its_product_run_again(archive: Path, tmp_path: Path) -> None:
    campaign = Campaign(configured(archive, tmp_path), quiet=True)
    first = Path(campaign.run(reader(), None)[0].store)
    note = first / "jobs/ingest" / f"{name_of(BURSTS[0])}.json"
    whole = note.read_bytes()
    note.write_bytes(whole.replace(b"256", b"257"))
    assert CliRunner().invoke(app, ["verify", str(first)]).exit_code == 1
    campaign.run(reader(), None)
    campaign.run(never, None)
    assert note.read_bytes() == whole


@pytest.mark.parametrize("lost", ["jobs/receipts/*/raw/*", "../*0100*.txt"])
def test_a_product_that_lost_something_is_run_again(archive: Path, tmp_path: Path, lost: str) -> None:
    campaign = Campaign(configured(archive, tmp_path), quiet=True)
    first = campaign.run(reader(), None)[0].store
    before = stored_bytes(first)
    folder, pattern = (tmp_path, lost.removeprefix("../")) if lost.startswith("..") else (first, lost)
    for path in folder.glob(pattern):
        path.unlink()
    ran = []
    campaign.run(lambda config: ran.append(config.store.path) or reader()(config), None)
    assert ran == [str(first)]
    assert stored_bytes(first) == before


def test_a_product_is_run_again_with_other_settings(archive: Path, tmp_path: Path) -> None:
    config = configured(archive, tmp_path)
    Campaign(config, quiet=True).run(reader(), None)
    other = config.model_copy(update={"prepare": config.prepare.model_copy(update={"window": 21})})
    with pytest.raises(JobError, match="3 of 3 products failed"):
        Campaign(other, quiet=True).run(never, None)


def test_a_bad_product_is_named_after_the_others_are_done(archive: Path, tmp_path: Path) -> None:
    source = tmp_path / "archive"
    source.mkdir()
    for path in archive.iterdir():
        (source / path.name).write_bytes(path.read_bytes())
    bad = source / f"{name_of('0099')}.csv"
    bad.write_text("pid,easting,northing\n")
    campaign = Campaign(configured(source, tmp_path / "out"), quiet=True)
    with pytest.raises(
        JobError, match=rf"1 of 4 products failed, the others are done:\n  {bad.stem}: .*no date column"
    ):
        campaign.run(reader(), None)
    table = campaign_table(tmp_path / "out").splitlines()
    assert [line.split()[1] for line in table[1:-1]] == ["failed", "done", "done", "done"]
    assert table[-1] == "3 of 4 products are done"
    bad.unlink()
    assert len(campaign.run(never, None)) == 3


def test_products_keep_their_numbers_when_others_join(archive: Path, tmp_path: Path) -> None:
    config = configured(archive, tmp_path)
    last = config.source.model_copy(update={"files": [str(archive / f"{name_of(BURSTS[2])}.zip")]})
    Campaign(config.model_copy(update={"source": last}), quiet=True).run(reader(), None)
    ran = []
    Campaign(config, quiet=True).run(lambda one: ran.append(Path(one.store.path).stem) or reader()(one), None)
    assert ran == [name_of(burst) for burst in BURSTS[:2]]
    names = [line.split()[0] for line in campaign_table(tmp_path).splitlines()[1:4]]
    assert names == [name_of(burst) for burst in (BURSTS[2], BURSTS[0], BURSTS[1])]


def test_a_product_that_was_explored_is_not_run_again(archive: Path, tmp_path: Path) -> None:
    campaign = Campaign(configured(archive, tmp_path), quiet=True)
    bring_up(campaign.run(reader(), None)[0].store, quiet=True)
    campaign.run(never, None)


def test_products_that_a_run_does_not_name_are_told_of_as_done(archive: Path, tmp_path: Path) -> None:
    config = configured(archive, tmp_path)
    Campaign(config, quiet=True).run(reader(), None)
    last = config.source.model_copy(update={"files": [str(archive / f"{name_of(BURSTS[2])}.zip")]})
    Campaign(config.model_copy(update={"source": last}), quiet=True).run(never, None)
    counts = latest_run(LocalStore(tmp_path / "campaign")).read().stages["products"].counts()
    assert (counts["skipped"], counts["waiting"]) == (3, 0)


def tile_archive(folder: Path, names: tuple[str, ...]) -> Path:
    """Tiles of 40 points and 30 dates; the last one's file is no product."""
    folder.mkdir()
    one = write_egms(folder / "EGMS_L3_E32N34_100km_U_2020_2024_1.zip", egms_tile("E32N34", 40, 30)).read_bytes()
    for name in names:
        data = b"no zip" if name == names[-1] else one
        (folder / f"EGMS_L3_{name}_100km_U_2020_2024_1.zip").write_bytes(data)
    return folder


def test_a_campaign_has_a_board_of_its_own(tmp_path: Path) -> None:
    source, out = tile_archive(tmp_path / "archive", ("E32N34", "E33N34", "E33N35")), tmp_path / "out"
    config = configured(source, out)
    stores = [str(out / f"EGMS_L3_{name}_100km_U_2020_2024_1.zarr") for name in ("E32N34", "E33N34", "E33N35")]
    for state in ("done", "skipped"):
        with pytest.raises(JobError, match="1 of 3 products failed"):
            Campaign(config, quiet=True).run(reader(), None)
        board = latest_run(LocalStore(out / "campaign")).read()
        stage = board.stages["products"]
        assert (stage.counts()[state], stage.counts()["failed"]) == (2, 1)
        assert board.error.startswith("JobError: 1 of 3 products failed")
        assert stage.boxes is not None and stage.boxes[1].tolist() == [3.3e6, 3.4e6, 3.4e6, 3.5e6]
        assert list(stage.stores) == stores
        assert stage.faults[2].error.startswith("CubeError") and "is not a zip" in stage.faults[2].error
    told = CliRunner().invoke(app, ["status", str(out), "--watch"])
    assert "products" in told.output and "shard 2 failed: CubeError" in told.output


def test_the_page_of_a_campaign_leads_to_those_of_its_products(browser: Any, tmp_path: Path) -> None:
    source, out = tile_archive(tmp_path / "archive", ("E32N34", "E33N34", "E33N35")), tmp_path / "out"
    with pytest.raises(JobError):
        Campaign(configured(source, out), quiet=True).run(reader(), None)
    first = out / "EGMS_L3_E32N34_100km_U_2020_2024_1.zarr"
    CliRunner().invoke(app, ["status", str(first), "--html"])
    written = Path(CliRunner().invoke(app, ["status", str(out), "--html"]).output.strip())
    assert written == out / "campaign-jobs.html"
    page = browser.new_page()
    page.goto(written.as_uri())
    page.wait_for_selector("#grid i")
    assert [page.locator(f"#grid .{letter}").count() for letter in "dfw"] == [2, 1, 0]
    assert page.locator("#map [data-cell]").count() == 3
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator("#grid i.f").click()
    assert page.evaluate("document.getElementById('detail').scrollWidth") <= 390  # long names are broken
    page.set_viewport_size({"width": 1280, "height": 800})
    assert "E33N35" in page.locator("#told h2").inner_text() and "is not a zip" in page.locator("#trace").inner_text()
    page.locator("#grid i").nth(1).click()
    page.wait_for_selector(".receipt")
    assert f"insar-dask status {out}/EGMS_L3_E33N34" in page.locator("#told code").inner_text()
    page.locator("#grid i").first.click()
    page.locator("#told a", has_text="chunk jobs").click()
    page.wait_for_selector("#name:text('E32N34')")
    assert page.locator("#name").inner_text() == f"{first.stem}/raw"
    page.close()


def test_no_more_than_two_pages_are_drawn_at_a_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    drawing, most = [], []

    @contextmanager
    def drawn(_engine: object, name: str) -> Iterator[None]:
        drawing.append(name)
        most.append(len(drawing))
        time.sleep(0.05)
        yield
        drawing.remove(name)

    class Bench:
        folder, engine = tmp_path, None
        config = parse_config({"report": {"exports": False}})
        store = tmp_path

        def group(self, product: str, stage: str) -> Any:
            return xr.Dataset()

    monkeypatch.setattr(outcomes, "alone", drawn)
    monkeypatch.setattr(outcomes, "_write_page", lambda _bench, folder, *_: folder)
    with ThreadPoolExecutor(8) as pool:
        pages = list(pool.map(lambda name: outcomes.publish(Bench(), name), "abcdefgh"))  # type: ignore[arg-type]
    assert [page.name for page in pages] == list("abcdefgh") and max(most) == 2


def test_a_second_campaign_in_one_folder_is_refused(archive: Path, tmp_path: Path) -> None:
    with owned(tmp_path / "campaign"), pytest.raises(JobError, match="another run is working on"):
        Campaign(configured(archive, tmp_path), quiet=True).run(never, None)


def test_products_share_a_cluster(archive: Path, tmp_path: Path) -> None:
    config, alone = (configured(archive, tmp_path / name) for name in ("shared", "alone"))
    with insar.session(workers=1, threads_per_worker=2) as client:
        assert Campaign(config).at_once(client) == 2
        outcomes = Campaign(config, quiet=True).run(reader(client), client)
    for here, there in zip(outcomes, Campaign(alone, quiet=True).run(reader(), None), strict=True):
        assert stored_bytes(here.store) == stored_bytes(there.store)


def test_ctrl_c_ends_all_products_and_the_next_run_goes_on(archive: Path, tmp_path: Path) -> None:
    config, began, ended = configured(archive, tmp_path, at_once=2), [], []
    sent: list[float] = []

    def press() -> None:
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    def slow(one: Config) -> list[Outcome]:
        began.append(one.store.path)
        if len(began) == 2:
            threading.Timer(0.1, press).start()
        try:
            with opened(one, quiet=True) as bench:
                bench.ingest(*bench.sources())
                for _ in bench.engine.map(nap, (("", "", shard) for shard in count()), label="naps"):
                    pass
        finally:
            ended.append(one.store.path)

    with pytest.raises(KeyboardInterrupt):
        Campaign(config, quiet=True).run(slow, None)
    assert time.monotonic() - sent[0] < PATIENCE and len(began) == 2
    assert sorted(ended) == sorted(began) and not [one for one in threading.enumerate() if "product" in one.name]
    assert "KeyboardInterrupt" in latest_run(LocalStore(began[0])).read().error
    assert len(Campaign(config, quiet=True).run(reader(), None)) == 3
    assert all((tmp_path / f"{name_of(burst)}.zarr/jobs/lock").exists() for burst in BURSTS)


def test_ctrl_c_that_another_thread_takes_is_heard() -> None:
    idle = threading.Thread(target=time.sleep, args=(20,), daemon=True)
    idle.start()
    told: list[str] = []

    def work(_: int) -> None:
        try:
            while True:
                nap()
                stop_if_told()
        finally:
            told.append("given back")

    threading.Timer(0.1, signal.pthread_kill, (idle.ident, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        next(as_they_end(work, [1, 2], 2))
    assert told == ["given back"] * 2


def test_what_is_no_error_of_a_product_ends_all(archive: Path, tmp_path: Path) -> None:
    def one(config: Config) -> list[Outcome]:
        if BURSTS[0] in config.store.path:
            raise SystemExit(3)
        while True:
            nap()
            stop_if_told()

    with pytest.raises(SystemExit, match="3"):
        Campaign(configured(archive, tmp_path, at_once=2), quiet=True).run(one, None)
    assert not [thread for thread in threading.enumerate() if "product" in thread.name]


@pytest.mark.parametrize("cancelled", [False, True])
def test_without_its_cluster_a_campaign_ends_at_once(archive: Path, tmp_path: Path, cancelled: bool) -> None:
    ran = []

    def one(config: Config) -> list[Outcome]:
        ran.append(config.store.path)
        client.close()
        if cancelled:  # as what was being asked of the client is
            raise CancelledError
        return reader(client)(config)

    # a client that is closed within its block leaves itself behind as Dask's scheduler
    with (
        dask.config.set(scheduler=None),
        insar.session(workers=1) as client,
        pytest.raises(JobError, match="the cluster is gone"),
    ):
        Campaign(configured(archive, tmp_path, at_once=1), quiet=True).run(one, client)
    assert len(ran) == 1


def test_every_choice_but_where_and_how_it_runs_is_in_the_key(archive: Path, tmp_path: Path) -> None:
    """So that a changed one is noticed; east and up of tracks are no campaign's."""
    config = configured(archive, tmp_path)
    source = archive / f"{name_of(BURSTS[0])}.zip"
    assert _key(config, source, "gpu") != _key(config, source)
    before, outside = _key(config, source), {"source.files", "store.path", "store.at_once", "cluster", "cost"}
    for section, values in config:
        for name in type(values).model_fields:
            other = values.model_copy(update={name: "something else"})
            changed = config.model_copy(update={section: other})
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pydantic: of another kind than the field's
                found = _key(changed, source) if (section, name) != ("source", "reader") else ""
            assert (found == before) == bool({section, f"{section}.{name}"} & outside), (section, name)
    with pytest.raises(ConfigError, match="east and up are made of tracks in one store"):
        parse_config({"source": {"files": ["a"]}, "store": {"path": "{product}.zarr"},
                      "east_up": {"name": "e", "tracks": ["b"]}})  # fmt: skip


def test_files_beside_a_series_are_in_the_key_too(tmp_path: Path) -> None:
    series = write_series(tmp_path / "timeseries.h5")
    config = parse_config({"source": {"files": [str(series)]}, "store": {"path": f"{tmp_path}/{{product}}.zarr"}})
    before = _key(config, series)
    write_plane(tmp_path / "temporalCoherence.h5", temporalCoherence=np.ones(metres().shape[1:], np.float32))
    assert _key(config, series) != before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"store": {"path": "out/{tile}.zarr"}}, r"of \{tile\} nothing is known"),
        ({"store": {"path": "out/{product}.zarr"}}, "source.files must name products"),
        (
            {"store": {"path": "{product}.zarr"}, "source": {"files": ["a"]}, "maps": {"method": "mmstt"}},
            "maps are made of one store",
        ),
        (
            {
                "store": {"path": "{product}/cube.zarr", "folder": "reports"},
                "source": {"files": ["a"]},
                "areas": {"method": "paper"},
            },
            "pages of areas are named after their store, and all would be cube.zarr",
        ),
    ],
)
def test_a_path_that_cannot_be_is_refused(content: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(content)


def test_where_no_campaign_is_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no campaign"):
        campaign_table(tmp_path)
