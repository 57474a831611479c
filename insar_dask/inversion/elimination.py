"""The order in which dates of a network are eliminated: one that keeps its normal matrix narrow."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt

from insar_dask.inversion.pairs import Timeline

__all__ = ["NARROW", "elimination_order"]

NARROW = 8
"""Bands up to this many dates are left as they are: another order gains nothing."""


def elimination_order(line: Timeline) -> npt.NDArray[np.int64] | None:
    """Dates in the order of Cuthill & McKee (1969), reversed, that ends with the first date; None: from last to first.

    Short baselines alone have a narrow band in time; pairs over a year join dates far apart, and then neighbours in
    the network must be near in the order. A network in several parts goes part by part.
    """
    if int((line.second - line.first).max()) <= NARROW:
        return None
    joined: dict[int, set[int]] = defaultdict(set)
    for one, other in zip(line.first.tolist(), line.second.tolist(), strict=True):
        joined[one].add(other)
        joined[other].add(one)
    order: list[int] = []
    seen: set[int] = set()
    for start in range(len(line.dates)):
        if start in seen:
            continue
        seen.add(start)
        queue = [start]
        for date in queue:
            near = sorted(joined[date] - seen, key=lambda other: (len(joined[other]), other))
            seen.update(near)
            queue += near
        order += queue
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    width = int(abs(place[line.second] - place[line.first]).max())
    return np.array(order[::-1], np.int64) if width < int((line.second - line.first).max()) else None
