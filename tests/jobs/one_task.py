"""Run one shard of a stage and say what memory that took, predicted and measured.

usage: one_task.py STORE prepare|fit
"""

import json
import sys
from pathlib import Path

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
    # not ru_maxrss, which starts at the size of the process that started this one
    (peak,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    measured = int(peak.split()[1]) * 1024
    sys.stdout.write(json.dumps({"measured": measured, "predicted": stage_memory(stage(path, name), engine.store)}))
