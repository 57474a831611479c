from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.storage import LocalStore

import insar_dask as insar
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.progress import places
from insar_dask.jobs.progress.live_view import latest_run
from insar_dask.jobs.progress.places import stage_boxes
from insar_dask.jobs.receipts import Ledger, Receipt
from insar_dask.jobs.recipe import Stage, Step
from insar_dask.jobs.steps.ingest import ingest
from insar_dask.synthetic import scene, write_egms

MOTION = Stage("site/motion", "site/raw", (Step("motion", "raw", "products"),), {"products": "site/products"})


@pytest.fixture(params=["saved", "ingested"])
def site(request: pytest.FixtureRequest, small_scene: xr.Dataset, tmp_path: Path) -> Path:
    """A store whose raw cube has several shards."""
    path = tmp_path / "site.zarr"
    if request.param == "saved":
        insar.save(small_scene, path, "site/raw", shard_points=512, quiet=True)
    else:
        name = "EGMS_L2b_022_0845_IW2_VV_2020_2024_1"
        source = write_egms(tmp_path / f"{name}.zip", scene("l2b", n_points=600, n_dates=40))
        ingest(Engine(path, quiet=True), source, "site", {"name": name}, shard_points=128)
    return path


def test_where_coordinates_are_too_many_to_read_receipts_say_where_shards_lie(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(site)
    n_shards = len(Ledger(store).done("site/raw"))
    read = stage_boxes(store, "site/products", n_shards)
    monkeypatch.setattr(places, "MOST_POINTS", 0)
    told = stage_boxes(store, "site/products", n_shards)
    assert read is not None and told is not None and n_shards > 4
    assert told.tolist() == np.concatenate([np.floor(read[:, :2]), np.ceil(read[:, 2:])], axis=1).tolist()
    Engine(site, quiet=True).run(MOTION)
    drawn = latest_run(store).read().stages["site/motion"].boxes
    assert drawn is not None and np.abs(drawn - told).max() < 1
    made = Ledger(store).done("site/products")
    assert not any(receipt.box for receipt in made.values())  # the raw cube's are enough


def test_a_receipt_keeps_its_box_and_one_that_no_map_could_show_is_none(tmp_path: Path) -> None:
    ledger = Ledger(LocalStore(tmp_path))
    for box in ((), (-5, 10, 7, 12)):
        receipt = Receipt(3, "key", "sum", 1, 1, box=box)
        ledger.write("site/raw", receipt)
        assert ledger.done("site/raw") == {3: receipt} and (b"box" in receipt.to_json()) == bool(box)
        ledger.compact("site/raw")
        assert ledger.find("site/raw", 3) == receipt
    for strange in ((1, 2, 3), (1.5, 2, 3, 4), ("a", "b", "c", "d"), (1, 2, 3, 1 << 70)):
        ledger.write("site/raw", Receipt(4, "key", "sum", 1, 1, box=strange))  # type: ignore[arg-type]
        assert 4 not in ledger.done("site/raw")


def test_a_tile_lies_between_its_outermost_rows_and_columns(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path, path="tiles/up", mode="w", zarr_format=3)
    for name, dims, shape in (("easting", ("tile", "x"), (2, 8)), ("northing", ("tile", "y"), (2, 8))):
        made = group.create_array(name, shape=shape, chunks=(1, 8), dtype="f8", dimension_names=dims)
        made[...] = np.arange(16.0).reshape(2, 8)
    boxes = stage_boxes(LocalStore(tmp_path), "tiles/up", 2)
    assert boxes is not None
    assert boxes.tolist() == [[0.0, 0.0, 7.0, 7.0], [8.0, 8.0, 15.0, 15.0]]
