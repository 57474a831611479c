"""Jobs of a real SLURM, of one node and made for the test."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import as_completed

import insar_dask as insar
from insar_dask.jobs.receipts import Ledger
from insar_dask.objects import open_store
from tests.clusters.conftest import SETTINGS, SHARDS
from tests.clusters.one_node_slurm import jobs, missing, one_node_slurm
from tests.conftest import stored_bytes
from tests.sessions.conftest import Certify

SCRIPT = Path(__file__).parents[2] / "deploy" / "slurm" / "insar.sbatch"
PATIENCE = 240
ALIVE = "PENDING,CONFIGURING,RUNNING,COMPLETING"


@pytest.fixture(scope="module")
def slurm() -> Iterator[Path]:
    if why := missing():
        pytest.skip(why)
    with one_node_slurm() as folder:
        yield folder


def until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def refused(error: type[Exception], complaint: str, asked: dict[str, Any]) -> None:
    with pytest.raises(error, match=complaint), insar.session(1, slurm=asked, memory_limit="1GiB"):
        pass


def test_a_run_of_the_documented_script_survives_a_cancelled_worker(
    slurm: Path, product: Path, here: dict[str, bytes], certify: Certify, tmp_path: Path
) -> None:
    """As a user does it: `sbatch insar.sbatch site.toml`, over TLS; one of two workers is cancelled in mid-run."""
    store, files = tmp_path / "site.zarr", certify()
    files_toml = ", ".join(f'{name} = "{path}"' for name, path in files.items())
    (tmp_path / "site.toml").write_text(
        SETTINGS.format(source=product, store=store).replace("workers = 0", "workers = 1")
        + f'memory_limit = "1GiB"\nslurm = {{interface = "lo"}}\ntls = {{{files_toml}}}\n'
    )
    environment = {**os.environ, "INSAR_DASK": str(Path(sys.executable).with_name("insar-dask"))}
    submitted = subprocess.run(
        ["sbatch", "--parsable", SCRIPT, "site.toml", "workers=2"],
        check=True, capture_output=True, text=True, cwd=tmp_path, env=environment,
    )  # fmt: skip
    driver, log = submitted.stdout.strip(), tmp_path / f"insar-driver-{submitted.stdout.strip()}.log"
    ledger = f"{product.stem}/smooth"
    until(
        lambda: driver not in jobs(ALIVE) or (store.exists() and Ledger(open_store(store)).done(ledger)),
        "no shard was smoothed",
    )
    workers = [job for job in jobs() if job != driver]
    assert len(workers) == 2, log.read_text()
    subprocess.run(["scancel", workers[0]], check=True)
    until(
        lambda: set(jobs()) - {driver, *workers} or driver not in jobs(ALIVE), "no job took the place of the cancelled"
    )
    replaced = set(jobs()) - {driver, *workers}
    until(lambda: driver not in jobs(ALIVE), "the run did not end")
    assert replaced, "the run was over before a job was replaced"
    assert "TypeError" not in log.read_text()
    assert stored_bytes(store) == here, log.read_text()
    assert len(Ledger(open_store(store)).done(ledger)) == SHARDS
    until(lambda: not jobs(ALIVE), "jobs of workers outlived their driver")


def test_a_job_that_is_cancelled_while_it_waits_is_asked_for_again(slurm: Path, tmp_path: Path) -> None:
    logs = str(tmp_path / "logs")
    with insar.session(1, slurm={"interface": "lo", "logs": logs}, memory_limit="1GiB") as client:
        first = jobs()
        partition("DOWN")
        subprocess.run(["scancel", *first], check=True)
        until(lambda: jobs("PENDING"), "no job was submitted in place of the first")
        waiting = jobs("PENDING")
        subprocess.run(["scancel", *waiting], check=True)
        until(lambda: set(jobs("PENDING")) - set(waiting), "the cancelled job was not submitted again")
        partition("UP")
        client.wait_for_workers(1, timeout=PATIENCE)
        assert client.submit(sum, [1, 2]).result() == 3
    until(lambda: not jobs(ALIVE), "jobs outlived the session")


def test_workers_retire_before_their_walltime_and_others_go_on(slurm: Path, tmp_path: Path) -> None:
    """Jobs of two minutes, which leave within the first: no task fails, and SLURM has none to kill.

    Results are taken as they come, as a run takes its receipts: those that lie on workers which all leave before the
    first of the next has come would be made again.
    """

    def slow_square(number: int) -> int:  # defined here: workers cannot import tests
        time.sleep(0.6)
        return number**2

    logs, seen = tmp_path / "logs", set()
    asked = {"interface": "lo", "logs": str(logs), "walltime": "00:02:00"}
    with insar.session(2, slurm=asked, memory_limit="1GiB") as client:
        found, begun = [], as_completed(client.map(slow_square, range(220), pure=False, retries=0), with_results=True)
        for _, square in begun:
            found.append(square)
            seen.update(jobs())
        assert sorted(found) == [number**2 for number in range(220)]
    assert len(seen) >= 4
    assert "TIME LIMIT" not in (said := "".join(path.read_text() for path in logs.glob("*.err")))
    assert said.count("worker-lifetime-reached") >= 2


def test_jobs_that_fail_one_after_another_end_the_wait(slurm: Path, tmp_path: Path) -> None:
    asked = {"interface": "lo", "logs": str(tmp_path / "logs"), "setup": ["echo no such module >&2", "exit 3"]}
    refused(RuntimeError, "3 times jobs ended before they were workers: no such module", asked)
    until(lambda: not jobs(ALIVE), "jobs outlived the session")


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [({"queue": "none"}, "invalid partition"), ({"options": ["--constraint=none"]}, "[Ii]nvalid feature")],
)
def test_jobs_that_are_refused_are_told_at_once(
    asked: dict[str, Any], complaint: str, slurm: Path, tmp_path: Path
) -> None:
    asked = {"interface": "lo", "logs": str(tmp_path / "logs"), **asked}
    refused(RuntimeError, f"slurm: jobs are refused: .*{complaint}", asked)
    assert not jobs("PENDING")


def test_an_interface_of_another_host_is_named(slurm: Path) -> None:
    refused(ValueError, "interface is 'ib7'; wanted one of this host's: .*lo", {"interface": "ib7"})


def test_a_host_without_slurm_is_told(slurm: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    refused(FileNotFoundError, "no sbatch, squeue, scancel on this host", {"interface": "lo"})


def partition(state: str) -> None:
    subprocess.run(["scontrol", "update", "PartitionName=main", f"State={state}"], check=True)
