"""A whole small run as a process of its own, so that tests can kill it: ingest, then regularise -> savgol and motion.

usage: site_run.py STORE PRODUCT.csv serial|threads|processes|ADDRESS
"""

import json
import sys
from contextlib import nullcontext

from insar_dask.jobs.engine import Engine
from insar_dask.jobs.ingest import ingest
from insar_dask.jobs.lock import owned
from insar_dask.jobs.recipe import Stage, Step
from insar_dask.sessions import session

SHARD_POINTS = 128
STEPS = (
    Step("regularise", "raw", "regular", {"every": "12D", "max_gap": "60D"}),
    Step("savgol", "regular", "smooth", {"window": 11, "order": 2}),
    Step("motion", "raw", "products"),
)
PREPARE = Stage("site/prepare", "site/raw", STEPS, {s.result: f"site/{s.result}" for s in STEPS})


def run(store: str, source: str, how: str) -> None:
    if how in ("serial", "threads"):
        where = nullcontext(None)
    elif how == "processes":
        where = session(workers=2)
    else:
        where = session(address=how)
    with owned(store), where as client:
        engine = Engine(store, client, threads=2 if how == "threads" else 1, quiet=True)
        ingest(engine, source, "site", {}, SHARD_POINTS)
        engine.run(PREPARE)
    sys.stdout.write(json.dumps({report.stage: [report.shards, report.computed] for report in engine.reports}) + "\n")


if __name__ == "__main__":
    run(*sys.argv[1:])
