"""Figures 11 to 15 of the published system, from the forecasts of a finished family.

python -m tests.benchmarks.published_pictures paper-sg11-spacetimeformer-seed0 [--into FOLDER]

The forecasts lie in ``out/published`` where the units ran; they are too large for git. ``METHOD`` may also be a setting
and a baseline that needs no training: ``honest-nlinear_48``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from insar_dask.decompose import PARTS
from insar_dask.forecast.published.linear import WindowLinear
from insar_dask.forecast.published.protocols import N_PATTERNS, Material
from insar_dask.report.gridding import display_grid
from insar_dask.report.published_figures import Followed, plot_errors, plot_followed, plot_forecast_maps
from insar_dask.report.style import png_bytes
from tests.benchmarks.published_data import FILTERS, SCRATCH, material


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Figures of a finished family.")
    parser.add_argument("family")
    parser.add_argument("--scratch", type=Path, default=SCRATCH)
    parser.add_argument("--into", type=Path)
    options = parser.parse_args(arguments)
    into = options.into or options.scratch / "figures" / options.family
    into.mkdir(parents=True, exist_ok=True)
    given = setting(options.family, options.scratch)
    for name, figure in figures(options.family, given, forecasts(options.family, given, options.scratch)).items():
        (into / f"{name}.png").write_bytes(png_bytes(figure))
        print(into / f"{name}.png")
    return 0


def setting(family: str, scratch: Path) -> Material:
    if family.startswith("honest"):
        return material(None, scratch)
    filtering = next(one for one in FILTERS if family.startswith(f"paper-sg{one[0]}"))
    return material(filtering, scratch)


def forecasts(family: str, given: Material, scratch: Path) -> np.ndarray:
    """Test forecasts (o, n, h) [mm], components added."""
    kind, _, context = family.split("-")[-1].rpartition("_")
    if kind in ("nlinear", "dlinear", "ridge"):
        train, origins = given.origins("train").tolist(), given.scored("test")
        model = WindowLinear(kind, int(context), given.horizon).fit(given.whole, train)
        return np.stack([model.predict(given.whole, int(origin)) for origin in origins])
    paths = [scratch / f"{family}-{part}.npz" for part in PARTS]
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise SystemExit(
            f"{missing[0]} is not there: run its unit with tests.benchmarks.published_units on this machine"
        )
    return np.sum([np.load(path)["test"] for path in paths], axis=0)


def figures(family: str, given: Material, said: np.ndarray) -> dict[str, Figure]:
    targets, origins = given.targets("whole", "test"), given.scored("test")
    # the last lead of the last origin whose date was observed
    at = max(k for k in range(len(origins)) if given.observed[origins[k] + given.horizon - 1])
    date = given.dates[origins[at] + given.horizon - 1]
    grid = display_grid(*given.places.T)
    title = f"{described(family)}; {12 * given.horizon} days ahead, {date:.10}"
    return {
        "11-13-maps": plot_forecast_maps(grid, said[at, :, -1], targets[at, :, -1], title),
        "14-errors": plot_errors(said, targets, f"{described(family)}; all test origins and leads"),
        "15-points": plot_followed(given.dates, followed(given, said), given.split.test.start, described(family)),
    }


def described(family: str) -> str:
    """A family in words.

    >>> described("paper-sg31-spacetimeformer-seed0")
    'spacetimeformer, seed 0, as published: measured values are smoothed over 31 dates'
    >>> described("honest-nlinear_48")
    'nlinear_48, honest: measured values are raw'
    """
    setting, *which = family.removeprefix("paper-").split("-")
    how = "honest: measured values are raw"
    if setting != "honest":
        how = f"as published: measured values are smoothed over {setting.removeprefix('sg')} dates"
    return f"{', '.join(which).replace('seed', 'seed ')}, {how}"


def followed(given: Material, said: np.ndarray) -> list[Followed]:
    """Of each pattern the point nearest to the mean series of its pattern, with every other forecast of it."""
    points = []
    for pattern in range(N_PATTERNS):
        rows = np.flatnonzero(given.patterns == pattern)
        series = given.whole[rows]
        known = series[:, given.observed]
        distance = ((known - known.mean(axis=0)) ** 2).sum(axis=1)
        row = rows[int(np.argmin(distance))]
        some = slice(None, None, 3 if len(said) > 8 else 1)
        name = "ABCDEFGH"[pattern]
        points.append(Followed(name, given.whole[row], given.scored("test")[some], said[some, row]))
    return points


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
