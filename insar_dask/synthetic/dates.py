"""Acquisition dates as the satellites left them: one satellite lost, a few passes lost."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from insar_dask.synthetic.kinds import Kind

__all__ = ["acquisition_dates"]

Int64 = npt.NDArray[np.int64]

SIX_DAY_SHARE = 121 / 210
"""Share of a burst's acquisitions before Sentinel-1B was lost on 23 December 2021: every 6 days, then every 12."""

LOST_LATE = 1 / 210
LOST_FROZEN = 8 / 158
DATES_STREAM = 1


def acquisition_dates(kind: Kind, n_dates: int, seed: int) -> npt.NDArray[np.datetime64]:
    """Dates of a scene, datetime64[ns], shape (T,).

    Level 3 comes every 6 days. A burst comes every 6 days, then every 12, with one step of 18 days (two passes lost)
    and, per 210 dates, one of 24: on 210 dates that ends on 31 December 2024 as real bursts do. The frozen plateau is
    seen every 12 days with 8 of 166 passes lost.
    """
    rng = np.random.Generator(np.random.Philox(key=[seed, DATES_STREAM]))
    if kind.gridded:
        days = 6 * np.arange(n_dates)
    elif kind.frozen:
        days = _with_losses(12 * np.arange(2 * n_dates), n_dates, round(LOST_FROZEN * n_dates), rng)
    else:
        days = _burst_days(n_dates, rng)
    return (np.datetime64(kind.first_date, "D") + days.astype("timedelta64[D]")).astype("datetime64[ns]")


def _burst_days(n_dates: int, rng: np.random.Generator) -> Int64:
    n_early = round(SIX_DAY_SHARE * n_dates)
    early = 6 * np.arange(n_early)
    if n_early > 5:
        lost = rng.integers(2, n_early - 3)
        early = np.delete(early, [lost, lost + 1])
    late = early[-1] + 12 * np.arange(1, 2 * n_dates)
    n_late = n_dates - early.size
    return np.concatenate([early, _with_losses(late, n_late, round(LOST_LATE * n_dates), rng)])


def _with_losses(days: Int64, n_dates: int, n_lost: int, rng: np.random.Generator) -> Int64:
    """Keep the first ``n_dates`` of what is left when ``n_lost`` passes inside that run are lost."""
    inner = np.arange(1, n_dates + n_lost - 1)
    lost = rng.choice(inner, size=min(n_lost, inner.size), replace=False)
    return np.delete(days, lost)[:n_dates]
