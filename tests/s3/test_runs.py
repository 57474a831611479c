"""Chunk jobs on a store in a bucket: the same bytes as in a folder, whatever the bucket does."""

import pickle
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from distributed import Client, LocalCluster

import insar_dask as insar
from insar_dask.buckets import Bucket
from insar_dask.config import parse_config
from insar_dask.jobs.engine import Engine, JobError
from insar_dask.jobs.holding.lock import owned
from insar_dask.jobs.memory import stage_memory
from insar_dask.jobs.progress.status import damaged, damaged_documents, status_table
from insar_dask.jobs.receipts import Ledger
from insar_dask.objects import list_keys, open_store, put_bytes
from insar_dask.planning import planned
from tests.s3.conftest import KEY_ID, SECRET
from tests.s3.faulty import Proxy, by_chance
from tests.s3.runs import RAW, SHARDS, TARGETS, objects_of, run, signed, stage

DONE = {RAW: [SHARDS, SHARDS], "site/prepare": [SHARDS, SHARDS]}
NOTHING = {RAW: [SHARDS, 0], "site/prepare": [SHARDS, 0]}


@pytest.fixture(scope="module")
def wanted(cube: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The run in a folder."""
    path = str(tmp_path_factory.mktemp("folder") / "site.zarr")
    assert run(path, cube) == DONE
    return path


def test_a_run_in_a_bucket_equals_one_in_a_folder_and_asks_seldom(
    address: str, proxy: Proxy, cube: xr.Dataset, wanted: str
) -> None:
    assert run(address, cube) == DONE
    asked, read = sum(proxy.asked.values()), Counter(key for kind, key in proxy.log if kind == "GET")
    assert objects_of(address) == objects_of(wanted)
    assert signed(address) == signed(wanted)
    series = [n for key, n in read.items() if "raw/displacement/c/" in key]
    assert max(series) <= 2 and sum(series) <= SHARDS + 1  # results are shaped after the first
    assert asked < 40 * 3 * SHARDS, f"{asked} requests for 3 groups of {SHARDS} shards: {read.most_common(10)}"
    before = len(proxy.log)
    assert run(address, cube) == NOTHING
    assert [key for _, key in proxy.log[before:] if "/displacement/c/" in key] in (
        [],
        [f"/{address[5:]}/{RAW}/displacement/c/0/0"],
    )
    assert (damaged(address), damaged_documents(address)) == ({}, [])
    assert f"{SHARDS} of {SHARDS}" in status_table(address)
    xr.testing.assert_identical(insar.open_cube(address).compute(), insar.open_cube(wanted).compute())
    here, there = (stage_memory(stage(), open_store(store)) for store in (wanted, address))
    held = max(receipt.size for receipt in Ledger(open_store(wanted)).done(RAW).values())
    assert here + held < there < here + 2e6  # a shard of a bucket is held as it came
    folder, bucket = (peak_of_prepare(store) for store in (wanted, address))
    assert there - here <= bucket - folder < 4 * (there - here)  # of a product with more columns than this one


def peak_of_prepare(store: str) -> float:
    """As `insar-dask plan` tells it."""
    synthetic = {"n_points": 512, "n_dates": 60}
    config = parse_config({"synthetic": synthetic, "store": {"path": store, "shard_points": 128}})
    ((_, stages),) = planned(config).tables
    return stages["prepare"][2] or 0


def test_what_a_bucket_fails_in_is_tried_again(address: str, proxy: Proxy, cube: xr.Dataset, wanted: str) -> None:
    proxy.fault = by_chance(seed=5, share=0.04)
    assert run(address, cube) == DONE
    proxy.fault = lambda _method, _key: None
    assert objects_of(address) == objects_of(wanted)
    assert signed(address) == signed(wanted)


@pytest.mark.parametrize("receipts", [5])
def test_a_driver_that_is_killed_is_followed_at_once_and_one_that_lives_is_not(
    receipts: int, address: str, cube: xr.Dataset, wanted: str
) -> None:
    ledger = Ledger(open_store(address))

    def done() -> int:
        return sum(len(ledger.done(target)) for target in (RAW, *TARGETS))

    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-m", "tests.s3.runs", address], cwd=root) as driver:
        while done() < receipts:
            assert driver.poll() is None
            time.sleep(0.05)
        driver.send_signal(signal.SIGSTOP)  # it lives, and does not end meanwhile
        with pytest.raises(JobError, match=f"the run of process {driver.pid} on .* is working on {address}"):
            run(address, cube)
        driver.send_signal(signal.SIGKILL)
    kept = done()
    assert receipts <= kept < 3 * SHARDS
    report = run(address, cube)
    assert sum(computed for _, computed in report.values()) <= 2 * SHARDS - kept // 2
    assert objects_of(address) == objects_of(wanted)
    assert signed(address) == signed(wanted)


def test_values_that_are_no_tenths_are_told_apart_from_tenths_of_the_same_second(
    address: str, cube: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Bucket.get_stamped

    def of_one_date(bucket: Bucket, key: str) -> tuple[bytes | None, tuple[str | None, datetime] | None]:
        data, stamp = seen(bucket, key)
        return data, stamp and (stamp[0], datetime(2020, 1, 1, tzinfo=UTC))

    monkeypatch.setattr(Bucket, "get_stamped", of_one_date)
    wide = cube.assign(displacement=(cube["displacement"] + np.float32(0.013)).assign_attrs(cube.displacement.attrs))
    for _ in range(2):
        insar.save(wide, address, RAW, shard_points=128, quiet=True)
        stored = insar.open_cube(address)["displacement"].values
        np.testing.assert_array_equal(np.sort(stored, axis=None), np.sort(wide["displacement"].values, axis=None))
        assert damaged(address) == {}


def test_a_secret_is_nowhere_but_in_the_environment(
    address: str, proxy: Proxy, cube: xr.Dataset, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with (
        LocalCluster(1, threads_per_worker=2, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        insar.save(cube, address, RAW, shard_points=128, quiet=True)
        with owned(address):
            engine = Engine(address, client, quiet=True)
            engine.run(stage())
            proxy.fault = lambda kind, key: 403 if kind == "PUT" and "smooth/displacement/c/" in key else None
            with pytest.raises(JobError, match="do not allow it") as refused:
                engine.run(stage(window=13))
        told = client.run_on_scheduler(
            lambda dask_scheduler: repr([list(dask_scheduler.tasks), dict(dask_scheduler.get_events())])
        )
        logs = repr([client.get_worker_logs(), client.get_scheduler_logs()])
    proxy.fault = lambda _method, _key: None
    out, err = capfd.readouterr()
    lazy = insar.open_cube(address)
    texts = [told, logs, out, err, str(refused.value), repr(refused.value.__cause__), repr(refused.value.__context__)]
    pickled = [pickle.dumps(thing) for thing in (lazy, dict(lazy.__dask_graph__()), engine.store)]
    stored = [f"{key}\n".encode() + data for key, data in objects_of(address).items()]
    receipts = [str(Ledger(open_store(address)).done(target)).encode() for target in (RAW, *TARGETS)]
    everything = b"\n".join([*(text.encode() for text in texts), *pickled, *stored, *receipts])
    everything += b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert address.encode() in everything
    assert SECRET.encode() not in everything
    assert KEY_ID.encode() not in everything


def test_other_peoples_objects_are_left_alone(address: str, cube: xr.Dataset) -> None:
    put_bytes(open_store(address), "holiday.jpg", b"sea")
    with pytest.raises(JobError, match="is no store and not empty"):
        run(address, cube)
    assert list_keys(open_store(address), "") == ["holiday.jpg"]
