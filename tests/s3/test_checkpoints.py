"""Checkpoints of a training whose store is in a bucket outlive its driver."""

import logging
from pathlib import Path

import numpy as np
import pytest

from insar_dask.jobs.engine import Engine
from insar_dask.jobs.forecasting.bucket_checkpoints import ROOT, checkpoints_in
from insar_dask.jobs.forecasting.trained_once import Arrays, Tell, trained_once
from insar_dask.objects import list_keys, open_store, put_bytes
from tests.s3.faulty import Proxy

FIRST, SECOND = (f"checkpoint-{step:08d}-{step:016x}.pt" for step in (5, 10))


def test_a_training_goes_on_where_its_driver_died(address: str) -> None:
    def dies(folder: Path, tell: Tell) -> Arrays:
        (folder / "trend").mkdir()
        for step, name in ((5, FIRST), (10, SECOND)):
            (folder / "trend" / name).write_bytes(name.encode())
            if name == SECOND:
                (folder / "trend" / FIRST).unlink()
            tell({"kind": "checkpoint", "step": step, "file": name})
        raise KeyboardInterrupt

    def goes_on(folder: Path, tell: Tell) -> Arrays:
        found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.pt")}
        assert found == {f"trend/{SECOND}": SECOND.encode()}
        tell({"kind": "checkpoint", "step": 10, "file": SECOND})
        return {"weights": np.arange(3.0)}

    with pytest.raises(KeyboardInterrupt):
        trained_once(Engine(address, quiet=True), "site", "networks", "a" * 64, dies)
    store = open_store(address)
    assert list_keys(store, ROOT) == [f"{ROOT}/site/networks/{'a' * 16}/trend/{SECOND}"]
    put_bytes(store, f"{ROOT}/site/networks/{'a' * 16}/other.pt", b"no checkpoint")
    state = trained_once(Engine(address, quiet=True), "site", "networks", "a" * 64, goes_on)
    assert list_keys(store, ROOT) == []
    np.testing.assert_array_equal(Engine(address).ledger.read_state(state)["weights"], np.arange(3.0))


def test_networks_that_are_done_outlive_the_driver_too(address: str) -> None:
    """Their checkpoints go when they are done, and what all of them learn from is made again."""

    def dies(folder: Path, tell: Tell) -> Arrays:
        for name in ("trend-0", "trend-10"):
            (folder / name).mkdir()
            (folder / name / FIRST).write_bytes(name.encode())
            tell({"kind": "checkpoint", "step": 5, "file": FIRST})
            if name == "trend-0":
                (folder / name / FIRST).unlink()
                (folder / "trend-0.npz").write_bytes(b"done")
                (folder / "insar-dask-material.npz").write_bytes(b"series")
        raise KeyboardInterrupt

    def goes_on(folder: Path, tell: Tell) -> Arrays:
        found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
        assert found == ["trend-0.npz", f"trend-10/{FIRST}"]
        return {"weights": np.arange(3.0)}

    with pytest.raises(KeyboardInterrupt):
        trained_once(Engine(address, quiet=True), "site", "networks", "a" * 64, dies)
    trained_once(Engine(address, quiet=True), "site", "networks", "a" * 64, goes_on)
    assert list_keys(open_store(address), ROOT) == []


def test_checkpoints_of_other_settings_are_not_taken(address: str) -> None:
    put_bytes(open_store(address), f"{ROOT}/site/networks/{'b' * 16}/{FIRST}", b"other")
    with checkpoints_in(open_store(address), "site/networks", "a" * 16) as (folder, _):
        assert list(folder.rglob("*")) == []


def test_a_bucket_that_refuses_a_checkpoint_does_not_end_the_training(
    address: str, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        checkpoints_in(open_store(address), "site/networks", "a" * 16) as (folder, keep),
        caplog.at_level(logging.INFO),
    ):
        (folder / FIRST).write_bytes(b"1")
        proxy.fault = lambda kind, _key: 403 if kind == "PUT" else None
        keep()
        assert "a checkpoint is kept here alone" in caplog.text and "grant" in caplog.text
        proxy.fault = lambda _kind, _key: None
        keep()
        assert list_keys(open_store(address), ROOT) == [f"{ROOT}/site/networks/{'a' * 16}/{FIRST}"]


def test_ranks_that_do_not_see_the_folder_are_told_what_to_do(address: str) -> None:
    with (
        pytest.raises(RuntimeError, match=r"/tmp/x on this worker is not .* set TMPDIR, where the driver runs"),
        checkpoints_in(open_store(address), "site/networks", "a" * 16),
    ):
        raise RuntimeError("/tmp/x on this worker is not the folder that the driver writes to")
