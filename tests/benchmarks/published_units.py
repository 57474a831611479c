"""Units of the published tables, one after the other, each resumable: train, score, write a small JSON file.

python -m tests.benchmarks.published_units               the next unit that nobody has finished or is at, until none is
python -m tests.benchmarks.published_units --count 1     one
python -m tests.benchmarks.published_units NAME...       these
python -m tests.benchmarks.published_units --list        what there is, and what is done
python -m tests.benchmarks.published_units --baselines   everything without a network, and the audit: a minute

One thread a process; start two on two cores. A unit that was killed goes on from its last checkpoint, under
``out/published``; so does one whose folder was copied to another machine. When the third component of a family is done
its forecasts are added, and the family's scores written too. The tables are put together anew after each unit.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from insar_dask.decompose import PARTS
from insar_dask.forecast.published.audit import audit
from insar_dask.forecast.published.baselines import baselines
from insar_dask.forecast.published.protocols import STAGES
from insar_dask.forecast.published.scores import count_stage, overall
from insar_dask.forecast.published.unit import NETWORKS, Forecasts, Unit, run_unit
from tests.benchmarks import published_tables
from tests.benchmarks.published_data import FILTERS, RESULTS, SCRATCH, material, sample
from tests.benchmarks.unit_files import calibration, keep, machine, parsed, tell, work_off, write

SEEDS = (0, 1, 2)
STEPS = 150
"""Of each pattern's Spacetimeformer. At 0.72 s of CPU a step the 18 main units take 21,600 s, the 6 of the sensitivity
6,500, the LSTM's 18 5,200 and the Transformer's 17,300, most of that for its forecasts: 7.0 h on two idle cores; with
120 steps 6.2 h."""

RIVAL_STEPS = {"lstm": 8 * STEPS, "transformer": STEPS}
"""The LSTM sees as many point-windows as the eight Spacetimeformers of a unit together. At 1.9 s a step the Transformer
cannot (40 min a unit); it sees as many as one of them."""

AUDITED = 8
"""One point of so many is tried by the audit."""


def units(steps: int = STEPS) -> list[Unit]:
    """All units, the most telling first: one seed of everything, then the sensitivity, then the other seeds."""
    main = [unit for seed in SEEDS for unit in _of_seed(seed, steps)]
    first = len(main) // len(SEEDS)
    more = [
        Unit(protocol="paper", network="spacetimeformer", component=part, seed=0, steps=steps, filtering=filtering)
        for filtering in FILTERS[1:]
        for part in PARTS
    ]
    return main[:first] + more + main[first:]


def _of_seed(seed: int, steps: int) -> Iterator[Unit]:
    for network in NETWORKS:
        taken = RIVAL_STEPS.get(network, STEPS) * steps // STEPS
        for protocol, filtering in (("paper", FILTERS[0]), ("honest", None)):
            for part in PARTS:
                yield Unit(
                    protocol=protocol, network=network, component=part, seed=seed, steps=taken, filtering=filtering
                )


def main(arguments: list[str]) -> int:
    options = asked(arguments)
    torch.set_num_threads(1)
    options.results.mkdir(parents=True, exist_ok=True)
    if options.baselines:
        return score_baselines(options)
    wanted = units(options.steps)
    for unit in [] if options.list else wanted:  # a sum that a kill came before
        if unit.component == PARTS[-1] and not (options.results / f"{unit.family}.json").exists():
            add_up(unit, options)
    return work_off(wanted, options, run)


def asked(arguments: list[str]) -> argparse.Namespace:
    steps = "--steps", STEPS, "of each pattern's network, at most 1000"
    return parsed(arguments, "the published tables", RESULTS, SCRATCH, steps)


def run(unit: Unit, options: argparse.Namespace) -> None:
    given = material(unit.filtering, options.scratch)
    folder = options.scratch / unit.name
    (options.results / f"{unit.family}.json").unlink(missing_ok=True)  # of other components; `add_up` makes it anew
    before = calibration()
    result, forecasts = run_unit(unit, given, folder, device=options.device, tell=tell)
    result["machine"] = machine(options.device) | {"sgemm_gflops": [before, calibration()]}
    keep(options.scratch / f"{unit.name}.npz", forecasts)
    write(options.results / f"{unit.name}.json", result)
    keep_weights(unit, folder, options.scratch)
    tell(f"{unit.name}: " + ", ".join(f"{s} {overall(c)['rmse']:.3f} mm" for s, c in result["scores"].items()))
    add_up(unit, options)
    published_tables.main(["--results", str(options.results)])


def add_up(unit: Unit, options: argparse.Namespace) -> None:
    """Score the sum of a family's three components, once all are there."""
    names = [f"{unit.family}-{part}" for part in PARTS]
    here = [name for name in names if (options.scratch / f"{name}.npz").exists()]
    if len(here) < len(names):
        gone = [name for name in names if name not in here and (options.results / f"{name}.json").exists()]
        if gone:
            tell(f"{unit.family} cannot be summed: the forecasts of {', '.join(gone)} are not in {options.scratch}; "
                 "copy them here, or remove their results and run them again")  # fmt: skip
        return
    given = material(unit.filtering, options.scratch)
    steps = {}
    for name in names:
        path = options.results / f"{name}.json"
        told = json.loads(path.read_text()) if path.exists() else {}
        if told.get("data") != given.digest:
            return tell(f"{unit.family} cannot be summed: {name} has no result, or is of other data: run it again")
        steps[name] = told["configuration"]["training"]["max_steps"]
    if len(set(steps.values())) > 1:
        return tell(f"{unit.family} cannot be summed: steps differ, {steps}")
    parts = [kept(options.scratch / f"{name}.npz") for name in names]
    scores = {}
    for stage in STAGES:
        summed = np.sum([part[stage] for part in parts], axis=0)
        scores[stage] = count_stage(summed, given.targets("whole", stage), given.patterns)
    write(options.results / f"{unit.family}.json", {"family": unit.family, "data": given.digest, "scores": scores})
    tell(f"{unit.family}: summed, " + ", ".join(f"{s} {overall(c)['rmse']:.3f} mm" for s, c in scores.items()))


def score_baselines(options: argparse.Namespace) -> int:
    for protocol, filtering in (*(("paper", one) for one in FILTERS), ("honest", None)):
        given = material(filtering, options.scratch)
        name = protocol if filtering is None else f"{protocol}-sg{filtering[0]}"
        began = time.process_time()
        found = baselines(given)
        seconds = round(time.process_time() - began, 1)
        write(
            options.results / f"{name}-baselines.json",
            {"family": f"{name}-baselines", "data": given.digest, "methods": found, "cpu_seconds": seconds},
        )
        tell(f"{name}: {len(found)} baselines in {seconds} s of CPU")
        few = sample(options.scratch).isel(point=slice(None, None, AUDITED))
        findings = audit(few, filtering)
        write(options.results / f"{name}-audit.json", {"family": f"{name}-audit", "findings": findings})
    return 0


def keep_weights(unit: Unit, folder: Path, scratch: Path) -> None:
    """Weights of the first seed draw the whole map; 440 MB of Spacetimeformers for both protocols."""
    if unit.seed == SEEDS[0]:
        into = scratch / f"{unit.name}-weights"
        into.mkdir(exist_ok=True)
        for path in folder.glob("*.pt"):
            path.replace(into / path.name)
    shutil.rmtree(folder)


def kept(path: Path) -> Forecasts:
    with np.load(path) as file:
        return {stage: file[stage] for stage in STAGES}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
