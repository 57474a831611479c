"""Units of the tables of maps, one after the other, each resumable: train, score, write a small JSON file.

python -m tests.benchmarks.map_units               the next unit that nobody has finished or is at, until none is
python -m tests.benchmarks.map_units --count 1     one
python -m tests.benchmarks.map_units NAME...       these
python -m tests.benchmarks.map_units --list        what there is, and what is done
python -m tests.benchmarks.map_units --baselines   everything without a network: two minutes

One thread a process; start two on two cores. A unit that was killed goes on from its last checkpoint, in ``out/maps``,
where the forecasts and weights of finished ones lie. The tables are put together anew after each unit.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from insar_dask.forecast.maps.map_audit import map_audit
from insar_dask.forecast.maps.map_material import PROTOCOLS
from insar_dask.forecast.maps.map_scoring import circumstances, score_tiles
from insar_dask.forecast.maps.map_unit import NETWORKS, PATIENCE, PUBLISHED_PATIENCE, WINDOWS, MapUnit, run_map_unit
from insar_dask.forecast.maps.naive_maps import naive_maps
from insar_dask.map_metrics import MapScores
from tests.benchmarks import map_tables
from tests.benchmarks.map_data import DATA, EVENTS, RESULTS, SCRATCH, forecasts_of, material, sides, tiles
from tests.benchmarks.unit_files import calibration, keep, machine, parsed, tell, work_off, write

SEEDS = (0, 1, 2)


def units(windows: int = WINDOWS, device: str = "cpu") -> list[MapUnit]:
    """All units, one seed of everything first; as published on a GPU, they wait as long."""
    patience = dict.fromkeys(PROTOCOLS, PATIENCE) | ({} if device == "cpu" else {"paper": PUBLISHED_PATIENCE})
    return [
        MapUnit(protocol=protocol, network=network, seed=seed, windows=windows, patience=patience[protocol])
        for seed in SEEDS
        for network in NETWORKS
        for protocol in PROTOCOLS
    ]


def main(arguments: list[str]) -> int:
    windows = "--windows", WINDOWS, "that a network sees at most"
    options = parsed(arguments, "the tables of maps", RESULTS, SCRATCH, windows)
    torch.set_num_threads(1)
    options.results.mkdir(parents=True, exist_ok=True)
    if options.baselines:
        return score_baselines(options)
    if not options.list:
        require_same_tiles(options)
    return work_off(units(options.windows, options.device), options, run)


def require_same_tiles(options: argparse.Namespace) -> None:
    """Results of other tiles would be taken for done, and no table can hold both."""
    for protocol in PROTOCOLS:
        digest = material(protocol, options.scratch).digest
        for path in sorted(options.results.glob(f"{protocol}-*.json")):
            if json.loads(path.read_text()).get("data", digest) != digest:
                raise SystemExit(
                    f"{path} is of other tiles than lie in {options.scratch}: remove it, and it is made again"
                )


def run(unit: MapUnit, options: argparse.Namespace) -> None:
    given = material(unit.protocol, options.scratch)
    folder, before = options.scratch / unit.name, calibration()
    result, forecasts, weights = run_map_unit(
        unit, given, sides(given), folder, events=EVENTS, device=options.device, tell=tell
    )
    result["machine"] = machine(options.device) | {"sgemm_gflops": [before, calibration()]}
    keep(options.scratch / f"{unit.name}-weights.npz", weights)
    keep(forecasts_of(unit.name, options.scratch), forecasts | {DATA: np.array(given.digest)})
    write(options.results / f"{unit.name}.json", result)
    shutil.rmtree(folder)
    tell(f"{unit.name}: {line(result['scores'])}")
    map_tables.main(["--results", str(options.results)])


def score_baselines(options: argparse.Namespace) -> int:
    for protocol in PROTOCOLS:
        given = material(protocol, options.scratch)
        held, began, found = sides(given), time.process_time(), {}
        for name, forecast in naive_maps(given, held.trained):
            found[name], _ = score_tiles(given, held, forecast, EVENTS)
            tell(f"{protocol} {name}: {line(found[name])}")
        seconds = round(time.process_time() - began, 1)
        result = {
            "baselines": protocol,
            "configuration": circumstances(given, held),
            "data": given.digest,
            "methods": found,
            "cpu_seconds": seconds,
        }
        write(options.results / f"{protocol}-baselines.json", result)
        findings = map_audit(tiles(options.scratch), protocol)
        write(options.results / f"{protocol}-audit.json", {"audit": protocol, "findings": findings})
    return 0


def line(scores: dict[str, Any]) -> str:
    rmse = {tile: MapScores.from_json(found["test"]).rmse for tile, found in scores.items()}
    return ", ".join(f"{tile} {leads[0]:.2f} {leads[-1]:.2f}" for tile, leads in rmse.items()) + " mm at t+1, t+10"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
