"""Forecasters that any other has to beat: last value, drift, last year, and a harmonic fit with two kinds of memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from insar_dask.forecast.windows import Context
from insar_kernels.gaps import first_and_last, forward_fill
from insar_kernels.history import ResidualSummary, combine, least_squares, residual_summary

__all__ = [
    "Drift",
    "Harmonic",
    "HarmonicAR1",
    "Persistence",
    "SeasonalNaive",
    "harmonic_design",
    "harmonic_fit",
    "harmonic_needs",
]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Partials = Sequence[Mapping[str, npt.NDArray[Any]]]


class Unpooled:
    """A forecaster that learns nothing from other points."""

    def partial(self, context: Context) -> dict[str, npt.NDArray[Any]]:
        """Nothing is pooled."""
        return {}

    def merge(
        self, one: Mapping[str, npt.NDArray[Any]], other: Mapping[str, npt.NDArray[Any]]
    ) -> dict[str, npt.NDArray[Any]]:
        """Nothing is pooled."""
        return {}

    def fit(self, partials: Partials, axes: Context) -> Self:
        """Nothing is learned."""
        return self

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Nothing was learned."""
        return {}

    @classmethod
    def from_state(cls, state: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Return a new one."""
        return cls()


class Persistence(Unpooled):
    """The last valid value before the origin, at every lead."""

    name = "persistence"

    def predict(self, context: Context) -> tuple[Float32, None]:
        """Mean (n, h) [mm]; NaN where a point has no valid date."""
        last, _ = _ends(context)[1]
        return np.repeat(last[:, None], len(context.target_years), axis=1), None


class Drift(Unpooled):
    """The line through the first and the last valid value, continued."""

    name = "drift"

    def predict(self, context: Context) -> tuple[Float32, None]:
        """Mean (n, h) [mm]; NaN where a point has fewer than two valid dates."""
        (first, begin), (last, end) = _ends(context)
        span = np.where(end > begin, end - begin, np.nan)
        slope = (last.astype(np.float64) - first) / span
        mean = last[:, None] + slope[:, None] * (context.target_years - end[:, None])
        return mean.astype(np.float32), None


class SeasonalNaive(Unpooled):
    """The value of a year ago, shifted by the mean change over the last year.

    The last valid value before a missing one stands in for it; the year is rounded to whole grid steps.
    """

    name = "seasonal_naive"

    def predict(self, context: Context) -> tuple[Float32, None]:
        """Mean (n, h) [mm]; NaN where a point has no valid date more than a year before the target."""
        lag = round(1.0 / context.step)
        n_dates = context.grid_values.shape[1]
        change = forward_fill(context.grid_values[:, max(n_dates - 2 * lag, 0) :])
        recent, before = change[:, -lag:], change[:, : max(change.shape[1] - lag, 0)][:, -lag:]
        with np.errstate(invalid="ignore"):
            shift = _row_mean(recent[:, recent.shape[1] - before.shape[1] :] - before)
        leads = np.arange(len(context.target_years))
        years_back = 1 + leads // lag
        source = np.clip(n_dates + leads - lag * years_back, 0, n_dates - 1) - max(n_dates - 2 * lag, 0)
        return change[:, source] + shift[:, None] * years_back.astype(np.float32), None


class Harmonic(Unpooled):
    """Trend, annual and optionally semi-annual signal of each point, fitted on its own history by least squares.

    y = a + b t + sum_k c_k cos 2 pi k t + s_k sin 2 pi k t.
    """

    name = "harmonic"
    n_harmonics = 1

    def predict(self, context: Context) -> tuple[Float32, None]:
        """Mean (n, h) [mm]; NaN where a point has fewer dates than `harmonic_needs`."""
        coefficients, _ = harmonic_fit(context, self.n_harmonics)
        return combine(coefficients, harmonic_design(context.target_years, self.n_harmonics)), None


class SemiannualHarmonic(Harmonic):
    """`Harmonic` with a semi-annual signal as well."""

    name = "harmonic_semiannual"
    n_harmonics = 2


class HarmonicAR1(Unpooled):
    """`Harmonic`, plus its last residual, fading by the point's own autocorrelation at each step."""

    name = "harmonic_ar1"

    def predict(self, context: Context) -> tuple[Float32, None]:
        """Mean (n, h) [mm]."""
        coefficients, summary = harmonic_fit(context)
        fitted = combine(coefficients, harmonic_design(context.target_years))
        steps = 1.0 + np.arange(len(context.target_years)) + summary.age[:, None]
        fading = np.power(summary.autocorrelation[:, None].astype(np.float64), steps)
        return (fitted + summary.last[:, None] * fading).astype(np.float32), None


def harmonic_design(years: Float64, n_harmonics: int = 1) -> Float64:
    """Columns 1, t, and cos, sin of each harmonic of the year at the dates, (T, 2 + 2 n_harmonics)."""
    angles = [2 * np.pi * k * years for k in range(1, n_harmonics + 1)]
    waves = [wave(angle) for angle in angles for wave in (np.cos, np.sin)]
    return np.stack([np.ones_like(years), years, *waves], axis=1)


def harmonic_needs(step: float, n_harmonics: int = 1) -> tuple[int, int]:
    """Valid dates, and dates of the grid from the first to the last of them, that a harmonic fit takes.

    Twice as many dates as terms, over a year: 10 dates within four months multiply the noise by 15 at 72 days, 5 dates
    within five years by 40, and ten such points would rule the weights that all points share.
    """
    return 2 * (2 + 2 * n_harmonics), round(1.0 / step)


def harmonic_fit(context: Context, n_harmonics: int = 1) -> tuple[Float64, ResidualSummary]:
    """Coefficients (n, p) of the harmonic fit on the grid's history, and its residuals' summary; once per context."""
    key = ("harmonic", n_harmonics)
    if key not in context.memo:
        design = harmonic_design(context.grid_years, n_harmonics)
        values = np.ascontiguousarray(context.grid_values)
        coefficients = least_squares(values, design, *harmonic_needs(context.step, n_harmonics))
        context.memo[key] = coefficients, residual_summary(values, design, coefficients)
    fit: tuple[Float64, ResidualSummary] = context.memo[key]
    return fit


def _ends(context: Context) -> tuple[tuple[Float32, Float64], tuple[Float32, Float64]]:
    """First and last valid value of each point with their dates; NaN where there is none."""
    if "ends" not in context.memo:
        rows = np.arange(len(context.values))
        sides = first_and_last(context.values)
        pair = [(context.values[rows, at], np.where(at < 0, np.nan, context.years[at])) for at in sides]
        context.memo["ends"] = tuple(pair)
    ends: tuple[tuple[Float32, Float64], tuple[Float32, Float64]] = context.memo["ends"]
    return ends


def _row_mean(values: Float32) -> Float32:
    """Mean of each row's valid values; NaN where there is none."""
    valid = np.isfinite(values)
    count = valid.sum(axis=1)
    total = np.where(valid, values, 0).sum(axis=1, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
