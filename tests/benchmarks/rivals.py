"""What a user would write with the usual libraries: the rivals of the kernels, and their oracles.

Each imports what it needs when it is called, so that a process of its own pays for nothing else.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def interp_loop(y: Any, days: Any, new_days: Any) -> Any:
    regular = np.empty((len(y), len(new_days)), np.float32)
    for i, one in enumerate(y):
        valid = ~np.isnan(one)
        regular[i] = np.interp(new_days, days[valid], one[valid], left=np.nan, right=np.nan)
    return regular


def xarray_interp(y: Any, days: Any, new_days: Any) -> Any:
    """Its own way to fill and to interpolate; what lies before the first value or after the last stays missing."""
    import xarray as xr

    array = xr.DataArray(y, dims=("point", "time"), coords={"time": days})
    return array.interpolate_na("time").interp(time=new_days).values


def batched_lstsq(y: Any, years: Any) -> dict[str, Any]:
    """Table 14 as one writes it with SciPy: a batched float64 least squares and its residuals for each model."""
    import scipy.linalg

    columns = [np.ones_like(years), np.cos(2 * np.pi * years), np.sin(2 * np.pi * years), years, years**2 / 2, years**3]
    observed, n = y.T.astype(np.float64), len(years)
    fits = []
    for terms in (4, 5, 6):
        design = np.stack(columns[:terms], axis=1)
        beta, squares, _, _ = scipy.linalg.lstsq(design, observed, check_finite=False)
        fits.append((beta, squares, np.diag(np.linalg.inv(design.T @ design))))
    (linear, first, q1), (square, second, q2), (cubic, third, q3) = fits
    rmse = np.sqrt(third / n)
    return {
        "velocity": linear[3],
        "velocity_std": np.sqrt(q1[3] * first / (n - 1)),
        "acceleration": square[4],
        "acceleration_std": np.sqrt(q2[4] * second / (n - 1)),
        "seasonality": np.hypot(cubic[1], cubic[2]),
        "seasonality_std": np.sqrt((4 - np.pi) / 2 * (q3[1] + q3[2]) / 2) * rmse,
        "rmse": rmse,
    }


def lstsq_one_by_one(y: Any, years: Any) -> dict[str, Any]:
    """Each series alone, without the dates that it lacks."""
    alone = [batched_lstsq(one[None, ~np.isnan(one)], years[~np.isnan(one)]) for one in y]
    return {name: np.concatenate([one[name] for one in alone]) for name in alone[0]}


def polynomial_windows(y: Any, window: int, order: int) -> Any:
    """Savitzky-Golay by its definition: NumPy's polynomial through the valid samples of each window."""
    smooth = np.full(y.shape, np.nan)
    for i, t in np.argwhere(~np.isnan(y)):
        first = min(max(t - window // 2, 0), y.shape[1] - window)
        at = np.arange(first, first + window)
        at = at[~np.isnan(y[i, at])]
        if len(at) > order:
            smooth[i, t] = np.polynomial.Polynomial.fit(at, y[i, at].astype(np.float64), order)(t)
    return smooth


def four_scores(observed: Any, predicted: Any) -> list[float]:
    import sklearn.metrics as scores

    return [
        scores.root_mean_squared_error(observed, predicted),
        scores.mean_absolute_error(observed, predicted),
        scores.mean_absolute_percentage_error(observed, predicted),
        scores.r2_score(observed, predicted),
    ]


def four_scores_in_numpy(observed: Any, predicted: Any) -> list[float]:
    o, p = observed.astype(np.float64), predicted.astype(np.float64)
    error, nonzero, squares = p - o, o != 0, ((p - o) ** 2).sum()
    return [
        float(np.sqrt(squares / o.size)),
        float(np.abs(error).mean()),
        float(np.abs(error[nonzero] / o[nonzero]).mean()),
        float(1 - squares / ((o - o.mean()) ** 2).sum()),
    ]
