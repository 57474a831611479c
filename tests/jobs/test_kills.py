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
from tests.jobs.site_run import TARGETS

STAGES = {"": ("site/raw", "site/prepare"), "onward": tuple(TARGETS)}
SHARDS = {"": 42, "onward": 11}
KILLS = {"": 20, "onward": 8}


@pytest.fixture(scope="module", params=STAGES)
def undisturbed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, finish: Callable[..., Any]
) -> dict[str, Any]:
    store, onward = tmp_path_factory.mktemp("undisturbed") / "site.zarr", request.param
    how, shards = ("processes", *([onward] if onward else [])), SHARDS[onward]
    began = time.perf_counter()
    assert finish(store, *how) == {stage: [shards, shards] for stage in STAGES[onward]}
    seconds = time.perf_counter() - began
    return {"bytes": stored_bytes(store), "seconds": seconds, "onward": onward, "how": how, "caught": []}


@pytest.mark.slow
def test_a_killed_run_loses_only_what_was_in_flight(
    tmp_path: Path,
    launch: Callable[..., subprocess.Popen[str]],
    finish: Callable[..., Any],
    undisturbed: dict[str, Any],
) -> None:
    onward, how = undisturbed["onward"], undisturbed["how"]
    shards, caught = SHARDS[onward], []
    every = shards * sum(len(TARGETS[stage]) for stage in STAGES[onward])
    for number in range(KILLS[onward]):
        store = tmp_path / f"{number}" / "site.zarr"
        store.parent.mkdir()
        instant = random.Random(number).uniform(0.1, 0.9) * undisturbed["seconds"]
        done = kill_after(launch(store, *how), instant, store)
        caught.append(sum(len(done[target]) for stage in STAGES[onward] for target in TARGETS[stage]))
        whole = {stage: set.intersection(*(done[target] for target in TARGETS[stage])) for stage in STAGES[onward]}
        report = finish(store, *how)
        assert report == {stage: [shards, shards - len(kept)] for stage, kept in whole.items()}, (number, instant)
        assert stored_bytes(store) == undisturbed["bytes"], (number, instant)
    assert sum(0 < receipts < every for receipts in caught) >= len(caught) // 4, f"{caught}: the instants miss the work"


def kill_after(process: subprocess.Popen[str], seconds: float, store: Path) -> dict[str, set[int]]:
    """Kill the whole group so many seconds after the start; returns the shards that have receipts, by target."""
    with process:
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    ledger = Ledger(open_store(store))
    return {target: set(ledger.done(target)) for targets in TARGETS.values() for target in targets}
