"""All networks of maps, trained briefly on the real tile of Ustica, beside forecasts that need no network.

INSAR_DASK_DATA=FOLDER python -m tests.benchmarks.map_ustica

Of the 64 x 64 cells of 1.6 km seven hold points: the island is cut out, 32 x 32 cells of 150 m. Each network sees 216
windows, four epochs. Writes ``results/ustica.json`` after every method, and goes on from what stands there; prints the
table. One thread, 5 minutes of an idle core.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
import xarray as xr

import insar_dask as insar
from insar_dask.forecast.maps.holdout import Holdout, hold_out
from insar_dask.forecast.maps.map_material import Material, honest_material
from insar_dask.forecast.maps.map_scoring import score_tiles
from insar_dask.forecast.maps.map_unit import NETWORKS, MapUnit, run_map_unit
from insar_dask.forecast.maps.naive_maps import NAIVE, naive_maps
from insar_dask.forecast.published.cells import markdown_table
from insar_dask.map_metrics import MapScores
from tests.benchmarks.map_data import SCRATCH
from tests.benchmarks.unit_files import machine, tell, write

RESULT = Path(__file__).parent / "results" / "ustica.json"
PRODUCT = "EGMS_L3_E45N17_100km_U_2020_2024_1.zip"

EXTENT, CELLS = (4_596_000.0, 1_739_000.0, 4_600_800.0, 1_743_800.0), 32
"""The island in EPSG:3035 [m], and cells a side."""

WINDOWS = 216
QUICK = ("persistence", "harmonic", "harmonic_ridge")
TOLD = ("parameters", "epochs", "best_epoch", "still_falling", "cpu_seconds")
LEADS = (1, 5, 10)


def main() -> int:
    torch.set_num_threads(1)
    tiles = island(Path(os.environ["INSAR_DASK_DATA"]) / "egms" / PRODUCT)
    material = honest_material(tiles)
    holdout = hold_out(material, material.names)
    found: dict[str, Any] = {"cells": int(tiles["mask"].any("time").sum()), "windows": WINDOWS, "methods": {}}
    if RESULT.exists():
        found = json.loads(RESULT.read_text())
    for name in (*QUICK, *NETWORKS, *(name for name in NAIVE if name not in QUICK)):
        if name in found["methods"]:
            continue
        scored = _network(name, material, holdout) if name in NETWORKS else _naive(name, material, holdout)
        found["methods"][name] = scored
        write(RESULT, found | {"machine": machine()})
        tell(f"{name}: {MapScores.from_json(scored['scores']).overall:.2f} mm")
    print(ustica_table(found))
    return 0


def _naive(name: str, material: Material, holdout: Holdout) -> dict[str, Any]:
    ((_, forecast),) = naive_maps(material, holdout.trained, (name,))
    scores, _ = score_tiles(material, holdout, forecast, {})
    return {"scores": scores["E45N17"]["test"]}


def _network(name: str, material: Material, holdout: Holdout) -> dict[str, Any]:
    unit, folder = MapUnit(protocol="honest", network=name, seed=0, windows=WINDOWS), SCRATCH / f"ustica-{name}"
    result, *_ = run_map_unit(unit, material, holdout, folder, tell=tell)
    shutil.rmtree(folder)
    return {"scores": result["scores"]["E45N17"]["test"]} | {told: result["network"][told] for told in TOLD}


def island(path: Path) -> xr.Dataset:
    """The tile cube of the island."""
    return insar.rasterise(insar.read_egms(path).compute(), pixels=256, cells=CELLS, extent=EXTENT)


def ustica_table(found: dict[str, Any]) -> str:
    """RMSE, R² and similarity of each method as Markdown."""
    rows = []
    for name, method in found["methods"].items():
        scores = MapScores.from_json(method["scores"])
        errors = [f"{scores.rmse[lead - 1]:.2f}" for lead in LEADS]
        epochs = f"{method['best_epoch']:.0f} of {method['epochs']:.0f}" if "epochs" in method else "–"
        rows.append([name, *errors, f"{scores.overall:.2f}", f"{scores.r2[-1]:.3f}", f"{scores.ssim[-1]:.3f}", epochs])
    head = ["method", *(f"RMSE mm, t+{lead}" for lead in LEADS), "all leads", "R², t+10", "SSIM, t+10", "best epoch"]
    return markdown_table(f"Ustica (real), {found['cells']} cells of 150 m, honest", head, rows)


if __name__ == "__main__":
    sys.exit(main())
