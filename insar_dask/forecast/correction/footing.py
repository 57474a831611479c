"""The linear forecast that a network corrects: at each lead a combination of several, and the unit of its errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from insar_dask.forecast.correction.signals import Signals

__all__ = ["Footing", "fit_footing"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

PENALTY = 0.003
"""Of the weights' distance from an even share, in units of the mean square departure."""


@dataclass(frozen=True, eq=False)
class Footing:
    """Weights and scales that were learned before the first validation origin."""

    weights: Float64
    """(m, h) of the first m forecasters of `Signals`; those of a lead add up to 1."""
    scale: float
    """Root mean square error [mm] of the combination: the unit of the network's values."""

    def forecast(self, signals: Signals) -> Float32:
        """Combination (n, h) [mm]; where a forecaster has nothing to say, the others share its weight."""
        return self.combined(signals.forecasts[:, : len(self.weights)])

    def combined(self, said: Float32) -> Float32:
        """The same of the forecasts (n, m, h) [mm] alone."""
        heard = np.isfinite(said)
        weights = np.where(heard, self.weights, 0.0)
        total = weights.sum(axis=1)
        # only those with weight 0 were heard, or none
        weights = np.where((np.abs(total) < 1e-6)[:, None], heard, weights)
        total = np.where(np.abs(total) < 1e-6, heard.sum(axis=1), total)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = (np.where(heard, said, 0.0) * weights).sum(axis=1) / total
        return np.asarray(mean, np.float32)

    def among(self, n_linear: int) -> Footing:
        """The same among so many forecasters: the others have no weight, and speak where these are silent."""
        weights = np.zeros((n_linear, self.weights.shape[1]))
        weights[: len(self.weights)] = self.weights
        return Footing(weights, self.scale)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what was learned, as small arrays."""
        return {"weights": self.weights, "scale": np.array(self.scale)}

    @classmethod
    def from_state(cls, state: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Rebuild what `state` gave."""
        return cls(np.asarray(state["weights"], np.float64), float(state["scale"]))


def fit_footing(windows: Iterable[tuple[Signals, Float32]], n_linear: int) -> Footing:
    """Weights between 0 and 1 of the linear forecasters, lead by lead, of least squared error.

    Parameters
    ----------
    windows : iterable of (Signals, (n, h) array)
        Signals and raw targets [mm] of training windows; a missing target is NaN.
    n_linear : int
        Forecasters to combine: the first of the signals.
    """
    gram, count = _moments(windows, n_linear)
    n_leads = gram.shape[0]
    weights = np.empty((n_linear, n_leads))
    squares = 0.0
    for lead in range(n_leads):
        weights[:, lead] = _convex(gram[lead] / max(count[lead], 1.0))
        squares += weights[:, lead] @ gram[lead] @ weights[:, lead]
    return Footing(weights, float(np.sqrt(squares / max(count.sum(), 1.0))) or 1.0)


def _moments(windows: Iterable[tuple[Signals, Float32]], n_linear: int) -> tuple[Float64, Float64]:
    """Products (h, m, m) of the forecasters' errors, summed, and how many (h,) they are."""
    gram, count = np.zeros(0), np.zeros(0)
    for signals, targets in windows:
        errors = (signals.forecasts[:, :n_linear] - targets[:, None]).astype(np.float64)
        errors = np.where(np.isfinite(errors).all(axis=1, keepdims=True), errors, 0.0)
        part = np.einsum("nah,nbh->hab", errors, errors)
        number = (errors != 0).any(axis=1).sum(axis=0).astype(np.float64)
        gram, count = (gram + part, count + number) if gram.size else (part, number)
    return gram, count


def _convex(covariance: Float64) -> Float64:
    """Shares of least variance, none negative: those that would be are left out one after the other."""
    m = len(covariance)
    kept: Sequence[int] = list(range(m))
    while True:
        inner = covariance[np.ix_(kept, kept)]
        ridge = PENALTY * max(np.trace(inner) / len(kept), 1e-12) * np.eye(len(kept))
        shares = np.linalg.solve(inner + ridge, np.ones(len(kept)))
        shares /= shares.sum()
        if (shares >= 0).all():
            out = np.zeros(m)
            out[kept] = shares
            return out
        kept = [member for member, share in zip(kept, shares, strict=True) if share > shares.min()]
