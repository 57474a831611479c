"""A campaign's page leads to those of its products, wherever its history says that these lie."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from zarr.storage import LocalStore

import insar_dask as insar
from insar_dask.dashboard import product_pages as pages
from insar_dask.dashboard.kept import write_page
from insar_dask.dashboard.other_pages import other_pages, report_links
from insar_dask.dashboard.product_pages import own_store
from insar_dask.jobs.progress.board import Board
from insar_dask.jobs.progress.events import Event
from insar_dask.jobs.progress.journal import Journal
from insar_dask.jobs.receipts import Ledger
from insar_dask.store_errors import StoreError
from insar_dask.viewer.export import export_page
from insar_dask.viewer.overview_jobs import prepare
from tests.report.scenes import make_cube


def tell(store: Path, stage: str, stores: tuple[Path, ...] = ()) -> None:
    """A run in which all shards of a stage failed."""
    with Journal(LocalStore(store), address=str(store), quiet=True) as told:
        extra = {"n_shards": max(len(stores), 1), "stores": [str(one) for one in stores]}
        told(Event("stage", stage, extra=extra))
        for shard in range(extra["n_shards"]):
            told(Event("failed", stage, shard, error="ValueError: bad"))
        told(Event("ended", stage, error="bad"))


def state_of(page: Path) -> dict[str, Any]:
    text = page.read_text().partition('id="kept"')[2].partition(">")[2].partition("</script>")[0]
    found: dict[str, Any] = json.loads(text)
    return found


def test_a_forged_history_chooses_no_place_for_pages(tmp_path: Path) -> None:
    own, deeper, elsewhere = tmp_path / "eu" / "a.zarr", tmp_path / "eu" / "b" / "cube.zarr", tmp_path / "x" / "c.zarr"
    beyond = tmp_path / "eu" / ".." / "x" / "d.zarr"
    for store in (own, deeper, elsewhere, beyond.resolve()):
        tell(store, "site/raw")
    tell(tmp_path / "eu" / "campaign", "products", (own, deeper, elsewhere, beyond))
    written = write_page(tmp_path / "eu" / "campaign")
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.html")) == [
        "eu/a-jobs.html", "eu/b/cube-jobs.html", "eu/campaign-jobs.html"
    ]  # fmt: skip
    state = state_of(written)
    assert state["pages"] == {str(own): "a-jobs.html", str(deeper): "b/cube-jobs.html"}
    assert set(state["troubles"]) == {str(elsewhere), str(beyond)}
    assert "does not lie beside" in state["troubles"][str(elsewhere)]


def test_a_product_that_says_to_be_a_campaign_of_itself_gets_one_page(tmp_path: Path) -> None:
    product = tmp_path / "a.zarr"
    tell(product, "products", (product, tmp_path / "campaign"))
    tell(tmp_path / "campaign", "products", (product,))
    assert state_of(write_page(tmp_path / "campaign"))["pages"] == {str(product): "a-jobs.html"}


def test_one_product_that_cannot_be_read_does_not_end_the_page(tmp_path: Path) -> None:
    def write(store: str) -> None:
        if store.endswith("b.zarr"):
            raise StoreError("cannot read jobs in s3://eu/b.zarr: the credentials do not allow it\nmore")
        if store.endswith("c.zarr"):
            raise FileNotFoundError("this store has no history of runs")
        Path(store).with_name("a-jobs.html").write_text("")

    stores = [str(tmp_path / f"{name}.zarr") for name in "abc"]
    board = Board()
    board.take(Event("stage", "products", extra={"n_shards": 3, "stores": stores}))
    for shard in range(3):
        board.take(Event("failed", "products", shard))
    links, troubles = pages.product_pages(board, tmp_path / "campaign", tmp_path, write)
    assert links == {stores[0]: "a-jobs.html"}
    assert troubles == {
        stores[1]: "its page was not written: cannot read jobs in s3://eu/b.zarr: the credentials do not allow it"
    }


def test_links_have_bounds_and_those_that_matter_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stores = [str(tmp_path / f"{number:04}.zarr") for number in range(40)]
    for number in range(40):
        (tmp_path / f"{number:04}-jobs.html").write_text("")
    board = Board()
    board.take(Event("stage", "products", extra={"n_shards": 40, "stores": stores}))
    board.take(Event("failed", "products", 33))
    monkeypatch.setattr(pages, "LINK_CHARACTERS", 3 * (len(stores[0]) + 20))
    links, _ = pages.product_pages(board, tmp_path / "campaign", tmp_path, lambda _: None)
    assert list(links) == [stores[33], stores[0], stores[1]]


@pytest.mark.parametrize(
    ("named", "book", "own"),
    [
        ("s3://eu/maps/a.zarr", "s3://eu/maps/campaign?region=eu-west-1", "s3://eu/maps/a.zarr?region=eu-west-1"),
        ("s3://eu/a.zarr", "s3://eu/campaign", "s3://eu/a.zarr"),
        ("s3://eu/mapsandmore/a.zarr", "s3://eu/maps/campaign", None),
        ("s3://us/maps/a.zarr", "s3://eu/maps/campaign", None),
        ("s3://eu/maps/../a.zarr", "s3://eu/maps/campaign", None),
        ("/tmp/a.zarr", "s3://eu/maps/campaign", None),
        ("s3://eu/maps/a.zarr", "/data/campaign", None),
    ],
)
def test_a_store_in_a_bucket_is_opened_where_its_book_lies_and_as_that_was(
    named: str, book: str, own: str | None
) -> None:
    assert own_store(named, book) == own


def test_a_link_of_ones_own_to_a_store_of_ones_own_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that was moved to another disk; the page of a product lies where the link does."""
    book, elsewhere = tmp_path / "eu" / "campaign", tmp_path / "disk" / "a.zarr"
    tell(elsewhere, "site/raw")
    tell(book, "products", (tmp_path / "eu" / "a.zarr",))
    (tmp_path / "eu" / "a.zarr").symlink_to(elsewhere)
    assert own_store(str(tmp_path / "eu" / "a.zarr"), book) == str(tmp_path / "eu" / "a.zarr")
    write_page(book)
    assert (tmp_path / "eu" / "a-jobs.html").exists() and not (tmp_path / "disk" / "a-jobs.html").exists()
    (tmp_path / "folder").symlink_to(tmp_path / "eu")  # and where one comes by a link to the whole campaign
    assert own_store(str(tmp_path / "folder" / "a.zarr"), tmp_path / "folder" / "campaign")
    for named in ("../disk/a.zarr", "gone.zarr/../../disk/a.zarr"):
        assert own_store(f"{tmp_path}/eu/{named}", book) is None
    (tmp_path / "eu" / "b.zarr").symlink_to("/etc")  # whose owner is root
    monkeypatch.setattr(pages.os, "getuid", lambda: 4711)
    assert own_store(str(tmp_path / "eu" / "a.zarr"), book) is None
    assert own_store(str(tmp_path / "eu" / "b.zarr"), book) is None


