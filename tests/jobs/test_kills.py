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

TARGETS = ("site/raw", "site/regular", "site/smooth", "site/products")
KILLS = 20


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, finish: Callable[..., Any], tree: Any) -> dict[str, Any]:
    store = tmp_path_factory.mktemp("undisturbed") / "site.zarr"
    began = time.perf_counter()
    report = finish(store, "processes")
    assert report["site/raw"][0] >= 40
    return {"bytes": tree(store), "seconds": time.perf_counter() - began, "report": report}


@pytest.fixture(scope="module")
def tree() -> Callable[[Path], dict[str, bytes]]:
    from tests.conftest import stored_bytes

    return stored_bytes


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_twenty_kills_of_the_process_group_lose_only_what_was_in_flight(
    tmp_path: Path,
    launch: Callable[..., subprocess.Popen[str]],
    finish: Callable[..., Any],
    tree: Any,
    undisturbed: dict[str, Any],
) -> None:
    chance = random.Random(20)
    interrupted = 0
    for number in range(KILLS):
        store = tmp_path / f"{number}.zarr"
        done = kill_after(launch(store, "processes"), chance.uniform(0, undisturbed["seconds"]), store)
        interrupted += 0 < sum(done.values()) < 4 * 42
        report = finish(store, "processes")
        assert report["site/raw"] == [42, 42 - done["site/raw"]]
        lacking = {i for target in TARGETS[1:] for i in range(42)} if not done["site/regular"] else None
        most = 42 - min(done[target] for target in TARGETS[1:])
        assert report["site/prepare"][1] <= (42 if lacking else most)
        assert tree(store) == undisturbed["bytes"]
    assert interrupted >= KILLS // 4, "the instants missed the work: nothing was tested"


def kill_after(process: subprocess.Popen[str], seconds: float, store: Path) -> dict[str, int]:
    """Kill the whole group so many seconds after the start; returns receipts by target."""
    with process:
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    ledger = Ledger(open_store(store))
    return {target: len(ledger.done(target)) for target in TARGETS}
