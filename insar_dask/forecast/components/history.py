"""What is learned from which dates, and series taken apart without knowing what comes.

Everything is learned once, before the first validation origin, and kept: training again for the test and for the
forecast beyond the record would cost three times 24 networks. The dates before that origin fall into two blocks. The
smoothing parameters of Holt-Winters, the patterns, the scales and the weights come from the first. On the second, which
is taken apart causally as all later dates are, training is checked and stopped.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

import insar_kernels
from insar_dask.cube import DAYS_PER_YEAR
from insar_dask.forecast.series.splits import Block, Split
from insar_dask.forecast.timetable import Plan, TooShortError
from insar_kernels.gaps import first_and_last, forward_fill
from insar_kernels.holt_winters_fit import UNSEEN_SEASON

__all__ = ["PARTS", "blocks_of", "first_unknown", "period_of", "take_apart"]

Float32 = npt.NDArray[np.float32]

PARTS = ("trend", "season", "residual")

CHECKED = 0.25
"""Share of the known dates, the last ones, that training is checked on: a third of 100 + 33 dates as published."""


def blocks_of(plan: Plan) -> Split:
    """Dates of the plan's first grid to train on, to check on, and those from the first validation origin on.

    Raises
    ------
    TooShortError
        When the first has less than two years, or a window does not fit into either.
    """
    known, period = plan.validation[0].step, period_of(plan.every)
    least = max(2 * period, plan.context + plan.horizon)
    stop = max(known - max(round(CHECKED * known), plan.horizon), least)
    if known - stop < plan.horizon:
        raise TooShortError(
            f"{known} dates of {plan.every} days lie before the first validation origin, {least + plan.horizon} are "
            f"needed: two years to take series apart, or a context of {plan.context} and a horizon of {plan.horizon}, "
            f"then {plan.horizon} to check the training on; take a longer record, or a shorter context or horizon"
        )
    whole = len(plan.grid_days(0))
    return Split(Block("train", 0, stop), Block("validation", stop, known), Block("test", known, whole))


def first_unknown(plan: Plan) -> int:
    """Day from which on nothing is known to parameters, patterns, scales and weights."""
    return plan.starts[0] + plan.every * blocks_of(plan).train.stop


def period_of(every: int) -> int:
    """Dates in a year: 30 of 12 days, as published."""
    return round(DAYS_PER_YEAR / every)


def take_apart(values: Float32, n_fit: int, every: int) -> Float32:
    """Trend, season and residual (3, n, T) [mm] of series on a regular grid, which sum to them.

    Parameters and first states of Holt-Winters fit the first ``n_fit`` dates; at a later date the components follow
    from the values up to it. At a missing date there is none; a series that cannot be taken apart has none anywhere.
    Where a date of the year was never observed, of which there are two or three to fit, the season has no value for it:
    a series whose dates are two years apart is then taken apart with the last value before in the place of each missing
    one, which knows nothing later.

    Parameters
    ----------
    values : (n, T) array of float32
        Displacement [mm]; missing is NaN.
    n_fit : int
    every : int
        Days between the dates.
    """
    parts, status = _smoothed(values, n_fit, every)
    first, last = first_and_last(values[:, :n_fit])
    unseen = np.flatnonzero((status == UNSEEN_SEASON) & (last - first >= 2 * period_of(every) - 1))
    if unseen.size:
        parts[:, unseen] = _smoothed(forward_fill(values[unseen]), n_fit, every)[0]
    parts[:, ~np.isfinite(values)] = np.nan
    return parts


def _smoothed(values: Float32, n_fit: int, every: int) -> tuple[Float32, npt.NDArray[np.int8]]:
    fit = insar_kernels.holt_winters(np.ascontiguousarray(values), period_of(every), n_fit)
    return np.stack([fit.trend, fit.season, fit.residual]), fit.status
