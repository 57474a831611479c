"""Acquisition dates as the satellites left them: a lost satellite, a few lost passes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["acquisition_dates"]

FIRST = np.datetime64("2020-01-03", "D")
LOST_SATELLITE = 121
"""Acquisitions of the 6-day era: Sentinel-1B was lost on 23 December 2021."""


def acquisition_dates(
    product: str, n_dates: int, seed: int, *, regular_holes: bool = False
) -> npt.NDArray[np.datetime64]:
    """Return ``n_dates`` dates, datetime64[ns], shape (T,).

    Level 3 comes every 6 days. Level 2b every 6 days until December 2021 and every 12 after, less about one pass in
    70: so steps of 6, 12, 18 and 24 days. With ``regular_holes`` every 12 days, less one pass in 20.
    """
    if product == "L3":
        return _to_dates(6 * np.arange(n_dates))
    step = 12 if regular_holes else 6
    spare = 8 + n_dates // 10
    days = step * np.arange(n_dates + spare)
    if not regular_holes:
        late = 6 * (LOST_SATELLITE - 1) + 12 * np.arange(1, n_dates + spare)
        days = np.concatenate([days[:LOST_SATELLITE], late])[: n_dates + spare]
    rng = np.random.Generator(np.random.Philox(key=[seed, 1]))
    n_lost = max(1, round(n_dates * (8 / 158 if regular_holes else 4 / 210)))
    inner = np.arange(2, n_dates + n_lost - 1)
    lost = rng.choice(inner, size=min(n_lost, inner.size), replace=False)
    return _to_dates(np.delete(days, lost)[:n_dates])


def _to_dates(days: npt.NDArray[np.int64]) -> npt.NDArray[np.datetime64]:
    return (FIRST + days.astype("timedelta64[D]")).astype("datetime64[ns]")
