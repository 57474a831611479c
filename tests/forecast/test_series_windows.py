"""Windows to train on: what they hold, what they may know, and that the number of ranks changes nothing."""

from typing import Any

import numpy as np
import torch

from insar_dask.forecast.point_source import ArrayPoints
from insar_dask.forecast.series_windows import SeriesWindows
from insar_dask.forecast.splits import split_by_length

N_DATES, CONTEXT, HORIZON, LENGTH = 60, 8, 3, 4
SIZES: dict[str, Any] = {
    "context": CONTEXT,
    "horizon": HORIZON,
    "length": LENGTH,
    "reach": 100.0,
    "batch": 6,
    "validation_points": 40,
}
SPLIT = split_by_length(N_DATES, (36, 12, 12))
TIMES = np.datetime64("2015-01-06") + 12 * np.arange(N_DATES)


def source_of(n_points: int = 200, seed: int = 0, gaps: float = 0.1, block: int = 32, **change: Any) -> ArrayPoints:
    """Points along a line, 50 m apart, of 3 patterns; every value tells its point and its date."""
    rng = np.random.default_rng(seed)
    values = (1000.0 * np.arange(n_points)[:, None] + np.arange(N_DATES)).astype(np.float32)
    values[rng.random(values.shape) < gaps] = np.nan
    places = np.arange(n_points)[:, None] * [50.0, 0.0]
    parts = {"values": values, "places": places, "patterns": np.arange(n_points) // 8 % 3} | change
    whole = ArrayPoints.of(times=TIMES, **parts)
    return ArrayPoints(whole.points, whole.days, whole.observed, block)


def test_every_window_holds_consecutive_values_of_its_points_before_and_after_its_origin() -> None:
    windows = SeriesWindows(source_of(gaps=0.0), SPLIT, scaling="global", **SIZES)
    for step in range(20):
        batch = windows.batch(step)
        seen = torch.cat([batch["values"], batch["targets"]], dim=-1).double() * windows.framing.scale
        seen = (seen + windows.framing.shift).round()
        present = batch["present"]
        assert torch.allclose(seen.diff(dim=-1)[present], torch.ones(1, dtype=torch.float64))
        dates = seen % 1000
        assert (dates[present] >= 0).all()
        assert (dates[present] < SPLIT.train.stop).all()
        points = (seen // 1000)[..., 0]
        assert (points.diff(dim=1)[present[:, 1:]] == 1).all()
        assert (points[present] // 8 % 3 == batch["pattern"][present]).all()
