"""The whole map at one origin: all 588,600 points, forecast by the networks that a family learned on its sample.

python -m tests.benchmarks.published_map paper-sg11-spacetimeformer-seed0 [--device cuda]

Weights lie in ``out/published`` where the family's units ran. Each pattern of each component is kept as soon as it is
forecast, so that a map goes on where it was killed. Of one core it takes 15 minutes a component.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from insar_dask.decompose import PARTS
from insar_dask.forecast.models import build
from insar_dask.forecast.published.protocols import N_PATTERNS, Material, honest_material, paper_material
from insar_dask.forecast.published.scores import count_stage, overall
from insar_dask.forecast.published.windows import ComponentWindows
from insar_dask.report.gridding import display_grid
from insar_dask.report.published_figures import plot_errors, plot_forecast_maps
from insar_dask.report.style import png_bytes
from tests.benchmarks.published_data import FILTERS, RESULTS, SCRATCH, patterns_of, plateau
from tests.benchmarks.published_pictures import described
from tests.benchmarks.unit_files import tell, write


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="The whole map at one origin.")
    parser.add_argument("family")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--scratch", type=Path, default=SCRATCH)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    given = whole(options.family, options.scratch)
    origin = last_origin(given)
    said = np.sum([component(part, given, origin, options) for part in PARTS], axis=0)
    steps = slice(origin, origin + given.horizon)
    measured = np.where(given.observed[steps], given.whole[:, steps], np.float32(np.nan))
    counted = count_stage(said[None], measured[None], given.patterns)
    result = {
        "family": f"{options.family}-map",
        "data": given.digest,
        "origin": f"{given.dates[origin]:.10}",
        "points": len(said),
        "scores": {"map": counted},
    }
    write(options.results / f"{options.family}-map.json", result)
    draw(options, given, origin, said, measured)
    tell(f"{options.family}: {len(said):,} points, RMSE {overall(counted)['rmse']:.3f} mm")
    return 0


def whole(family: str, scratch: Path) -> Material:
    if family.startswith("honest"):
        return honest_material(plateau(), patterns_of(None, scratch))
    filtering = next(one for one in FILTERS if family.startswith(f"paper-sg{one[0]}"))
    return paper_material(plateau(), patterns_of(filtering, scratch), filtering)


def last_origin(given: Material) -> int:
    """The last origin of the test whose last date was observed."""
    return int(max(o for o in given.scored("test") if given.observed[o + given.horizon - 1]))


def component(part: str, given: Material, origin: int, options: argparse.Namespace) -> np.ndarray:
    """Forecast (n, h) of one component [mm]."""
    said = np.full((len(given.patterns), given.horizon), np.nan, np.float32)
    folder = options.scratch / f"{options.family}-{part}-weights"
    own = (folder / "A.pt").exists()
    for pattern in range(N_PATTERNS) if own else [None]:
        letter = "all" if pattern is None else "ABCDEFGH"[pattern]
        kept = options.scratch / f"{options.family}-{part}-{origin}-{letter}.npy"
        windows = ComponentWindows(given, part, pattern)
        if not kept.exists():
            model = build(options.family.split("-")[-2])
            model.load_state_dict(torch.load(folder / f"{letter}.pt", weights_only=True))
            np.save(kept, windows.predict(model.to(options.device), origin, device=options.device))
            tell(f"{part} {letter}: {windows.n_points:,} points")
        said[windows.rows] = np.load(kept)
    return said


def draw(options: argparse.Namespace, given: Material, origin: int, said: np.ndarray, measured: np.ndarray) -> None:
    into = options.scratch / "figures" / options.family
    into.mkdir(parents=True, exist_ok=True)
    title = (
        f"{described(options.family)}; {12 * given.horizon} days ahead, {given.dates[origin + given.horizon - 1]:.10}"
    )
    maps = plot_forecast_maps(display_grid(*given.places.T), said[:, -1], measured[:, -1], title)
    (into / "11-13-whole-map.png").write_bytes(png_bytes(maps))
    (into / "14-whole-map.png").write_bytes(
        png_bytes(plot_errors(said, measured, f"{described(options.family)}; one origin"))
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
