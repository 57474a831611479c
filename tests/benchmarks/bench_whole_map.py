"""The published map, 588,600 points x 158 dates, forecast from store to store on two workers: minutes and memory.

Run as ``python tests/benchmarks/run.py whole_map``. The network stands on Kriging, ridge and Gaussian process, as a fit
has it, and is hardly trained; its gate is opened, since with a closed one it would not run. Seconds are of the whole
process, session and imports included.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

import insar_dask as insar
from insar_dask.forecast.correction.teaching import SIZES
from insar_dask.forecast.forecaster import Forecaster
from insar_dask.synthetic import scene
from tests.benchmarks.measure import QUICK, Row, gate, watch

POINTS = int(os.environ.get("BENCH_POINTS", "16384" if QUICK else "588600"))
PRESET = {"width": 128, "hidden": 512, "heads": 4, "head_width": 32, "encoder_layers": 5, "decoder_layers": 5}
LEARNED = 1_024 if QUICK else 8_192
"""Points that the forecasters are fitted to."""

FORECAST = """
import sys
import insar_dask as insar

if __name__ == "__main__":
    with insar.session(workers=2) as client:
        insar.predict_stored(sys.argv[1], sys.argv[2], client=client, quiet=True)
"""


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        drawn = scene("chumar", n_points=POINTS, n_dates=158, seed=1)
        store = folder / "site.zarr"
        insar.save(drawn.drop_vars([name for name in drawn if str(name).startswith("true_")]), store, "site/raw")
        return [
            row
            for what, sizes in (("the default network", SIZES), ("the preset of 3.4 million parameters", PRESET))
            for row in forecast_rows(what, sizes, store, folder / what.replace(" ", "-"))
        ]


def forecast_rows(what: str, sizes: Mapping[str, int], store: Path, folder: Path) -> list[Row]:
    """Time, and memory of the process and its workers together."""
    model = opened(store, sizes)
    model.save(folder)
    script = folder.with_suffix(".py")
    script.write_text(FORECAST)
    seconds, rss, pss, _ = watch([sys.executable, str(script), str(store), str(folder)])
    with insar.open_cube(store, "site/predicted") as made:
        missing = int(made["displacement"].isnull().any("lead").sum())
        assert made.sizes["point"] == POINTS
    work = f"{POINTS:,} x 158 by {what}, two workers"
    parameters = sum(array.size for name, array in model.state_.items() if ".weights." in name)
    note = f"{POINTS / seconds:,.0f} points/s; {parameters / 1e6:.2f} million parameters"
    memory = f"{rss / 1e9:.2f} GB resident, {pss / 1e9:.2f} GB with shared pages counted once"
    gates = [gate("points without a forecast", missing, at_most=0)]
    return [
        {"what": work, "ours_s": seconds, "clock": "wall", "bar": "<= 180 s", "note": note, "gates": gates},
        {"what": f"{work}: memory", "bar": "<= 3 GB", "note": memory},
    ]


def opened(store: Path, sizes: Mapping[str, int]) -> Forecaster:
    """A network after one step, believed in full."""
    some: xr.Dataset = insar.open_cube(store, "site/raw").isel(point=slice(0, LEARNED)).compute()
    model = Forecaster("spacetimeformer", sizes=dict(sizes), training={"max_steps": 1, "warmup": 1})
    model.fit(some)
    model.state_["honest.trained.spacetimeformer.gate.future"] = np.array(1.0)
    return model
