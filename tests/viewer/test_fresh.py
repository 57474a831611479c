import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from insar_dask.jobs.progress.status import damaged_documents
from insar_dask.jobs.receipts import Ledger
from insar_dask.objects import open_store
from insar_dask.viewer.fresh import bring_up, is_fresh
from insar_dask.viewer.overview_jobs import prepare

HEAVY = {"torch", "distributed", "dask", "xarray", "zarr", "pandas", "numpy", "matplotlib", "sklearn"}


@pytest.fixture
def copy(site: Path, tmp_path: Path) -> Path:
    """A store with the times of the one it was copied of."""
    return Path(shutil.copytree(site, tmp_path / "copy.zarr"))


def test_what_is_as_it_was_made_is_not_looked_at_again(copy: Path) -> None:
    assert is_fresh(copy)
    (copy / "jobs/history").mkdir(exist_ok=True)
    (copy / "jobs/history/a.json").write_text("{}")
    (copy / "jobs/lock").write_text("")
    assert is_fresh(copy)
    assert bring_up(copy, quiet=True) == ""
    assert damaged_documents(copy) == []


@pytest.mark.parametrize(
    "key",
    [
        "site/explore/0/velocity/c/0",
        "site/explore/zarr.json",
        "explore/zarr.json",
        "site/products/zarr.json",
        "jobs/receipts/site/products/book-000000.json",
    ],
)
@pytest.mark.parametrize("how", ["gone", "later", "longer"])
def test_any_change_is_seen(key: str, how: str, copy: Path) -> None:
    path = copy / key
    if how == "gone":
        path.unlink()
    elif how == "longer":
        look = path.stat()
        path.write_bytes(path.read_bytes() + b" ")
        os.utime(path, ns=(look.st_atime_ns, look.st_mtime_ns))
    else:
        os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1))
    assert not is_fresh(copy)


def test_a_new_note_or_product_is_seen(copy: Path) -> None:
    Ledger(open_store(copy)).write_note("areas/scene/2024-01-01", {"crs_wkt": "elsewhere"})
    assert not is_fresh(copy)
    assert prepare(copy, quiet=True) == ""
    assert is_fresh(copy)
    (copy / "other/raw").mkdir(parents=True)
    (copy / "other/raw/zarr.json").write_text("{}")
    assert not is_fresh(copy)


def test_what_is_no_store_or_in_a_bucket_is_not_fresh(tmp_path: Path, copy: Path) -> None:
    assert not is_fresh(tmp_path / "none.zarr")
    assert not is_fresh("s3://bucket/site.zarr")
    (copy / "jobs/explored.json").write_text("[1")
    assert not is_fresh(copy)


def test_a_fresh_store_is_served_without_anything_heavy(copy: Path) -> None:
    code = (
        "import sys; from insar_dask.viewer.fresh import bring_up; from insar_dask.viewer.serve import application; "
        "from insar_dask.viewer.campaign_page import find_stores; path = sys.argv[1]; "
        "assert bring_up(path) == '' and find_stores(path) is None; application(path); print(*sys.modules)"
    )
    command = [sys.executable, "-c", code, str(copy)]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert HEAVY.isdisjoint(loaded)
