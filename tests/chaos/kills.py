"""60 runs of the chunk job under KillWorker: three modes, 20 seeds each, workers that live three chunks on average.

usage: python -m tests.chaos.kills [MODE...] [--seeds N]     runs what has no result yet, and writes each result at once
"""

import argparse
import json
import logging
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

from insar_dask.jobs.events import Event
from tests.chaos.chunk_job import SHARDS, STAGE, SlowEngine, loss, new_store, sleep, undisturbed
from tests.chaos.killing import KillWarmWorker, lives
from tests.chaos.place import cluster

RESULTS = Path(__file__).with_name("results") / "kills"
MODES = ("sys.exit", "graceful", "segfault")
SEEDS = 20
LIFE_CHUNKS = 3
"""How long a worker lives, on average."""


def chunk_seconds(folder: Path) -> float:
    """What a chunk takes on this machine, as busy as it is: 2 s and more."""
    store = new_store(folder / "short.zarr", shards=8)
    with cluster() as client:
        engine = SlowEngine(store, client, sleep)
        engine.run(STAGE)
    receipts = engine.ledger.done("site/sums").values()
    return 2.0 + median(receipt.seconds for receipt in receipts)


def run_under_fire(folder: Path, wanted: dict[str, bytes], mode: str, seed: int, life: float) -> dict[str, Any]:
    """One run; what came of it."""
    began, said = time.monotonic(), []
    store = new_store(folder / "site.zarr")

    def told(event: Event) -> None:
        said.append((event.kind, event.shard, event.error.split(",")[0]))

    error = ""
    with cluster() as client:
        client.register_plugin(KillWarmWorker(str(folder), seed, life, mode))
        try:
            computed = SlowEngine(store, client, sleep, told=told).run(STAGE).computed
        except Exception as broken:
            computed, error = 0, f"{type(broken).__name__}: {broken}"
    return {
        "mode": mode,
        "seed": seed,
        "complete": computed == SHARDS,
        "loss": loss(store, wanted),
        "error": error,
        "workers": lives(folder),
        "retried": dict(Counter(why for kind, _, why in said if kind == "retried")),
        "blamed": [shard for kind, shard, _ in said if kind == "blamed"],
        "seconds": round(time.monotonic() - began, 1),
    }


def main(modes: list[str], seeds: int = SEEDS, *, anew: bool = False) -> None:
    """Run what has no result yet."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        wanted = undisturbed(Path(folder) / "site.zarr")
        seconds = chunk_seconds(Path(folder))
    for seed in range(seeds):
        for mode in modes:
            result = RESULTS / f"{mode.replace('.', '-')}-{seed:02d}.json"
            if result.exists() and not anew:
                continue
            with tempfile.TemporaryDirectory() as folder:
                found = run_under_fire(Path(folder), wanted, mode, seed, LIFE_CHUNKS * seconds)
            found["chunk_seconds"] = round(seconds, 2)
            result.write_text(json.dumps(found, indent=1) + "\n")
            sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modes", nargs="*", default=MODES)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    arguments = parser.parse_args()
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    main(list(arguments.modes), arguments.seeds)
