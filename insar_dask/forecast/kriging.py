"""Kriging in space and time: neighbours share a motion, and each point has one, and a noise, of its own.

The covariance of a group of neighbours is a sum of two products of space and time, which modes of space and of time
make diagonal at once. So the forecast of every point sees the histories of all points of its group, for the price of
two small matrix products.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from insar_dask.cube import DAYS_PER_YEAR
from insar_dask.forecast import joint_covariance as temporal
from insar_dask.forecast.covariance import PARAMETERS
from insar_dask.forecast.group_likelihood import SIZES, maximise, times
from insar_dask.forecast.groups import Groups, cut_groups
from insar_dask.forecast.neighbourhood import ROUGHEST, SMOOTHEST, Seats, modes, roughness
from insar_dask.forecast.samples import merged, pooled, series_hashes
from insar_dask.forecast.timetable import Plan
from insar_dask.forecast.windows import Context
from insar_dask.machine import one_blas_thread
from insar_kernels.conditioning import invert, posterior
from insar_kernels.group_kriging import group_forecast

__all__ = ["Kriging"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

REACH = 300.0
"""Longest step [m] from one point of a group to the next."""

SAMPLE_SEATS = 16
"""Points of a sampled group. Larger groups would be fewer: a block's sample has to stay below 1 MB."""

SAMPLE_BYTES = 900_000

MOST_FILLED = 0.2
"""Share of missing dates up to which a point's gaps are filled; beyond, it is forecast by itself."""

RECENT = 2.0
"""Years before the cut-off whose short noise is a thing of its own, where the history is a year longer at least."""

LEAST_NOISE = 0.03
"""Millimetres; what rounding to a tenth leaves."""

AT_ONCE = 256
"""Groups worked on at a time."""


