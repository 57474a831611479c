"""Run one shard of a stage and say what memory that took, predicted and measured.

usage: one_task.py STORE prepare|fit
"""

import json
import resource
import sys

from insar_dask.forecast import protocol
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.memory import stage_memory
from insar_dask.jobs.recipe import Stage, Step, plan_reference
from insar_dask.store import open_group
from tests.jobs.site_run import PREPARE


def stage(store: str, name: str) -> Stage:
    if name == "prepare":
        return PREPARE
    plan = protocol.plan(open_group(store, "site/raw")["time"].values, every="12D")
    step = Step("fit_partial", "raw", "fits", {"plan": plan_reference(plan.to_dict())})
    return Stage("site/fit", "site/raw", (step,), {"fits": "jobs/partials/site/fits"})


if __name__ == "__main__":
    path, name = sys.argv[1:]
    engine = Engine(path, quiet=True)
    engine.run(stage(path, name))
    measured = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    sys.stdout.write(json.dumps({"measured": measured, "predicted": stage_memory(stage(path, name), engine.store)}))
