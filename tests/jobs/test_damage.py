"""What a failing disk or a power cut leaves of the small documents: found by `verify`, rebuilt by the next run."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import xarray as xr

import insar_dask as insar
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.forecasting.evaluation import evaluate, forecast
from insar_dask.jobs.progress.status import damaged, damaged_documents, status_table
from insar_dask.jobs.recipe import Stage, Step
from insar_dask.jobs.seals import sealed, unsealed
from insar_dask.objects import list_keys
from tests.conftest import stored_bytes

SETTINGS = {"every": "12D", "methods": ("persistence", "harmonic")}
MOTION = Stage("site/motion", "site/raw", (Step("motion", "raw", "products"),), {"products": "site/products"})


def run(path: Path) -> None:
    engine = Engine(path, quiet=True)
    engine.run(MOTION)
    evaluate(engine, "site", **SETTINGS)
    forecast(engine, "site", 0.0, **SETTINGS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, small_scene: xr.Dataset) -> dict[str, bytes]:
    """Every object of a store after a run."""
    path = tmp_path_factory.mktemp("whole") / "site.zarr"
    insar.save(small_scene.drop_vars("observed"), path, "site/raw", shard_points=1024, quiet=True)
    run(path)
    return {p.relative_to(path).as_posix(): p.read_bytes() for p in path.rglob("*") if p.is_file()}


@pytest.fixture
def store(tmp_path: Path, whole: dict[str, bytes]) -> Path:
    path = tmp_path / "site.zarr"
    for name, data in whole.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def flip(data: bytes) -> bytes:
    changed = bytearray(data)
    changed[len(data) * 2 // 3] ^= 1
    return bytes(changed)


def halve(data: bytes) -> bytes:
    return data[: len(data) // 2]


def empty(_data: bytes) -> bytes:
    return b""


def zeros(data: bytes) -> bytes:
    """What a power cut leaves of a file whose length reached the disk and whose content did not."""
    return bytes(len(data))


@pytest.mark.parametrize("damage", [flip, halve, empty, zeros])
@pytest.mark.parametrize(
    "what",
    ["receipts/site/products", "receipts/jobs/partials/site/fits", "states", "scores/site", "forecaster/site"],
)
def test_a_damaged_document_is_found_and_rebuilt(what: str, damage: Callable[[bytes], bytes], store: Path) -> None:
    before = stored_bytes(store)
    for key in list_keys(Engine(store).store, f"jobs/{what}"):
        path = store / key
        path.write_bytes(damage(path.read_bytes()))
        assert damaged_documents(store) == [key]
        run(store)
        assert (damaged(store), damaged_documents(store)) == ({}, [])
        assert stored_bytes(store) == before


@pytest.mark.parametrize("damage", [empty, zeros])
def test_what_a_power_cut_left_everywhere_is_rebuilt(damage: Callable[[bytes], bytes], store: Path) -> None:
    before = stored_bytes(store)
    late = [path for path in store.rglob("*") if path.is_file() and "raw" not in path.parts and path.stat().st_size]
    for path in late[::2]:
        path.write_bytes(damage(path.read_bytes()))
    run(store)
    assert (damaged(store), damaged_documents(store)) == ({}, [])
    assert stored_bytes(store) == before


@pytest.mark.parametrize("damage", [flip, halve, empty, zeros])
def test_a_damaged_partial_is_found_and_rebuilt(damage: Callable[[bytes], bytes], store: Path) -> None:
    path = store / "jobs/partials/site/fits/000001.npz"
    before = stored_bytes(store)
    path.write_bytes(damage(path.read_bytes()))
    assert damaged(store) == {"jobs/partials/site/fits": [1]}
    run(store)
    assert damaged(store) == {}
    assert stored_bytes(store) == before


def test_every_bit_of_a_receipt_counts(store: Path) -> None:
    (key,) = list_keys(Engine(store).store, "jobs/receipts/site/raw/")
    data = (store / key).read_bytes()
    ledger = Engine(store).ledger
    sound = ledger.done("site/raw")
    for at in range(0, len(data), 7):
        (store / key).write_bytes(data[:at] + bytes([data[at] ^ 2]) + data[at + 1 :])
        known = ledger.done("site/raw")
        assert all(sound[index] == receipt for index, receipt in known.items())
        assert damaged_documents(store) == [key]


def test_a_seal_does_not_depend_on_how_a_document_is_written() -> None:
    document = sealed({"b": (1, 2.5), "a": None})
    assert unsealed(dict(reversed(document.items()))) == {"b": [1, 2.5], "a": None}
    assert unsealed({**document, "a": 0}) is unsealed({"a": 1}) is unsealed([]) is None


@pytest.mark.parametrize("lost", ["site/products", "site/products/zarr.json"])
def test_status_tells_of_a_group_that_a_run_was_killed_at_making_anew(lost: str, store: Path) -> None:
    assert lines(store)["site/products"][1:3] == ["of", "3"]
    if (store / lost).is_dir():
        shutil.rmtree(store / lost)
    else:
        (store / lost).unlink()
    assert lines(store)["site/products"][:4] == ["0", "of", "?", "0"]
    assert lines(store)["site/raw"][:3] == ["3", "of", "3"]
    assert damaged(store) == {"site/products": [0, 1, 2]}
    run(store)
    assert lines(store)["site/products"][:3] == ["3", "of", "3"]


def lines(store: Path) -> dict[str, list[str]]:
    """What `insar-dask status` says of each target."""
    return {line.split()[0]: line.split()[1:] for line in status_table(store).splitlines()}
