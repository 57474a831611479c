"""A run that is killed at any instant goes on where it was, and ends as if nothing had happened."""

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from insar_dask.jobs.receipts import Ledger
from insar_dask.objects import open_store
from tests.conftest import stored_bytes

PREPARED = ("site/regular", "site/smooth", "site/products")
SHARDS = 42
KILLS = 20


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, finish: Callable[..., Any]) -> dict[str, Any]:
    store = tmp_path_factory.mktemp("undisturbed") / "site.zarr"
    began = time.perf_counter()
    assert finish(store, "processes") == {"site/raw": [SHARDS, SHARDS], "site/prepare": [SHARDS, SHARDS]}
    return {"bytes": stored_bytes(store), "seconds": time.perf_counter() - began}


@pytest.fixture(scope="module")
def caught() -> list[int]:
    """Receipts found after each kill."""
    return []


@pytest.mark.slow
@pytest.mark.parametrize("number", range(KILLS))
def test_a_killed_run_loses_only_what_was_in_flight(
    number: int,
    tmp_path: Path,
    launch: Callable[..., subprocess.Popen[str]],
    finish: Callable[..., Any],
    undisturbed: dict[str, Any],
    caught: list[int],
) -> None:
    store = tmp_path / "site.zarr"
    instant = random.Random(number).uniform(0.1, 0.9) * undisturbed["seconds"]
    done = kill_after(launch(store, "processes"), instant, store)
    caught.append(sum(map(len, done.values())))
    report = finish(store, "processes")
    lacking = set(range(SHARDS)) - set.intersection(*(done[target] for target in PREPARED))
    assert report == {
        "site/raw": [SHARDS, SHARDS - len(done["site/raw"])],
        "site/prepare": [SHARDS, len(lacking)],
    }
    assert stored_bytes(store) == undisturbed["bytes"]


@pytest.mark.slow
def test_the_instants_hit_the_work(caught: list[int]) -> None:
    assert sum(0 < receipts < 4 * SHARDS for receipts in caught) >= KILLS // 4, caught


def kill_after(process: subprocess.Popen[str], seconds: float, store: Path) -> dict[str, set[int]]:
    """Kill the whole group so many seconds after the start; returns the shards that have receipts, by target."""
    with process:
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    ledger = Ledger(open_store(store))
    return {target: set(ledger.done(target)) for target in ("site/raw", *PREPARED)}
