"""What a receipt proves, and what must undo it."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import insar_dask as insar
from insar_dask.jobs.engine import Engine, JobError
from insar_dask.jobs.progress.status import damaged
from insar_dask.jobs.receipts import Ledger, Receipt
from insar_dask.jobs.recipe import Stage, Step
from insar_dask.jobs.steps import saving
from insar_dask.objects import list_keys, open_store, put_bytes
from insar_dask.store import open_group

MOTION = Stage("site/motion", "site/raw", (Step("motion", "raw", "products"),), {"products": "site/products"})
SHARDS = 6


@pytest.fixture(scope="module")
def moved(small_scene: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cube of six shards and its motion parameters."""
    path = tmp_path_factory.mktemp("moved") / "site.zarr"
    insar.save(small_scene, path, "site/raw", shard_points=512, quiet=True)
    assert Engine(path, quiet=True).run(MOTION).computed == SHARDS
    return path


@pytest.fixture
def engine(moved: Path, tmp_path: Path) -> Engine:
    return Engine(shutil.copytree(moved, tmp_path / "site.zarr"), quiet=True)


def test_other_dates_of_the_same_values_make_other_velocities(engine: Engine, small_scene: xr.Dataset) -> None:
    velocity = open_group(engine.store, "site/products")["velocity"].values
    times = small_scene["time"].values
    slow = small_scene.assign_coords(time=times[0] + 2 * (times - times[0]))
    insar.save(slow, str(engine.path), "site/raw", shard_points=512, quiet=True)
    assert engine.run(MOTION).computed == SHARDS
    halved = open_group(engine.store, "site/products")["velocity"].values
    assert not np.allclose(halved, velocity, atol=1.0)


@pytest.mark.parametrize("lost", ["time/c/0", "velocity/zarr.json", "zarr.json", "."])
def test_damage_to_what_all_shards_share_is_found_and_mended(lost: str, engine: Engine) -> None:
    stage = Stage("site/even", "site/raw", (Step("regularise", "raw", "even"),), {"even": "site/even"})
    stage, target = (stage, "site/even") if lost.startswith("time") else (MOTION, "site/products")
    engine.run(stage)
    path = Path(str(engine.path)) / target / lost
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.write_bytes(path.read_bytes()[:-9])
    assert damaged(str(engine.path)) == {target: list(range(SHARDS))}
    assert engine.run(stage).computed == SHARDS
    assert damaged(str(engine.path)) == {}


def test_a_damaged_input_is_refused_and_the_rest_stays_done(engine: Engine) -> None:
    stage = Stage("site/again", "site/raw", (Step("motion", "raw", "again"),), {"again": "site/again"})
    column = Path(str(engine.path)) / "site/raw/easting/c"
    (column / "3").write_bytes((column / "2").read_bytes())
    with pytest.raises(JobError, match=r"stage site/again, shard 3: .*shard 3 of site/raw does not hold the bytes"):
        engine.run(stage)
    assert {0, 1, 2} <= set(engine.ledger.done("site/again")) <= {0, 1, 2, 4, 5}


def test_a_save_that_is_killed_halfway_leaves_no_mixture_that_looks_done(
    engine: Engine, small_scene: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_part = saving.save_part

    def die_at_shard_2(path: str, part: xr.Dataset, index: int, *others: Any) -> list[Receipt]:
        assert Path(path).is_absolute(), "a worker has a working folder of its own"
        if index == 2:
            raise KeyboardInterrupt
        return save_part(path, part, index, *others)

    mirrored = small_scene.assign(
        displacement=(-small_scene["displacement"]).assign_attrs(small_scene.displacement.attrs)
    )
    mirrored["displacement"].encoding = small_scene["displacement"].encoding
    monkeypatch.setattr(saving, "save_part", die_at_shard_2)
    monkeypatch.chdir(Path(str(engine.path)).parent)
    with pytest.raises(JobError, match="site/raw, shard 2: KeyboardInterrupt"):
        insar.save(mirrored, "site.zarr", "site/raw", shard_points=512, quiet=True)
    assert set(engine.ledger.done("site/raw")) <= {0, 1, 3}
    with pytest.raises(JobError, match="site/raw lacks shards"):
        engine.run(MOTION)


def test_a_receipt_that_cannot_be_read_proves_nothing(engine: Engine) -> None:
    (book,) = list_keys(engine.store, "jobs/receipts/site/products/")
    put_bytes(engine.store, book, b'[{"index": 0,')
    assert engine.ledger.done("site/products") == {}
    assert engine.run(MOTION).computed == SHARDS


def test_a_receipt_that_was_not_put_in_its_place_yet_proves_nothing(tmp_path: Path) -> None:
    ledger = Ledger(open_store(tmp_path))
    ledger.write("site/raw", Receipt(3, "key", "sum", 1, 1))
    (whole,) = tmp_path.rglob("000003.json")
    whole.rename(whole.with_name("000003.0123abcd.partial"))  # a process was killed before it could rename it
    assert ledger.done("site/raw") == {} and ledger.damaged() == []


def test_receipts_of_a_target_below_another_are_its_own(tmp_path: Path) -> None:
    ledger = Ledger(open_store(tmp_path))
    receipts = {target: Receipt(3, target, "checksum", 1, 1) for target in ("site/raw", "site/raw/part", "site/rawer")}
    for bound in (False, True):
        for target, receipt in receipts.items():
            ledger.write(target, receipt)
            if bound:
                ledger.compact(target)
        assert {target: ledger.done(target) for target in receipts} == {t: {3: r} for t, r in receipts.items()}
        ledger.forget("site/raw")
        assert {target: len(ledger.done(target)) for target in receipts} == dict(zip(receipts, (0, 1, 1), strict=True))


def test_books_hold_any_number_of_shards(tmp_path: Path) -> None:
    ledger = Ledger(open_store(tmp_path))
    receipts = {index: Receipt(index, "key", "checksum", 1, 1) for index in (0, 999, 1000, 1_234_567)}
    for receipt in receipts.values():
        ledger.write("a/book-of/raw", receipt)
    ledger.compact("a/book-of/raw")
    assert ledger.done("a/book-of/raw") == receipts
    books = list_keys(ledger.store, "jobs/receipts/a/book-of/raw/")
    assert [book[-16:] for book in books] == ["book-000000.json", "book-000001.json", "book-001234.json"]


def test_a_note_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    ledger = Ledger(open_store(tmp_path))
    ledger.write_note("ingest/site", {"shards": 3})
    assert ledger.read_note("ingest/site") == {"shards": 3}
    put_bytes(ledger.store, "jobs/ingest/site.json", b"{")
    assert ledger.read_note("ingest/site") is None