class Kriging:
    """Gaussian process of groups of neighbours along the Hilbert curve, with parameters shared by all points.

    Parameters
    ----------
    seats : int, default 32
        Points of a group. 64 lower the RMSE by 0.004 to 0.014 mm on a real burst and two scenes for 1.5 times the
        time, 128 by 0.008 to 0.026 for 2.8 times.
    sample : int, default 48
        Groups of 16 points that the parameters are fitted to.

    Attributes
    ----------
    shared_, own_ : (11,), (15,) arrays
        Fitted parameters in time: `insar_dask.forecast.joint_covariance.SHARED` and ``OWN``.
    space_ : (3,) array
        Fitted parameters in space: `insar_dask.forecast.neighbourhood.GUESS`.
    split_ : float
        Year since the cube's first date before which the short noise is another one; its first year of all where the
        history is too short for two kinds. For a cube with another first date see `moved`.
    reference_ : float
        Usual noise of a point [mm].

    Notes
    -----
    Covariance of a group: s e^(-d/reach) ⊗ K_shared + N ⊗ K_own, N = D R D, R = 1 on the diagonal and
    share e^(-d/range) off it, D the points' noise as their histories show it. The size s of each group's shared motion
    is weighed by the likelihood of its history. Both K are sums of the terms of `PooledGaussianProcess`; see
    `insar_dask.forecast.joint_covariance`.
    Groups end with the block that their points came in, so other blocks, or a part of the points, make other groups: of
    4,096 points of sinking bowls in blocks of 512 instead of 2,048 half had other neighbours, and forecasts moved by
    0.6 mm RMS; their error is 3.9 mm, and moved by 0.4 %. The same shards give the same numbers anywhere.
    A point that lacks up to a fifth of the dates has them filled with what its own history says of them, which makes
    it look a little surer than it is; one that lacks more is forecast by itself.
    Source: Stegle et al. (2011), Efficient inference in matrix-variate Gaussian models with iid observation noise,
    NIPS 24; Rasmussen and Williams (2006), Gaussian Processes for Machine Learning, chapters 2.2 and 5.4.
    """

    name = "kriging"

    def __init__(self, seats: int = 32, sample: int = 48) -> None:
        self.seats = seats
        self.sample = sample

    def partial(self, context: Context) -> dict[str, npt.NDArray[Any]]:
        """Sample a block's groups: those with the smallest hashes, groups that are half empty last."""
        usable = np.flatnonzero(_mostly_there(context.values))
        groups = cut_groups(context.located[usable], SAMPLE_SEATS, REACH)
        hashes = np.where(groups.present, groups.gather(series_hashes(context.values[usable])), np.uint64(0))
        half_empty = groups.present.sum(axis=1) <= SAMPLE_SEATS // 2
        key = (hashes.sum(axis=1, dtype=np.uint64) >> np.uint64(1)) | (half_empty.astype(np.uint64) << np.uint64(63))
        chosen = np.argsort(key, kind="stable")[: self._room(context.values.shape[1])]
        members = usable[np.where(groups.present, groups.members, groups.members[:, :1])[chosen]]
        return {
            "key": key[chosen],
            "values": context.values[members],
            "places": context.located[members],
            "present": groups.present[chosen],
        }

    def merge(
        self, one: Mapping[str, npt.NDArray[Any]], other: Mapping[str, npt.NDArray[Any]]
    ) -> dict[str, npt.NDArray[Any]]:
        """Sample of two blocks together, no larger than either may be."""
        return merged(one, other, "key", self._room(one["values"].shape[2]))

    def fit(self, partials: Sequence[Mapping[str, npt.NDArray[Any]]], axes: Context) -> Self:
        """Maximise the marginal likelihood of the sampled groups.

        Parameters
        ----------
        partials : sequence of dict
            What `partial` returned for each block of points.
        axes : Context
            Gives the dates; its values are not read.

        Raises
        ------
        TooShortError
            When no point has four fifths of the dates, or more than the covariance has parameters.
        """
        wanted = f"{1 - MOST_FILLED:.0%} of the {len(axes.years)} dates, and more than {len(PARAMETERS)},"
        sample = pooled(partials, self.merge, self.name, wanted)
        years, present = axes.years, sample["present"]
        values = sample["values"].reshape(-1, len(years))
        series = np.array([_on_the_line(row, years) for row in values])
        rough = roughness(values, years).reshape(present.shape)
        self.reference_ = max(float(np.nanmedian(rough[present])), LEAST_NOISE) if np.isfinite(rough).any() else 1.0
        self.split_ = float(years[-1] - RECENT if years[-1] - years[0] >= RECENT + 1 else years[0])
        seats = Seats(sample["places"], self._noise(rough), present)
        series = np.where(present[:, :, None], series.reshape(*present.shape, -1), 0.0)
        n_shared, n_time = temporal.N_SHARED, len(temporal.GUESS)
        self.shared_, self.own_, self.space_ = np.split(maximise(series, seats, years, self.split_), [n_shared, n_time])
        return self

    def predict(self, context: Context) -> tuple[Float32, Float32]:
        """Mean and standard deviation (n, h) [mm] of the displacement observed at the target dates.

        A point without any date before the origin gets NaN.
        """
        mean, std = np.full((2, len(context.values), len(context.target_years)), np.nan, np.float32)
        seen = np.isfinite(context.values).any(axis=0)
        if not seen.any():
            return mean, std
        values, years = context.values[:, seen], context.years[seen]
        together = _mostly_there(values)
        alone = ~together & np.isfinite(values).any(axis=1)
        with one_blas_thread():  # the bits of a product of matrices may depend on the number of threads
            if alone.any():
                mean[alone], std[alone] = self._by_themselves(values[alone], years, context.target_years)
            if together.any():
                mean[together], std[together] = self._in_groups(
                    values[together], context.located[together], years, context.target_years
                )
        return mean, std

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what was learned, as small arrays."""
        scalars = np.array([self.split_, self.reference_, self.seats])
        return {"shared": self.shared_, "own": self.own_, "space": self.space_, "scalars": scalars}

    @classmethod
    def from_state(cls, state: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Rebuild a fitted forecaster from `state`."""
        model = cls(seats=int(state["scalars"][2]))
        model.shared_, model.own_, model.space_ = (
            np.asarray(state[name], np.float64) for name in ("shared", "own", "space")
        )
        model.split_, model.reference_ = float(state["scalars"][0]), float(state["scalars"][1])
        return model

    @staticmethod
    def moved(scalars: Float64, learned: Plan, plan: Plan) -> Float64:
        """The ``scalars`` of a state learned under one plan, where years count from the first date of another.

        The short noise changes on the same day; where the history was too short for two kinds of it, there is one.
        """
        split, *rest = scalars
        day = learned.days[0] + round(split * DAYS_PER_YEAR)
        moved = (day - plan.days[0]) / DAYS_PER_YEAR if day > learned.real_days[0] else 0.0
        return np.array([moved, *rest])

    def _room(self, n_dates: int) -> int:
        return min(self.sample, SAMPLE_BYTES // (SAMPLE_SEATS * (4 * max(n_dates, 1) + 17)))

    def _noise(self, rough: Float64) -> Float64:
        """Noise of points in units of the usual one; the usual one where it cannot be told."""
        return np.clip(np.nan_to_num(rough / self.reference_, nan=1.0), SMOOTHEST, ROUGHEST)

    def _in_groups(self, values: Float32, places: Float64, years: Float64, targets: Float64) -> tuple[Float32, Float32]:
        noise = self._noise(roughness(values, years))
        filled = self._filled(values, years)
        groups = cut_groups(places, self.seats, REACH)
        time = times(*temporal.observed(self.shared_, self.own_, self.split_, years))
        crosses = [cross @ time.basis for cross in self._covariances(targets, years)]
        variances = [np.diag(of) for of in self._covariances(targets, targets)]
        white = self.shared_[PARAMETERS.index("white")] ** 2, self.own_[PARAMETERS.index("white")] ** 2
        ahead = np.stack(crosses), np.stack(variances) + np.array(white)[:, None]
        mean, variance = np.empty((2, len(values), len(targets)))
        for start in range(0, len(groups.members), AT_ONCE):
            some = Groups(groups.members[start : start + AT_ONCE], groups.n_points)
            space = modes(Seats(some.gather(places), some.gather(noise), some.present), self.space_)
            series = np.where(some.present[:, :, None], some.gather(filled), np.float32(0))
            found = group_forecast(
                series, (space.strength, space.into, space.back), (time.basis, time.strength), ahead, SIZES
            )
            members = some.members[some.present]
            mean[members], variance[members] = (array[some.present] for array in found)
        return mean.astype(np.float32), np.sqrt(variance).astype(np.float32)

    def _by_themselves(self, values: Float32, years: Float64, targets: Float64) -> tuple[Float32, Float32]:
        mean, variance = self._single(values, years, targets)
        white = self.shared_[PARAMETERS.index("white")] ** 2 + self.own_[PARAMETERS.index("white")] ** 2
        return mean.astype(np.float32), np.sqrt(variance + white).astype(np.float32)

    def _filled(self, values: Float32, years: Float64) -> Float32:
        """Missing values replaced by what the point's own history says of them."""
        gappy = np.flatnonzero(np.isnan(values).any(axis=1))
        if gappy.size == 0:
            return values
        filled = values.copy()
        inner, _ = self._single(values[gappy], years, years)
        filled[gappy] = np.where(np.isnan(values[gappy]), inner, values[gappy])
        return filled

    def _single(self, values: Float32, years: Float64, asked: Float64) -> tuple[Float64, Float64]:
        """Posterior mean and variance of the motion of points that have no neighbours."""
        observed = np.sum(temporal.observed(self.shared_, self.own_, self.split_, years), axis=0)
        cross = np.sum(self._covariances(asked, years), axis=0)
        variance = np.diag(np.sum(self._covariances(asked, asked), axis=0))
        precision, _ = invert(observed)
        weights = cross @ precision
        mean, spread, _ = posterior(values, precision, weights, variance - (weights * cross).sum(axis=1))
        return mean, spread

    def _covariances(self, years: Float64, others: Float64) -> tuple[Float64, Float64]:
        shared = temporal.shared(self.shared_, years, others)
        return shared, temporal.own(self.own_, self.split_, years, others)


def _mostly_there(values: Float32) -> npt.NDArray[np.bool_]:
    """Points whose few gaps may be filled."""
    count = np.isfinite(values).sum(axis=1)
    return np.asarray((count >= (1 - MOST_FILLED) * values.shape[1]) & (count > len(PARAMETERS)))


def _on_the_line(series: Float32, years: Float64) -> Float64:
    """Gaps of one sampled series filled on the line between the dates before and after."""
    seen = np.isfinite(series)
    return np.interp(years, years[seen], series[seen])
