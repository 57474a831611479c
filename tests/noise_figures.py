"""Statistics of what series leave beside a cubic and an annual signal: written apart from the code that draws noise."""

import numpy as np
from scipy.spatial import cKDTree


def residuals(displacement, times):
    """Residual series (N, T) of the model behind EGMS's rmse, in mm."""
    t = (times - times[0]) / np.timedelta64(1, "D") / 365
    design = np.stack([t**3, t**2, t, np.ones_like(t), np.cos(2 * np.pi * t), np.sin(2 * np.pi * t)], axis=1)
    y = displacement.T.astype(np.float64)
    return (y - design @ np.linalg.lstsq(design, y, rcond=None)[0]).T


def standardised(series):
    return series / np.sqrt((series**2).mean(axis=1, keepdims=True))


def autocorrelation(z, lags):
    return np.array([(z[:, :-lag] * z[:, lag:]).mean() for lag in lags])


def excess_kurtosis(z):
    """Median over points: a few wild series would rule a mean."""
    return float(np.median((z**4).mean(axis=1) - 3))


def correlation_by_distance(z, easting, northing, rings):
    """Mean correlation of the residuals of pairs in each ring (from, to) of metres."""
    tree = cKDTree(np.stack([easting, northing], axis=1))
    pairs = tree.query_pairs(max(to for _, to in rings), output_type="ndarray")
    apart = np.hypot(np.subtract(*easting[pairs].T), np.subtract(*northing[pairs].T))
    found = []
    for near, far in rings:
        some = pairs[(apart >= near) & (apart < far)]
        one, other = some[:: 1 + len(some) // 30_000].T
        found.append(float((z[one] * z[other]).mean()))
    return np.array(found)


def semivariance_by_distance(values, easting, northing, rings):
    """Semivariance of pairs in each ring over the variance of all."""
    tree = cKDTree(np.stack([easting, northing], axis=1))
    pairs = tree.query_pairs(max(to for _, to in rings), output_type="ndarray")
    apart = np.hypot(np.subtract(*easting[pairs].T), np.subtract(*northing[pairs].T))
    half = 0.5 * np.subtract(*values[pairs].T) ** 2
    return np.array([half[(apart >= near) & (apart < far)].mean() for near, far in rings]) / values.var()
