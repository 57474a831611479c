"""The data of the published tables: a synthetic plateau like Chumar, 588,600 x 166, and a stratified sample of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from insar_dask.cluster.estimator import Clusters
from insar_dask.forecast.published.protocols import Material, honest_material, learn_patterns, paper_material
from insar_dask.forecast.published.sample import stratified_runs
from insar_dask.synthetic import scene

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).parent / "results"
SCRATCH = ROOT / "out" / "published"
"""Checkpoints, weights and forecasts; git does not see it."""

FILTERS = ((11, 2), (21, 2), (31, 3))


def material(filtering: tuple[int, int] | None, scratch: Path = SCRATCH) -> Material:
    """What a protocol, honest without a filter, makes of the sample; patterns are those of the whole plateau."""
    patterns = patterns_of(filtering, scratch)
    if filtering is None:
        return honest_material(sample(scratch), patterns)
    return paper_material(sample(scratch), patterns, filtering)


def sample(scratch: Path = SCRATCH) -> xr.Dataset:
    """4,096 points in 64 runs of 64 neighbours, eight runs a pattern as known before the validation block."""
    path = scratch / "sample.npz"
    if not path.exists():
        whole = plateau()
        labels = patterns_of(None, scratch).predict(whole)["cluster"].values
        rows = stratified_runs(labels)
        values = whole["displacement"].values[rows]
        scratch.mkdir(parents=True, exist_ok=True)
        np.savez(path, rows=rows, values=values)
    with np.load(path) as kept:
        cube = _scene().isel(point=kept["rows"])
        return cube.assign(displacement=cube["displacement"].copy(data=kept["values"]))


def plateau() -> xr.Dataset:
    """All 588,600 points, in memory: 372 MB."""
    return _scene().load()


def _scene() -> xr.Dataset:
    cube = scene("chumar")
    return cube.drop_vars([name for name in cube.variables if str(name).startswith("true_")])


def patterns_of(filtering: tuple[int, int] | None, scratch: Path) -> Clusters:
    path = scratch / f"patterns-{'honest' if filtering is None else f'sg{filtering[0]}'}.npz"
    if not path.exists():
        scratch.mkdir(parents=True, exist_ok=True)
        learn_patterns(plateau(), filtering).save(path)
    return Clusters.load(path)
