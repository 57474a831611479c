"""All networks of maps, trained briefly on the real tile of Ustica, beside forecasts that need no network.

INSAR_DASK_DATA=FOLDER python -m tests.benchmarks.map_ustica

Of the 64 x 64 cells of 1.6 km seven hold points: the island is cut out, 32 x 32 cells of 150 m. Each network sees 216
windows, four epochs; as published, where more is left to learn, 1,800, nine epochs. Writes ``results/ustica.json``
after every method, and goes on from what stands there; prints the tables. One thread, 15 minutes of an idle core.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
import xarray as xr

import insar_dask as insar
from insar_dask.forecast.maps.holdout import hold_out
from insar_dask.forecast.maps.map_audit import map_audit
from insar_dask.forecast.maps.map_material import Material
from insar_dask.forecast.maps.map_scoring import score_tiles
from insar_dask.forecast.maps.map_unit import NETWORKS, MapUnit, run_map_unit
from insar_dask.forecast.maps.naive_maps import naive_maps
from insar_dask.forecast.published.cells import markdown_table
from insar_dask.map_metrics import MapScores
from tests.benchmarks.map_data import MATERIALS, SCRATCH
from tests.benchmarks.unit_files import machine, tell, write

RESULT = Path(__file__).parent / "results" / "ustica.json"
PRODUCT = "EGMS_L3_E45N17_100km_U_2020_2024_1.zip"

EXTENT, CELLS = (4_596_000.0, 1_739_000.0, 4_600_800.0, 1_743_800.0), 32
"""The island in EPSG:3035 [m], and cells a side."""

WINDOWS = {"honest": 216, "paper": 1800}
QUICK, RAW = ("persistence", "harmonic", "harmonic_ridge"), ("gaussian_process", "kriging")
"""Naive maps, and those that read raw dates alone."""

TOLD = ("parameters", "epochs", "best_epoch", "still_falling", "cpu_seconds")
LEADS = (1, 5, 10)


def main() -> int:
    torch.set_num_threads(1)
    tiles = island(Path(os.environ["INSAR_DASK_DATA"]) / "egms" / PRODUCT)
    found: dict[str, Any] = {"cells": int(tiles["mask"].any("time").sum()), "protocols": {}}
    if RESULT.exists():
        found = json.loads(RESULT.read_text())
    for protocol, make in MATERIALS.items():
        if protocol not in found["protocols"]:
            found["protocols"][protocol] = _begun(tiles, protocol)
        mine = found["protocols"][protocol]
        material = make(tiles)
        for name in (*QUICK, *NETWORKS, *(RAW if protocol == "honest" else ())):
            if name not in mine["methods"]:
                mine["methods"][name] = (_network if name in NETWORKS else _naive)(name, material)
                write(RESULT, found | {"machine": machine()})
                tell(f"{protocol} {name}: {MapScores.from_json(mine['methods'][name]['scores']).overall:.2f} mm")
        print(ustica_table(protocol, mine["methods"], found["cells"]))
        print(*(f"{one['what']}: {one['says']}" for one in mine["audit"]), sep="\n")
    return 0


def _begun(tiles: xr.Dataset, protocol: str) -> dict[str, Any]:
    return {"windows": WINDOWS[protocol], "audit": map_audit(tiles, protocol), "methods": {}}


def _naive(name: str, material: Material) -> dict[str, Any]:
    ((_, forecast),) = naive_maps(material, (0,), (name,))
    scores, _ = score_tiles(material, hold_out(material, material.names), forecast, {})
    return {"scores": scores["E45N17"]["test"]}


def _network(name: str, material: Material) -> dict[str, Any]:
    unit = MapUnit(protocol=material.protocol, network=name, seed=0, windows=WINDOWS[material.protocol])
    folder = SCRATCH / f"ustica-{material.protocol}-{name}"
    result, *_ = run_map_unit(unit, material, hold_out(material, material.names), folder, tell=tell)
    shutil.rmtree(folder)
    return {"scores": result["scores"]["E45N17"]["test"]} | {told: result["network"][told] for told in TOLD}


def island(path: Path) -> xr.Dataset:
    """The tile cube of the island."""
    return insar.rasterise(insar.read_egms(path).compute(), pixels=256, cells=CELLS, extent=EXTENT)


def ustica_table(protocol: str, methods: Mapping[str, Any], cells: int) -> str:
    """RMSE, MAE, R², similarity and correlation of each method as Markdown."""
    rows = []
    for name, method in methods.items():
        scores = MapScores.from_json(method["scores"])
        errors = [f"{scores.rmse[lead - 1]:.2f}" for lead in LEADS]
        last = [f"{scores.mae[-1]:.2f}", *(f"{one[-1]:.3f}" for one in (scores.r2, scores.ssim, scores.correlation))]
        epochs = f"{method['best_epoch']:.0f} of {method['epochs']:.0f}" if "epochs" in method else "–"
        rows.append([name, *errors, f"{scores.overall:.2f}", *last, epochs])
    about = [f"{what}, t+10" for what in ("MAE mm", "R²", "SSIM", "r")]
    head = ["method", *(f"RMSE mm, t+{lead}" for lead in LEADS), "all leads", *about, "best epoch"]
    return markdown_table(f"Ustica (real), {cells} cells of 150 m, {protocol}", head, rows)


if __name__ == "__main__":
    sys.exit(main())
