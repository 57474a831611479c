"""The published system for thaw slumps, as printed and without its leaks: what each protocol makes of the same series.

Wang et al. (2024), doi:10.3390/rs16111891: gaps filled, Savitzky-Golay, k-means into eight patterns, Holt-Winters into
trend, season and residual, one network a pattern and component, 24 dates of 12 days in and 6 out.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cluster.estimator import Clusters
from insar_dask.cube import CubeError
from insar_dask.decompose import PARTS, holt_winters
from insar_dask.forecast.series.splits import Block, Split, split_by_length
from insar_dask.resample import regularise
from insar_dask.smooth import savgol

__all__ = ["N_PATTERNS", "STAGES", "Material", "honest_material", "learn_patterns", "paper_material", "smoothed"]

Float32 = npt.NDArray[np.float32]

STAGES = ("train", "validation", "test")

N_PATTERNS = 8
PERIOD = 30
"""Dates of 12 days in a season: 360 days."""


@dataclass(frozen=True, eq=False)
class Material:
    """What one protocol hands to every model: regular series of some points, their components and patterns."""

    protocol: str
    """``"paper"``, which leaks, or ``"honest"``."""
    split: Split
    dates: npt.NDArray[np.datetime64]
    """(T,) regular dates."""
    observed: npt.NDArray[np.bool_]
    """(T,) dates that may be context and target."""
    whole: Float32
    """(n, T) what forecasts are scored against [mm]: smoothed, or raw with NaN where nothing was observed."""
    components: dict[str, Float32]
    """Trend, season and residual, (n, T) each [mm]; they sum to ``whole``."""
    patterns: npt.NDArray[np.int8]
    """(n,) k-means pattern of each point, 0 the one that sinks fastest."""
    places: npt.NDArray[np.float64]
    """(n, 2) easting and northing [m]."""
    digest: str
    """Hash of raw values, dates, places and patterns: results of different data never meet in one table."""
    context: int = 24
    horizon: int = 6

    @property
    def inside(self) -> bool:
        """Whether windows keep inside their block."""
        return self.protocol == "paper"

    def origins(self, stage: str) -> npt.NDArray[np.int64]:
        """First dates asked for: 71, 4 and 4 as published; 71, 28 and 28 where contexts may reach back."""
        block: Block = getattr(self.split, stage)
        return block.origins(self.context, self.horizon, reach_back=not self.inside)

    def scored(self, stage: str) -> npt.NDArray[np.int64]:
        """Origins whose errors are counted: every one of the test, and of the others so many that they cost as much."""
        return self.origins(stage)[:: {"train": 10, "validation": 1 if self.inside else 4, "test": 1}[stage]]

    def series(self, component: str) -> Float32:
        """A component, or ``"whole"``."""
        return self.whole if component == "whole" else self.components[component]

    def targets(self, component: str, stage: str) -> Float32:
        """Values (o, n, h) asked for at each scored origin of a stage; NaN at dates that were not observed."""
        values = np.where(self.observed, self.series(component), np.float32(np.nan))
        steps = self.scored(stage)[:, None] + np.arange(self.horizon)
        return np.ascontiguousarray(values[:, steps].transpose(1, 0, 2))


def learn_patterns(cube: xr.Dataset, filtering: tuple[int, int] | None) -> Clusters:
    """k-means patterns of a raw cube: of its filled and smoothed series, the whole of them, as published.

    Without a ``filtering``, honest: of the raw series before the validation block.
    """
    model = Clusters(N_PATTERNS, random_state=0)
    if filtering is None:
        return model.fit(cube, until=_first_unknown(cube))
    return model.fit(smoothed(cube, filtering))


def smoothed(cube: xr.Dataset, filtering: tuple[int, int]) -> xr.Dataset:
    """All gaps filled on the line between past and future, then Savitzky-Golay over the whole series: both leak."""
    return savgol(regularise(cube, "12D", max_gap=None), *filtering)


def paper_material(cube: xr.Dataset, patterns: Clusters, filtering: tuple[int, int]) -> Material:
    """As published: every step sees the whole series, and forecasts are scored against what was smoothed.

    Parameters
    ----------
    cube : xr.Dataset
        Raw point cube.
    patterns : Clusters
        From `learn_patterns`.
    filtering : (int, int)
        Window and order of Savitzky-Golay; the publication does not say: (11, 2), (21, 2) and (31, 3) bracket it.

    Raises
    ------
    CubeError
        When a series cannot be decomposed.
    """
    smooth = smoothed(cube, filtering)
    parts = holt_winters(smooth, PERIOD)
    observed = np.ones(smooth.sizes["time"], bool)
    return _material("paper", cube, smooth, parts, patterns.predict(smooth), observed)


def honest_material(cube: xr.Dataset, patterns: Clusters) -> Material:
    """The same without its leaks: raw values, Holt-Winters fitted before the validation block and causal from there on.

    Nothing is filled or smoothed. Dates without an acquisition are neither context nor target, nor is a point's date
    without a value; there the states are those predicted.
    """
    regular = regularise(cube, "12D", max_gap=None)
    observed = regular["observed"].values.astype(bool)
    measured = cube["displacement"].notnull().reindex(time=regular["time"].values, fill_value=False)
    raw = regular.assign(displacement=regular["displacement"].where(measured))
    raw = raw.assign_attrs(sees_future=0)  # what was filled in is gone again
    parts = holt_winters(raw, PERIOD, until=_first_unknown(cube))
    return _material("honest", cube, raw, parts, patterns.predict(cube), observed)


def _material(
    protocol: str,
    cube: xr.Dataset,
    series: xr.Dataset,
    parts: xr.Dataset,
    labels: xr.Dataset,
    observed: npt.NDArray[np.bool_],
) -> Material:
    components = {name: parts[name].values.astype(np.float32) for name in PARTS}
    lost = np.flatnonzero(np.isnan(components["trend"]).any(axis=1))
    if lost.size:
        raise CubeError(
            f"{lost.size} series cannot be decomposed, the first is point {lost[0]} "
            f"(status {int(parts['status'].values[lost[0]])}): leave them out"
        )
    known = labels["cluster"].values.astype(np.int8)
    places = np.stack([series["easting"].values, series["northing"].values], axis=1)
    return Material(
        protocol=protocol,
        split=split_by_length(series.sizes["time"]),
        dates=series["time"].values,
        observed=observed,
        whole=series["displacement"].values.astype(np.float32),
        components=components,
        patterns=known,
        places=places,
        digest=_digest(cube["displacement"].values, cube["time"].values.astype(np.int64), places, known),
    )


def _digest(*arrays: npt.NDArray[Any]) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()[:16]


def _first_unknown(cube: xr.Dataset) -> str:
    """First date of the validation block, as text."""
    dates = regularise(cube.isel(point=slice(0, 1)), "12D", max_gap=None)["time"].values
    return str(dates[split_by_length(len(dates)).validation.start].astype("datetime64[D]"))
