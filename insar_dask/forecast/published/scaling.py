"""What the networks of the published system know beside a window: how series are scaled, and what a date is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from insar_dask.forecast.published.protocols import Material
from insar_dask.forecast.series.framing import Framing

__all__ = ["calendar", "days_of", "framing", "scaling"]

Float32 = npt.NDArray[np.float32]

LEAST_SCALE = 0.1
"""Standard deviation [mm] that nothing is divided by less of: what the products print."""


LENGTH = 8
"""Neighbours of a group."""

REACH = 1000.0
"""Longest step [m] from one point of a group to the next."""


def framing(material: Material, component: str) -> Framing:
    """How windows are cut: the honest trend counts from the last value given, all else as `scaling` says.

    The years of the calendar go from 0 to 1 over the whole record as published, honest over the training block.
    """
    days = days_of(material)
    last = days[-1] if material.inside else days[material.split.train.stop - 1]
    return Framing(
        context=material.context,
        horizon=material.horizon,
        length=LENGTH,
        reach=REACH,
        step=int(days[1] - days[0]),
        first_day=int(days[0]),
        last_day=int(last),
        scaling="last" if component == "trend" and not material.inside else "global",
    )


def calendar(material: Material) -> Float32:
    """Features (T, 3) of the dates."""
    return framing(material, "trend").features(days_of(material))


def days_of(material: Material) -> npt.NDArray[np.int64]:
    """Dates (T,) in days from 1970-01-01."""
    return np.asarray(material.dates.astype("datetime64[D]").astype(np.int64))


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
