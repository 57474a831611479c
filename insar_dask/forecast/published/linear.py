"""Linear maps from a window to the dates after it, one for all points, solved exactly: what any network has to beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

import insar_kernels
from insar_kernels.gaps import forward_fill

__all__ = ["KINDS", "WindowLinear"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

KINDS = ("nlinear", "dlinear", "ridge")

AVERAGE = 25
"""Dates of DLinear's moving average, as its authors have it."""

PENALTY = 1e-4
"""Of the mean diagonal of the normal equations: windows of smoothed series are nearly collinear."""


class WindowLinear:
    """Least-squares map from the last ``context`` values to the next ``horizon``, the same for all points.

    ``"nlinear"`` takes the last value off the window and adds it to the forecast; ``"dlinear"`` splits the window into
    a moving average and what it leaves, with weights for each; ``"ridge"`` takes it as it is. A missing value is
    replaced by the one before it, at the start of the window by the first valid one. Zeng, Chen, Zhang and Xu (2023),
    doi:10.1609/aaai.v37i9.26317, descend to these by gradients; the optimum is known.

    Parameters
    ----------
    kind : {"nlinear", "dlinear", "ridge"}
    context, horizon : int
        Dates read and forecast.
    window, order : int, optional
        Savitzky-Golay over the window alone before it is read, which sees nothing of what follows; 0 for none.
    """

    def __init__(self, kind: str, context: int = 24, horizon: int = 6, window: int = 0, order: int = 2) -> None:
        if kind not in KINDS:
            raise ValueError(f"no linear map is called {kind!r}; there are {', '.join(KINDS)}")
        self.kind = kind
        self.context = context
        self.horizon = horizon
        self.window = window
        self.order = order

    def fit(self, series: Float32, origins: Sequence[int]) -> WindowLinear:
        """Solve the normal equations over all points (n, T) and origins; those too early for the context are left out.

        Raises
        ------
        ValueError
            When no origin has the context before it.
        """
        usable = [origin for origin in origins if origin >= self.context]
        if not usable:
            raise ValueError(f"no origin has {self.context} dates before it: take a shorter context or later origins")
        size = len(self._features(series[:1, : self.context])[0][0])
        gram, moment = np.zeros((self.horizon, size, size)), np.zeros((self.horizon, size))
        for origin in usable:
            features, anchor = self._features(series[:, origin - self.context : origin])
            targets = series[:, origin : origin + self.horizon] - anchor
            for lead in range(self.horizon):  # a date that was not observed costs its own lead alone
                good = np.isfinite(features).all(axis=1) & np.isfinite(targets[:, lead])
                x = features[good]
                gram[lead] += x.T @ x
                moment[lead] += targets[good, lead] @ x
        penalty = PENALTY * np.trace(gram, axis1=1, axis2=2)[:, None, None] / size
        self.weights_: Float64 = np.linalg.solve(gram + penalty * np.eye(size), moment[..., None])[..., 0].T
        return self

    def predict(self, series: Float32, origin: int) -> Float32:
        """Forecast (n, h) from what lies before the origin; NaN where the window has no value, or there is none."""
        if origin < self.context:
            return np.full((len(series), self.horizon), np.nan, np.float32)
        features, anchor = self._features(series[:, origin - self.context : origin])
        return (features @ self.weights_ + anchor).astype(np.float32)

    def _features(self, window: Float32) -> tuple[Float64, Float64]:
        """Inputs (n, p) with a constant, and what is added to the forecast (n, 1)."""
        filled = _filled(window)
        if self.window:
            filled = insar_kernels.savgol(filled, self.window, self.order)
        values = filled.astype(np.float64)
        one = np.ones((len(values), 1))
        last = values[:, -1:]
        if self.kind == "nlinear":
            return np.hstack([values[:, :-1] - last, one]), last
        if self.kind == "dlinear":
            smooth = _averaged(values)
            return np.hstack([smooth, values - smooth, one]), np.zeros_like(last)
        return np.hstack([values, one]), np.zeros_like(last)


def _filled(window: Float32) -> Float32:
    """Each missing value is the one before it; at the start the first valid one."""
    ahead = forward_fill(np.ascontiguousarray(window))
    return np.asarray(forward_fill(np.ascontiguousarray(ahead[:, ::-1]))[:, ::-1], np.float32)


def _averaged(values: Float64) -> Float64:
    """Centred moving average of each window, its ends repeated; nothing outside the window is seen."""
    half = AVERAGE // 2
    padded = np.pad(values, ((0, 0), (half, half)), mode="edge")
    sums = np.cumsum(np.pad(padded, ((0, 0), (1, 0))), axis=1)
    return np.asarray((sums[:, AVERAGE:] - sums[:, :-AVERAGE]) / AVERAGE)