def test_a_page_leads_to_the_other_pages_of_its_store(tmp_path: Path) -> None:
    store = tmp_path / "eu" / "a.zarr"
    insar.save(make_cube(*np.random.default_rng(0).uniform(0, 900, (2, 40))), store, "site/raw", quiet=True)
    Ledger(LocalStore(store)).write_note("areas/scene-los/2023-01-01", {})
    assert other_pages(store, store.parent) == []
    for name in ("site", "a-areas-scene-los", "a-areas-other"):
        (tmp_path / "reports" / name).mkdir(parents=True)
        (tmp_path / "reports" / name / "index.html").write_text("")
    (tmp_path / "eu" / "a-config.toml").write_text(f'[store]\nfolder = "{tmp_path / "reports"}"\n')
    found = [
        {"label": "Report of site", "href": "../reports/site/index.html"},
        {"label": "Areas of scene-los", "href": "../reports/a-areas-scene-los/index.html"},
    ]
    assert other_pages(store, store.parent) == found
    prepare(store, quiet=True)
    command = {"label": "Explorer", "command": f"insar-dask explore {store}"}
    assert other_pages(store, store.parent) == [*found, command]
    export_page(store, tmp_path / "eu" / "share it")
    lead = {"label": "Explorer", "href": "share%20it/index.html"}
    assert state_of(write_page_of(store))["others"] == [*found, lead]
    (tmp_path / "eu" / "share it/index.html").unlink()  # of an export that was cut off
    assert other_pages(store, store.parent) == [*found, command]
    export_page(store, tmp_path / "eu" / "share it")
    (tmp_path / "eu" / "share it/data.zarr/site/explore/zarr.json").write_text("of another store")
    assert other_pages(store, store.parent) == [*found, command]


def test_a_campaign_leads_to_reports_beside_it_alone(tmp_path: Path) -> None:
    book, ledger = tmp_path / "eu" / "campaign", Ledger(LocalStore(tmp_path / "eu" / "campaign"))
    ledger.write_note("catalogue", {"products": ["a", "b", "c"]})
    for name, report in {"a": tmp_path / "eu/a/index.html", "b": tmp_path / "secret.html"}.items():
        report.parent.mkdir(exist_ok=True)
        report.write_text("")
        note = {"store": str(tmp_path / "eu" / f"{name}.zarr"), "report": str(report), "summary": []}
        ledger.write_note(f"outcomes/{name}", note)
    assert report_links(book, book.parent) == {str(tmp_path / "eu/a.zarr"): "a/index.html"}
    for torn in ({}, {"store": 3, "report": []}):
        ledger.write_note("outcomes/b", torn)
    ledger.write_note("catalogue", {"products": ["a", 7, "b", "c"]})
    assert len(report_links(book, book.parent)) == 1


def write_page_of(store: Path) -> Path:
    tell(store, "site/raw")
    return write_page(store)
