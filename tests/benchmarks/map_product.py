"""What `Forecaster` as it is shipped is worth on the six tiles: networks and Kriging beside the ridge, tile by tile.

python -m tests.benchmarks.map_product [METHOD...] [--into FILE]

Networks learn on E32N34 and forecast all tiles; Kriging learns on each tile that it forecasts. Scores are of all cells
that hold a point, at the test origins that the forecaster itself chooses. ``results/map_product.json`` is written after
every method; what stands there is not made again. One thread; MM-STT and ConvLSTM take 20 minutes each of an idle core.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import xarray as xr

from insar_dask.forecast import Forecaster
from insar_dask.forecast.catalogue import MAPPED
from insar_dask.forecast.maps.hindcasts import hindcast_tile
from insar_dask.forecast.maps.lattice import as_points
from insar_dask.forecast.maps.map_material import CONTEXT, HORIZON
from insar_dask.report.hindcasts import Hindcasts
from tests.benchmarks.map_data import RESULTS, TRAINED, tiles
from tests.benchmarks.unit_files import machine, tell, write

RESULT = RESULTS.with_name("map_product.json")
METHODS = ("kriging", *MAPPED)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("methods", nargs="*", default=METHODS, help=f"of {', '.join(METHODS)}")
    parser.add_argument("--into", type=Path, default=RESULT)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    found: dict[str, Any] = json.loads(options.into.read_text()) if options.into.exists() else {}
    cubes = tiles()
    for method in options.methods:
        if method not in found:
            found[method] = measure(cubes, method) | {"machine": machine()}
            write(options.into, found)
    return 0


def measure(cubes: xr.Dataset, method: str) -> dict[str, Any]:
    """Scores of a method, and of those that its tables show beside it, by tile."""
    model, by_tile = Forecaster(method, context=CONTEXT, horizon=HORIZON), {}
    if method in MAPPED:
        model.fit(cubes.sel(tile=list(TRAINED)))
    for name, tile in cubes.groupby("tile", squeeze=False):
        if method not in MAPPED:
            model.fit(tile)
        plan = model.plan_to_fit(as_points(tile))
        past = Hindcasts(
            plan.methods,
            np.array([plan.date(origin) for origin in plan.test]),
            plan.target_days(plan.test[-1]),
            plan.every,
            {name: hindcast_tile(tile, plan, model.state_)},
        )
        by_tile[name] = {
            "origins": len(plan.test),
            "rmse": {one: scores.rmse.round(3).tolist() for one, scores in past.scores(name).items()},
            "rmse_all": {one: round(scores.overall, 3) for one, scores in past.scores(name).items()},
            "coverage": {one: round(past.coverage(name, one), 3) for one in past.methods},
            "share": None if method not in MAPPED else round(past.share(name), 3),
        }
        tell(f"{method}, {name}: {by_tile[name]['rmse_all']}, believed {by_tile[name]['share']}")
    return {"learned_on": "each tile" if method not in MAPPED else list(TRAINED), "tiles": by_tile}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
