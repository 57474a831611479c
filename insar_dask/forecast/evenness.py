"""How many acquisitions regular steps meet: the others are no targets, and many forecasters do not see them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from insar_dask.forecast.timetable import Days, TooShortError
from insar_dask.resample import RECENT, regular_dates

__all__ = ["Met", "check_met", "met"]

LEAST = 0.4
"""Share below which steps are refused. Of 16 random calendars below it 9 had nothing to score or learn from and 4
points without an interval; of 14 with 0.43 to 0.54 none. Sentinel-1 has 0.94 in steps of 6, 12 and 24 days."""

MANY = 0.9
"""Share from which on other steps are proposed."""


class Met(NamedTuple):
    """What the acquisitions of the last two years of a record are to steps of some days."""

    number: int
    """Acquisitions that a step meets."""
    days: int
    """All of them."""
    steps: int
    """Steps in the time from the first to the last of them."""

    @property
    def share(self) -> float:
        """Of the acquisitions, or of the steps where these are fewer: steps longer than the usual ones may meet all."""
        return self.number / max(min(self.days, self.steps), 1)


def met(days: Days, every: int) -> Met:
    """Acquisitions that steps of ``every`` days meet, on the phase that meets most of them."""
    start = int(regular_dates(days.astype("datetime64[D]"), f"{every}D")[0].astype("datetime64[D]").astype(np.int64))
    recent = days[days > days[-1] - RECENT]
    steps = (recent[-1] - start) // every - (recent[0] - 1 - start) // every
    return Met(int(((recent - start) % every == 0).sum()), len(recent), int(steps))


def check_met(days: Days, every: int, horizon: int) -> None:
    """Refuse steps that meet hardly any of the acquisitions before a test.

    Raises
    ------
    TooShortError
        Naming the steps that meet them, and how many of these look as far ahead.
    """
    found = met(days, every)
    if found.share >= LEAST:
        return
    longest = max(every, int(np.median(np.diff(days))))
    step = next(step for step in range(longest, 0, -1) if met(days, step).share >= MANY)  # of one day at the latest
    cure, reach = met(days, step), -(-horizon * every // step)
    last = np.datetime64(int(days[-1]), "D")
    raise TooShortError(
        f"the dates keep to no step of {every} days: of {found.days} acquisitions in the two years up to {last} such "
        f"steps meet {found.number}, too few to learn from and to be scored on; take every='{step}D' and "
        f"horizon={reach}, as in Forecaster(every='{step}D', horizon={reach}), which look as far ahead and meet "
        f"{cure.number}"
    )
