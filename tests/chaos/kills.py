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

from distributed import Client

from insar_dask.jobs.flights.lookout import Limits
from insar_dask.jobs.progress.events import Event
from tests.chaos.chunk_job import SHARDS, STAGE, SlowEngine, loss, new_store, sleep, undisturbed
from tests.chaos.killing import KillWarmWorker, lives
from tests.chaos.place import cluster

RESULTS = Path(__file__).with_name("results") / "kills"
MODES = ("sys.exit", "graceful", "segfault")
SEEDS = 20
LIFE_CHUNKS = 3
"""How long a worker lives, on average."""

LOOK = 1.0
"""Seconds between two looks at the workers: by default 5, which is most of such a life."""


def chunk_seconds(folder: Path, client: Client) -> float:
    """What a chunk takes on this machine, as busy as it is now: 2 s and more."""
    engine = SlowEngine(new_store(folder / "short.zarr", shards=6), client, sleep)
    engine.run(STAGE)
    receipts = sorted(engine.ledger.done("site/sums").values(), key=lambda receipt: receipt.seconds)
    return 2.0 + median(receipt.seconds for receipt in receipts[:4])  # two were the first of their worker


def run_under_fire(folder: Path, wanted: dict[str, bytes], mode: str, seed: int) -> dict[str, Any]:
    """One run; what came of it."""
    began, said = time.monotonic(), []
    store = new_store(folder / "site.zarr")

    def told(event: Event) -> None:
        said.append((event.kind, event.shard, event.error.split(",")[0]))

    error = ""
    with cluster() as client:
        seconds = chunk_seconds(folder, client)
        client.register_plugin(KillWarmWorker(str(folder), seed, LIFE_CHUNKS * seconds, mode))
        try:
            computed = SlowEngine(store, client, sleep, told=told, limits=Limits(look=LOOK)).run(STAGE).computed
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
        "chunk_seconds": round(seconds, 2),
        "seconds": round(time.monotonic() - began, 1),
    }


def main(modes: list[str], seeds: int = SEEDS, *, anew: bool = False) -> None:
    """Run what has no result yet."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        wanted = undisturbed(Path(folder) / "site.zarr")
    for seed in range(seeds):
        for mode in modes:
            result = RESULTS / f"{mode.replace('.', '-')}-{seed:02d}.json"
            if result.exists() and not anew:
                continue
            with tempfile.TemporaryDirectory() as folder:
                found = run_under_fire(Path(folder), wanted, mode, seed)
            result.write_text(json.dumps(found, indent=1) + "\n")
            sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modes", nargs="*", default=MODES)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    arguments = parser.parse_args()
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    main(list(arguments.modes), arguments.seeds)
