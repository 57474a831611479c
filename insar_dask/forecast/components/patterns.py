"""Patterns of motion by k-means of raw series before a day, and the pattern of any series with a value before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

import insar_kernels
from insar_dask.cluster.blocks import sample_block, sums_block
from insar_dask.cluster.estimator import Clusters
from insar_dask.cluster.learning import Arrays, TooFewSeriesError
from insar_dask.cube import CubeError
from insar_dask.forecast.series.point_source import Source

__all__ = ["Patterns", "learn_patterns"]

Float32 = npt.NDArray[np.float32]
Index = npt.NDArray[np.int64]
Small = npt.NDArray[np.int16]

RUN = 16_384
"""Points read at a time."""


@dataclass(frozen=True, eq=False)
class Patterns:
    """Mean curves of some patterns."""

    days: Index
    """(T,) dates, increasing, from 1970-01-01."""
    curves: Float32
    """(p, T) [mm]."""

    def __len__(self) -> int:
        """Number of patterns."""
        return len(self.curves)

    def label(self, values: Float32, days: Index) -> Small:
        """Nearest curve (n,) of series (n, T) over the dates that lie within the curves', -1 without a value there.

        Between their dates curves are lines, so that points of another track can be told apart as well.
        """
        inside = (days >= self.days[0]) & (days <= self.days[-1])
        there = np.stack([np.interp(days[inside], self.days, curve) for curve in self.curves]).astype(np.float32)
        return np.asarray(insar_kernels.nearest(np.ascontiguousarray(values[:, inside]), there)[0], np.int16)

    def kept(self, chosen: Index) -> Patterns:
        """Some of the patterns."""
        return Patterns(self.days, self.curves[chosen])


def learn_patterns(source: Source, until: int, most: int, length: int, seed: int) -> Patterns:
    """Patterns of the raw series of all points before day ``until``, as `insar_dask.Clusters` finds them.

    No more than ``most``, than one for every ``length`` points, and than series without a gap; where there is none of
    these, one: the mean.

    Raises
    ------
    CubeError
        When no point has a value before that day.
    """
    columns = np.flatnonzero(source.observed & (source.days < until))
    days = source.days[columns]
    times = days.astype("datetime64[D]").astype("datetime64[ns]")

    def blocks() -> Iterator[xr.Dataset]:
        for start in range(0, source.n_points, RUN):
            points = source.read(start, min(start + RUN, source.n_points))
            east, north = points.places.T
            series = {"displacement": (("point", "time"), points.values[:, columns])}
            yield xr.Dataset(series | {"easting": ("point", east), "northing": ("point", north)}, {"time": times})

    drawn = Clusters(1, random_state=seed).draw(source.n_points, None)
    sample = [sample_block(block, **drawn) for block in blocks()]
    if not (some := sum(len(part["rows"]) for part in sample)):
        raise CubeError(
            f"none of {source.n_points} points has a value before {np.datetime64(until, 'D')}, up to which patterns "
            "are learned: take points that have, a longer record, or another method"
        )

    def passes(state: Arrays | None) -> Iterable[Arrays]:
        return sample if state is None else (sums_block(block, state) for block in blocks())

    for wanted in range(min(most, some // length), 1, -1):
        try:
            found = Clusters(wanted, random_state=seed).learn({"times": times}, passes, None).state()["centroids"]
        except TooFewSeriesError:
            continue
        seen = ~np.isnan(found).any(axis=0)
        return Patterns(days[seen], found[:, seen])
    rows = np.concatenate([part["rows"] for part in sample])
    seen = np.isfinite(rows).any(axis=0)
    mean = np.nanmean(rows[:, seen], axis=0, dtype=np.float64)
    return Patterns(days[seen], np.asarray(mean, np.float32)[None])
