"""Whether what `plan` says of a run holds: tasks, bytes and seconds of one core, beside those of runs that were made.

python -m tests.benchmarks.costs [--cases ustica synthetic] [--into FILE]

Each run is a process of its own, from nothing, without a cluster: its CPU seconds are the seconds of one core, whatever
else the machine does. The rates of `insar_dask.costs` come from other runs than these. With ``--like`` the demo runs
first, and the wall seconds that its speed promises are told beside those that each run took; only for idle cores.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from insar_dask.config import Config, parse_config
from insar_dask.costs import speed_of, wall_of, work_of
from insar_dask.planning import planned

ROOT = Path(__file__).parents[2]
WITHIN = 0.25

CASES: dict[str, dict[str, Any]] = {
    "ustica": {"source": {"files": ["{data}/egms/EGMS_L3_E45N17_100km_E_2020_2024_1.zip"]}},
    "synthetic": {"synthetic": {"kind": "l2b", "n_points": 100_000, "n_dates": 160}},
}
DEMO: dict[str, Any] = {}


def main(arguments: list[str]) -> int:
    options = parsed(arguments)
    if options.one:
        print(json.dumps(made(json.loads(options.one), Path(options.folder))))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        like = None
        if options.like:
            measured("demo", DEMO, Path(folder))
            like = Path(folder) / "demo" / "cube.zarr"
        rows = {name: compared(name, CASES[name], Path(folder), like) for name in options.cases}
    report = {"load before": round(os.getloadavg()[0], 1), "cores": os.cpu_count(), "rows": rows}
    print(json.dumps(report, indent=1))
    if options.into:
        Path(options.into).write_text(json.dumps(report, indent=1) + "\n")
    return int(any(not row["holds"] for row in rows.values()))


def compared(name: str, case: dict[str, Any], folder: Path, like: Path | None) -> dict[str, Any]:
    """What was said, what came, and their ratio, of one case."""
    config, found = configured(case, folder / name), measured(name, case, folder)
    plan = planned(config)
    work = {stage: sum(work_of(size)[stage] for size in plan.sizes) for stage in work_of(plan.sizes[0])}
    said = {"tasks": plan.tasks, "stored MB": plan.stored / 1e6, "core s": sum(work.values())}
    ratios = {what: round(value / found[what], 3) for what, value in said.items()}
    row = {
        "said": {what: round(value, 1) for what, value in said.items()},
        "came": {what: found[what] for what in said},
        "ratio": ratios,
        "stages said": {stage: round(value, 1) for stage, value in work.items()},
        "stages came": found["stages"],
        "wall s": found["wall s"],
        "holds": all(abs(ratio - 1) <= WITHIN for ratio in ratios.values()),
    }
    if like is not None:
        speed = speed_of(like, config)
        wall = sum(wall_of(size, 1, speed) for size in plan.sizes)
        row |= {"speed": round(speed.factor, 3), "wall s said by the demo's speed": round(wall, 1)}
        row["holds"] = row["holds"] and abs(wall / found["wall s"] - 1) <= WITHIN
    return row


def configured(case: dict[str, Any], folder: Path) -> Config:
    """A case's configuration: one thread of one process."""
    data = os.environ.get("INSAR_DASK_DATA", "data")
    content = json.loads(json.dumps(case).replace("{data}", data))
    return parse_config({**content, "store": {"path": str(folder / "cube.zarr")}, "cluster": {"workers": 0}})


def measured(name: str, case: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run a case in a process of its own."""
    command = [sys.executable, "-m", __spec__.name, "--one", json.dumps(case), "--folder", str(folder / name)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def made(case: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What a run comes to: CPU seconds by stage, tasks, and bytes of the store and of what lies beside it."""
    from insar_dask.jobs.progress.events import Event
    from insar_dask.jobs.progress.journal import Journal
    from insar_dask.outcomes import publish
    from insar_dask.pipeline import opened

    marks: list[tuple[str, float]] = []
    config = configured(case, folder)
    with opened(config, quiet=True) as bench:
        journal = bench.engine.told
        assert isinstance(journal, Journal)

        def told(event: Event) -> None:
            if event.kind == "stage":
                marks.append((event.stage.rpartition("/")[2], cpu()))
            journal(event)

        bench.engine.told = told
        (source,) = bench.sources()  # the synthetic one is written here, and is no part of a run
        spared, began = cpu(), time.perf_counter()
        marks.append(("", spared))
        product = bench.ingest(source)
        bench.prepare(product)
        bench.find_patterns(product)
        bench.decompose(product)
        bench.foresee(product)
        publish(bench, product)
        marks.append(("", cpu()))
        wall = time.perf_counter() - began
        tasks = sum(1 if report.stage.endswith("/raw") else report.computed for report in bench.engine.reports) + 1
        journal.close()
    stages: dict[str, float] = {}
    for (stage, at), (_, end) in pairwise(marks):
        stages[stage] = round(stages.get(stage, 0.0) + end - at, 2)
    kept = [path for path in folder.rglob("*") if path.is_file() and path != source and "history" not in path.parts]
    return {
        "core s": round(sum(stages.values()), 1),
        "wall s": round(wall, 1),
        "tasks": tasks,
        "stored MB": round(sum(path.stat().st_size for path in kept) / 1e6, 2),
        "stages": stages,
    }


def cpu() -> float:
    """CPU seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--like", action="store_true", help="run the demo first, for wall seconds by its speed")
    parser.add_argument("--into", help="JSON file for the figures")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
