"""What the networks of the published system know beside a window: how series are scaled, and what a date is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from insar_dask.forecast.published.protocols import Material
from insar_dask.forecast.series.calendar_features import calendar_features, year_range

__all__ = ["calendar", "scaling"]

Float32 = npt.NDArray[np.float32]

LEAST_SCALE = 0.1
"""Standard deviation [mm] that nothing is divided by less of: what the products print."""


def calendar(material: Material) -> Float32:
    """Features (T, 3) of the dates; as published from 0 to 1 over the whole record, honest over the training block."""
    days = material.dates.astype("datetime64[D]").astype(np.int64)
    known = days if material.inside else days[: material.split.train.stop]
    return calendar_features(days, "paper", years=year_range(known))


def scaling(material: Material, component: str, rows: npt.NDArray[np.int64]) -> tuple[Float32, Float32]:
    """What is taken off the values of some points, and what they are divided by: (n,) each [mm].

    As published, the mean and deviation of each series over the whole record. Honest, nothing and one number for all
    points of a pattern: the root mean square over the training block, of the trend that of its change over half a
    window.
    """
    values = np.where(material.observed, material.series(component)[rows], np.float32(np.nan))
    least = np.float32(LEAST_SCALE)
    if material.inside:
        return values.mean(axis=1), np.maximum(values.std(axis=1), least)
    history = values[:, : material.split.train.stop]
    if component == "trend":
        half = material.context // 2
        history = history[:, half:] - history[:, :-half]
    mine = material.patterns[rows]
    scale = np.ones(len(rows), np.float32)
    for pattern in np.unique(mine):
        scale[mine == pattern] = np.sqrt(np.nanmean(history[mine == pattern] ** 2))
    return np.zeros(len(rows), np.float32), np.maximum(scale, least)
