"""The paper's scene, 588,600 points x 158 dates, from EGMS zip to report: minutes and memory."""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from insar_dask.config import Config, parse_config, to_toml
from insar_dask.synthetic import scene, write_egms
from tests.benchmarks.measure import watch

POINTS = int(os.environ.get("BENCH_POINTS", "588600"))
NAIVE = ["persistence", "drift", "seasonal_naive", "harmonic", "harmonic_ar1", "harmonic_ridge"]


RUNS: dict[str, tuple[dict[str, object], str, str]] = {
    "zip to report, naive forecasts": (
        {"patterns": {"n_clusters": 0}, "decompose": {"method": "none"}},
        "<= 240 s",
        "<= 2 GB",
    ),
    "the same with patterns and Holt-Winters": ({}, "<= 360 s", "<= 2.5 GB"),
}
"""What is run -> its settings, and the bars on its time and on the memory of its processes together."""


def rows() -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory() as folder:
        drawn = scene("chumar", n_points=POINTS)
        source = Path(folder) / f"{drawn.attrs['source'].split()[0]}.zip"
        write_egms(source, drawn)
        table = []
        for number, (work, (settings, time_bar, memory_bar)) in enumerate(RUNS.items()):
            path = Path(folder) / f"run-{number}.toml"
            path.write_text(to_toml(configured(source, Path(folder) / f"{number}/cube.zarr", settings)))
            seconds, rss, pss, output = watch([sys.executable, "-m", "insar_dask", "run", str(path)])
            what = f"{work}, {POINTS:,} x {drawn.sizes['time']}"
            memory = f"{rss / 1e9:.2f} GB resident, {pss / 1e9:.2f} GB with shared pages counted once"
            outcome = output.strip().splitlines()[-1].strip()
            table += [
                {"what": what, "ours_s": seconds, "clock": "wall", "bar": time_bar, "note": outcome},
                {"what": f"{what}: memory", "bar": memory_bar, "note": memory},
            ]
            shutil.rmtree(path.with_suffix("").with_name(str(number)))
    return table


def configured(source: Path, store: Path, settings: dict[str, object]) -> Config:
    return parse_config(
        {
            "source": {"files": [str(source)]},
            "store": {"path": str(store)},
            "forecast": {"methods": NAIVE, "as_published": False},
            "cluster": {"workers": 2},
            **settings,
        }
    )


if __name__ == "__main__":
    print(json.dumps(rows(), indent=1))
