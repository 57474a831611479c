"""What each thing that saw the future is worth: it alone is let in, and a forecaster without a network scored anew.

python -m tests.benchmarks.map_leaks

On E32N34, the tile that MM-STT is trained on, at the honest test origins. Writes ``results/map_leaks.json``: a minute.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from insar_dask.forecast.maps.map_history import MapHistory
from insar_dask.forecast.maps.map_material import Material, honest_material, paper_material
from insar_dask.forecast.maps.map_scoring import score_tiles
from insar_dask.forecast.maps.naive_maps import naive_maps
from insar_dask.map_metrics import MapScores
from tests.benchmarks.map_data import SCRATCH, TRAINED, sides, tiles
from tests.benchmarks.unit_files import tell, write

RESULT = Path(__file__).parent / "results" / "map_leaks.json"
METHODS = ("persistence", "harmonic_ridge")


def main() -> int:
    found: dict[str, Any] = {"tile": TRAINED[0], "cases": {}}
    for case, says, method, scores in cases():
        row = {"says": says, "method": method, "rmse": scores.rmse.round(4).tolist(), "all": round(scores.overall, 4)}
        found["cases"].setdefault(case, []).append(row)
        tell(f"{case}, {method}: {scores.rmse[0]:.3f} at t+1, {scores.overall:.3f} mm over all leads")
    write(RESULT, found)
    return 0


def cases() -> Iterator[tuple[str, str, str, MapScores]]:
    cube = tiles(SCRATCH).sel(tile=list(TRAINED))
    honest, centred = honest_material(cube), paper_material(cube).read
    told = {
        "honest": ("raw maps read, raw maps asked for", honest),
        "average of the past": (
            "the last three dates averaged: what a user could do",
            honest_material(cube, average=3),
        ),
        "centred average read": (
            "each map averaged with those before and after it: the last one read holds a third of the first target",
            replace(honest, read=centred),
        ),
        "centred average read and scored": (
            "and the averaged maps asked for, which move less than what was measured",
            replace(honest, read=centred, asked=centred),
        ),
    }
    for case, (says, material) in told.items():
        for method, forecast in naive_maps(material, [0], METHODS):
            yield case, says, method, _scored(material, forecast)
    record = MapHistory(honest.read[0], honest.years)

    def known(last: int | None) -> Any:
        def forecast(_: int, origins: Any) -> Any:
            return np.stack([record.harmonic(last or o, slice(o, o + honest.horizon)) for o in origins])

        return forecast

    yield "honest", "line and year of the past alone", "harmonic", _scored(honest, known(None))
    says = "line and year fitted to the whole record, as the provider's velocity and seasonality are"
    yield "columns of the whole record", says, "harmonic", _scored(honest, known(len(honest.days)))


def _scored(material: Material, forecast: Any) -> MapScores:
    scores, _ = score_tiles(material, sides(material), forecast, {})
    return MapScores.from_json(scores[TRAINED[0]]["test"])


if __name__ == "__main__":
    sys.exit(main())
