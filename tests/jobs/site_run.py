"""A small run as a process of its own, so that tests can kill it: ingest, then regularise -> savgol and motion.

usage: site_run.py STORE PRODUCT.csv serial|threads|processes|ADDRESS [onward]

With ``onward`` it goes on to patterns and decomposition, in larger shards: these stages pass over them five times.
"""

import json
import sys
from contextlib import nullcontext

from insar_dask.jobs.engine import Engine
from insar_dask.jobs.holding.lock import owned
from insar_dask.jobs.recipe import Stage, Step
from insar_dask.jobs.steps.ingest import ingest
from insar_dask.jobs.steps.patterns import fit_patterns, label_patterns
from insar_dask.sessions import session

SHARD_POINTS, SHARD_POINTS_ONWARD = 128, 256
STEPS = (
    Step("regularise", "raw", "regular", {"every": "12D", "max_gap": "60D"}),
    Step("savgol", "regular", "smooth", {"window": 11, "order": 2}),
    Step("motion", "raw", "products"),
)
PREPARE = Stage("site/prepare", "site/raw", STEPS, {s.result: f"site/{s.result}" for s in STEPS})
PARTS = (
    Step("cumulative_displacement", "smooth", "cumulative"),
    Step("holt_winters", "smooth", "parts", {"period": 15}),
    Step("component_variances", "parts", "variances"),
)
DECOMPOSE = Stage("site/decompose", "site/smooth", PARTS, {s.result: f"site/{s.result}" for s in PARTS})
PATTERNS = {"n_clusters": 4, "sample_size": 1000, "n_init": 2, "batch_size": 200}
PARTIALS = tuple(f"site/pattern-{name}" for name in ("sample", "sums-0", "sums-1"))

TARGETS = {
    "site/raw": ("site/raw",),
    PREPARE.name: tuple(PREPARE.saves.values()),
    **{name: (f"jobs/partials/{name}",) for name in PARTIALS},
    "site/patterns": ("site/patterns",),
    DECOMPOSE.name: tuple(DECOMPOSE.saves.values()),
}
"""What each stage leaves."""


def run(store: str, source: str, how: str, onward: str = "") -> dict[str, list[int]]:
    """Run to the end; returns shards and computed shards by stage."""
    if how in ("serial", "threads"):
        where = nullcontext(None)
    elif how == "processes":
        where = session(workers=2)
    else:
        where = session(address=how)
    with owned(store), where as client:
        engine = Engine(store, client, threads=2 if how == "threads" else 1, quiet=True)
        ingest(engine, source, "site", {}, SHARD_POINTS_ONWARD if onward else SHARD_POINTS)
        engine.run(PREPARE)
        if onward:
            fit_patterns(engine, "site", **PATTERNS)
            label_patterns(engine, "site")
            engine.run(DECOMPOSE)
    return {report.stage: [report.shards, report.computed] for report in engine.reports}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(*sys.argv[1:])) + "\n")
