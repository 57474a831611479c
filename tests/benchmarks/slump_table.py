"""How well slumps are found: every rule on the same synthetic plateaus.

`python -m tests.benchmarks.slump_table` prints the table as Markdown, about half a minute of one core; with
`--into FILE` it is written too.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from sklearn.cluster import DBSCAN

from insar_dask.detect.areas import Areas, MapGrid
from insar_dask.detect.comparing import Agreement, agreement
from insar_dask.detect.finding import find_areas
from insar_dask.detect.labelling import Cells
from insar_dask.detect.rules import Rule, background_of, evidence_of
from insar_dask.synthetic.slumps import slump_scene

SEEDS = range(6)
RULES = {
    "published rule, 15 mm/yr": Rule("paper"),
    "published rule, 10 mm/yr": Rule("paper", body=10.0, seed=10.0),
    "hysteresis 15/7.5, any motion": Rule(body=7.5, seed=15.0, season=None),
    "hysteresis 10/5, any motion": Rule(season=None),
    "hysteresis 15/5 and a season": Rule(seed=15.0),
    "hysteresis 10/5 and a season": Rule(),
}


CLUSTERED = {
    "DBSCAN (scikit-learn), 15 mm/yr, 60 m, 5 points": (Rule("paper"), 5),
    "DBSCAN (scikit-learn), 7.5 mm/yr and a season, 60 m, 6 points": (Rule(body=7.5, seed=7.5), 6),
}
"""Cells that move as points: what each rule asks of a cell, and points of a core's neighbourhood."""

REACH = 60.0


def clustered(maps: xr.Dataset, rule: Rule, fewest: int) -> Areas:
    """Outlines of the cells of each cluster."""
    grid, body = MapGrid.of(maps), evidence_of(maps, rule, background_of(maps, rule)).body
    row, column = np.nonzero(body)
    labels = DBSCAN(eps=REACH, min_samples=fewest).fit_predict(np.stack([row, column], axis=1) * grid.cell)
    found = [Cells(row[labels == k], column[labels == k]) for k in range(labels.max() + 1)]
    return Areas([grid.outline(cells) for cells in found], {}, grid.crs_wkt)


def table() -> str:
    """Means of six scenes (worst scene), slumps with a season of their own and without."""
    lines = []
    for season in (True, False):
        scenes = [slump_scene(seed, season=season) for seed in SEEDS]
        lines += ["", f"Slumps {'with' if season else 'without'} a season of their own:", ""]
        lines.append("| rule | recall | precision | overlap of all cells | median overlap of hits |")
        lines.append("|---|---|---|---|---|")
        for name, rule in RULES.items():
            rows = np.array([agreement(find_areas(m, rule), m["true_area"].values, m) for m in scenes])
            lines.append(f"| {name} | {' | '.join(map(cell, rows.T))} |")
        for name, (rule, fewest) in CLUSTERED.items():
            rows = np.array([agreement(clustered(m, rule, fewest), m["true_area"].values, m) for m in scenes])
            lines.append(f"| {name} | {' | '.join(map(cell, rows.T))} |")
    return "\n".join(lines[1:])


def cell(values: np.ndarray) -> str:
    if not np.isfinite(values).any():
        return "-"
    return f"{np.nanmean(values):.3f} ({np.nanmin(values):.2f})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path)
    into = parser.parse_args().into
    text = table()
    print(text)
    if into:
        into.write_text(f"# Slumps found on synthetic plateaus\n\nMeans of six scenes (worst scene). "
                        f"{', '.join(Agreement._fields)}: `insar_dask.detect.comparing`.\n\n{text}\n")  # fmt: skip
