import http.client
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from insar_dask.cli import app
from insar_dask.cube import CubeError
from insar_dask.jobs.receipts import Ledger, Receipt
from insar_dask.objects import open_store
from insar_dask.viewer.background import check_tiles
from insar_dask.viewer.campaign_page import find_stores
from insar_dask.viewer.export import export_page
from insar_dask.viewer.page import page_text
from tests.viewer.serving import explorer


@pytest.fixture
def campaign(site: Path, tmp_path: Path) -> Path:
    """A folder with a book of three products, of which two are done."""
    ledger = Ledger(open_store(tmp_path / "campaign"))
    ledger.write_note("catalogue", {"products": ["a b", "site", "waits"]})
    for number, name in enumerate(("a b", "site")):
        store = shutil.copytree(site, tmp_path / f"{name}.zarr")
        ledger.write("products", Receipt(number, "key", "sum", 1, 1))
        ledger.write_note(f"outcomes/{name}", {"store": str(store), "report": "", "summary": []})
    return tmp_path


def test_the_products_that_are_done_are_shown(campaign: Path, site: Path) -> None:
    assert find_stores(campaign) == {"a b": campaign / "a b.zarr", "site": campaign / "site.zarr"}
    assert find_stores(site) is None


def test_a_campaign_without_anything_done_says_so(campaign: Path) -> None:
    Ledger(open_store(campaign / "campaign")).forget("products")
    with pytest.raises(CubeError, match="no product of the campaign"):
        find_stores(campaign)


@pytest.mark.parametrize(
    ("name", "store"),
    [("a b", "/etc"), ("a b", "s3://maps/eu/a.zarr?endpoint=http://evil.example"), ("../../../x", "{}/site.zarr")],
)
def test_a_book_leads_nowhere_else(name: str, store: str, campaign: Path) -> None:
    ledger = Ledger(open_store(campaign / "campaign"))
    ledger.write_note("catalogue", {"products": [name, "site"]})
    ledger.write_note(f"outcomes/{name}", {"store": store.format(campaign), "report": "", "summary": []})
    with pytest.raises(CubeError, match="does not lie beside its book"):
        find_stores(campaign)
    assert not (campaign / "etc").exists()


def test_each_store_is_answered_under_its_name(campaign: Path, site: Path, tmp_path: Path) -> None:
    stores = find_stores(campaign)
    assert stores is not None
    with explorer(stores) as port:
        listed = json.loads(asked(port, "/data.zarr/explore/zarr.json"))["attributes"]["products"]
        assert listed == [
            {"name": "a b: site", "group": "site/explore", "store": "a%20b/"},
            {"name": "site", "group": "site/explore", "store": "site/"},
        ]
        chunk = "site/explore/0/velocity/c/0"
        for one in listed:
            assert asked(port, f"/data.zarr/{one['store']}{chunk}") == (site / chunk).read_bytes()
        for path in ("a%20b/jobs/lock", "waits/zarr.json", "campaign/jobs/catalogue.json", "a%20b/../site/zarr.json"):
            assert any(said in asked(port, f"/data.zarr/{path}") for said in (b"404", b"403"))
    data = export_page(stores, tmp_path / "share").parent / "data.zarr"
    assert json.loads((data / "explore/zarr.json").read_text())["attributes"]["products"] == listed
    assert (data / "a b" / chunk).read_bytes() == (site / chunk).read_bytes()


def test_the_verb_exports_all_of_a_campaign_and_refuses_one_address_for_it(campaign: Path) -> None:
    share = campaign / "share"
    done = CliRunner().invoke(app, ["explore", str(campaign), "--export", str(share), "--quiet"])
    assert (done.exit_code, done.stdout.strip()) == (0, str(share / "index.html"))
    assert {path.name for path in (share / "data.zarr").iterdir()} == {"a b", "explore", "site"}
    refused = CliRunner().invoke(app, ["explore", str(campaign), "--export", str(share), "--store", "https://a.org/b"])
    assert refused.exit_code == 2


def test_a_store_that_is_gone_is_named_and_left_out(campaign: Path) -> None:
    ledger = Ledger(open_store(campaign / "campaign"))
    ledger.write_note("outcomes/a b", {"store": str(campaign / "gone.zarr"), "report": "", "summary": []})
    done = CliRunner().invoke(app, ["explore", str(campaign), "--export", str(campaign / "share"), "--quiet"])
    assert done.exit_code == 0
    assert "a b is left out: there is no store at" in done.stderr
    listed = json.loads((campaign / "share/data.zarr/explore/zarr.json").read_text())["attributes"]["products"]
    assert [one["store"] for one in listed] == ["site/"]


def test_a_background_is_named_in_the_policy_and_refused_elsewhere(site: Path) -> None:
    address = "https://tiles.example.org/{z}/{x}/{y}.png"
    text = page_text(tiles=address)
    assert "img-src 'self' https://tiles.example.org data:" in text
    assert f'<meta name="tiles" content="{address}">' in text
    with pytest.raises(ValueError, match=r"in EPSG:3035, and images of maps on the web in EPSG:3857"):
        check_tiles(address, {"": site})
    for wrong in ("https://tiles.example.org/{z}/{x}.png", "file:///{z}/{x}/{y}.png", "https://a; b/{z}/{x}/{y}"):
        with pytest.raises(ValueError, match=r"wanted such as|no address on a web server"):
            check_tiles(wrong, {})


def asked(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path)
    data = connection.getresponse().read()
    connection.close()
    return data
