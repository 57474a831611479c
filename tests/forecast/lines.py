"""Points along a line whose every value tells its point and its date."""

from typing import Any

import numpy as np

from insar_dask.forecast.series.point_source import ArrayPoints
from insar_dask.forecast.series.splits import split_by_length

N_DATES = 60
SPLIT = split_by_length(N_DATES, (36, 12, 12))
TIMES = np.datetime64("2015-01-06", "D") + 12 * np.arange(N_DATES)
SIZES: dict[str, Any] = {"context": 8, "horizon": 3, "length": 4, "reach": 100.0, "batch": 6, "validation_points": 40}


def source_of(n_points: int = 200, gaps: float = 0.1, block: int = 64, **change: Any) -> ArrayPoints:
    """Points 50 m apart, of 3 patterns in runs of 8; values are 1000 * point + date [mm], NaN in gaps."""
    values = (1000.0 * np.arange(n_points)[:, None] + np.arange(N_DATES)).astype(np.float32)
    values[np.random.default_rng(0).random(values.shape) < gaps] = np.nan
    parts = {
        "values": values,
        "places": np.arange(n_points)[:, None] * [50.0, 0.0],
        "times": TIMES,
        "patterns": np.arange(n_points) // 8 % 3,
    }
    whole = ArrayPoints.of(**parts | change)
    return ArrayPoints(whole.points, whole.days, whole.observed, block)
