"""Kinds of motion that scores are told apart by, judged from the history alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

import insar_kernels
from insar_dask.forecast.naive import harmonic_fit
from insar_dask.forecast.windows import Context

__all__ = ["STRATA", "stratify"]

STRATA = ("stable", "seasonal", "trending", "accelerating")

SIGNIFICANT = 3.0
"""Standard errors, widened for the noise's own persistence."""

FASTER_THAN, MORE_THAN, BENDING_BY = 2.0, 2.0, 1.0
"""mm/yr, mm and mm/yr2: what is significant must also be worth a name."""


def stratify(context: Context) -> npt.NDArray[np.int8]:
    """Index into `STRATA` of each point: the last of the names that fits; -1 where nothing can be said.

    White-noise standard errors are multiplied by sqrt((1 + r) / (1 - r)), r being the residuals' autocorrelation at lag
    one (Bartlett 1946, doi:10.2307/2983611).
    """
    motion = insar_kernels.motion(context.values, context.years)
    r = harmonic_fit(context)[1].autocorrelation
    wide = SIGNIFICANT * np.sqrt((1 + r) / (1 - r))
    out = np.where(np.isnan(motion.velocity), -1, 0)
    kinds = (
        (motion.seasonality, motion.seasonality_std, MORE_THAN),
        (motion.velocity, motion.velocity_std, FASTER_THAN),
        (motion.acceleration, motion.acceleration_std, BENDING_BY),
    )
    for index, (value, error, least) in enumerate(kinds, start=1):
        out[np.abs(value) > np.maximum(wide * error, least)] = index
    return out.astype(np.int8)
