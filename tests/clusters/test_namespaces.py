"""A scheduler in one network namespace and workers in another, which speak TLS over a wire that can be cut."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from insar_dask.jobs.receipts import Ledger
from insar_dask.objects import open_store
from tests.clusters.conftest import SHARDS, Command
from tests.clusters.two_namespaces import ADDRESS, FAR, NEAR, WIRE, crew, ip, joining, missing, wired, within
from tests.conftest import stored_bytes
from tests.sessions.conftest import Certify

CUT = 6.0
"""Seconds that the wire is down."""


@pytest.fixture(scope="module")
def cluster(certify: Certify, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The scheduler near, two workers far; yields the files of their authority."""
    if reason := missing():
        pytest.skip(reason)
    ours = certify()
    with wired(), crew(ours, tmp_path_factory.mktemp("cluster")):
        yield ours


def done(store: Path) -> int:
    ledger, product = Ledger(open_store(store)), "EGMS_L2b_022_0845_IW2_VV_2020_2024_1"
    return len(ledger.done(f"{product}/raw")) if store.exists() else 0


def test_a_run_over_a_wire_that_is_cut_for_a_while_ends_as_one_here(
    cluster: dict[str, str], command: Command, here: dict[str, bytes], tmp_path: Path
) -> None:
    store = tmp_path / "site.zarr"
    driver = joining(ADDRESS, cluster, "60s")
    with subprocess.Popen(
        within(NEAR, *command(tmp_path, *driver)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while process.poll() is None and done(store) < 2:
            time.sleep(0.05)
        before = done(store)
        ip("-n", FAR, "link", "set", WIRE, "down")
        time.sleep(CUT)
        ip("-n", FAR, "link", "set", WIRE, "up")
        went_on = process.poll() is None
        _, complaints = process.communicate(timeout=300)
    assert process.returncode == 0, complaints
    assert went_on
    assert 2 <= before <= SHARDS
    assert stored_bytes(store) == here


@pytest.mark.parametrize(("who", "complaint"), [("stranger", "did the same authority sign"), ("plain", "speak tcp")])
def test_who_has_no_certificate_of_the_authority_is_refused(
    who: str, complaint: str, cluster: dict[str, str], certify: Certify, command: Command, tmp_path: Path
) -> None:
    told = joining(ADDRESS, certify()) if who == "stranger" else joining(ADDRESS.replace("tls", "tcp"), None)
    refused = subprocess.run(
        within(NEAR, *command(tmp_path, *told)), capture_output=True, text=True, check=False, timeout=120
    )
    assert refused.returncode == 1
    assert complaint in refused.stderr
    assert not (tmp_path / "site.zarr").exists() or done(tmp_path / "site.zarr") == 0
