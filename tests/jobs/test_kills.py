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
from tests.jobs.site_run import TARGETS, run

STAGES = {"": ("site/raw", "site/prepare"), "onward": tuple(TARGETS)}
SHARDS = {"": 21, "onward": 11}
KILLS = [("", range(4)), ("onward", range(2))]
"""Six; `make chaos` kills a driver at fifty instants."""


@pytest.fixture(scope="module")
def undisturbed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, product: Path
) -> dict[str, Any]:
    """Made in this process: a third of the work of making it in workers, which leave the same bytes."""
    store, onward = tmp_path_factory.mktemp("undisturbed") / "site.zarr", request.param
    how, shards = ("processes", *([onward] if onward else [])), SHARDS[onward]
    assert run(str(store), str(product), "serial", onward) == {stage: [shards, shards] for stage in STAGES[onward]}
    return {"bytes": stored_bytes(store), "onward": onward, "how": how}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("undisturbed", "numbers"), KILLS, indirect=["undisturbed"], ids=[onward or "first" for onward, _ in KILLS]
)
def test_a_killed_run_loses_only_what_was_in_flight(
    numbers: range,
    tmp_path: Path,
    product: Path,
    launch: Callable[..., subprocess.Popen[str]],
    finish: Callable[..., Any],
    undisturbed: dict[str, Any],
) -> None:
    onward, how = undisturbed["onward"], undisturbed["how"]
    shards, caught = SHARDS[onward], []
    every = shards * sum(len(TARGETS[stage]) for stage in STAGES[onward])
    for number in numbers:
        store, chance = tmp_path / f"{number}" / "site.zarr", random.Random(number)
        store.parent.mkdir()
        receipts = chance.randrange(every) if number else 0
        done = kill_amid(launch(store, *how), store, receipts, chance.uniform(0, 0.1))
        caught.append(sum(len(done[target]) for stage in STAGES[onward] for target in TARGETS[stage]))
        whole = {stage: set.intersection(*(done[target] for target in TARGETS[stage])) for stage in STAGES[onward]}
        # in this process the rest takes a third of the time; every eighth run goes on as it began
        report = run(str(store), str(product), "serial", onward) if number % 8 else finish(store, *how)
        assert report == {stage: [shards, shards - len(kept)] for stage, kept in whole.items()}, (number, caught)
        assert stored_bytes(store) == undisturbed["bytes"], (number, caught)
    assert sum(0 < found < every for found in caught) >= len(caught) // 2, f"{caught}: the instants miss the work"


def kill_amid(process: subprocess.Popen[str], store: Path, receipts: int, later: float) -> dict[str, set[int]]:
    """Kill the whole group so many seconds after it has so many receipts, or after it begins to write if that is 0.

    Returns the shards that have receipts, by target. Instants of the clock would miss the work on a busy machine.
    """
    with process:
        while process.poll() is None and not (store.exists() and sum(map(len, _done(store).values())) >= receipts):
            time.sleep(0.02)
        time.sleep(later)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return _done(store)


def _done(store: Path) -> dict[str, set[int]]:
    ledger = Ledger(open_store(store))
    return {target: set(ledger.done(target)) for targets in TARGETS.values() for target in targets}
