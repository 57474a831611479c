"""Forecast scores from one pass over the pairs; parts scored apart merge in any order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_kernels.scoring import ERROR_SUMS, error_sums, merge_error_sums

__all__ = ["ErrorSums"]


@dataclass(frozen=True, eq=False)
class ErrorSums:
    """Sums over pairs of predicted and observed values, and the scores that follow from them."""

    values: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(ERROR_SUMS)))

    @classmethod
    def of(cls, predicted: Any, observed: Any) -> ErrorSums:
        """Sum over two arrays of one shape [mm]; a pair with NaN on either side is left out and counted."""
        if np.shape(predicted) != np.shape(observed):
            raise ValueError(
                f"predicted has shape {np.shape(predicted)}, observed {np.shape(observed)}: wanted one shape"
            )
        return cls(np.asarray(error_sums(predicted, observed)))

    def merge(self, other: ErrorSums) -> ErrorSums:
        """Join two disjoint sets of pairs."""
        return ErrorSums(merge_error_sums(self.values, other.values))

    __add__ = merge

    def __getitem__(self, name: str) -> float:
        return float(self.values[ERROR_SUMS.index(name)])

    @property
    def n(self) -> int:
        """Number of valid pairs."""
        return int(self["n"])

    @property
    def n_missing(self) -> int:
        """Number of pairs with NaN on either side."""
        return int(self["n_missing"])

    @property
    def rmse(self) -> float:
        """Root mean square error [mm]."""
        return float(np.sqrt(_ratio(self["squared"], self["n"])))

    @property
    def bias(self) -> float:
        """Mean of predicted less mean of observed values [mm]."""
        return self["mean_predicted"] - self["mean_observed"] if self.n else float("nan")

    @property
    def mae(self) -> float:
        """Mean absolute error [mm]."""
        return _ratio(self["absolute"], self["n"])

    @property
    def mape(self) -> float:
        """Mean absolute percentage error [%] over the pairs whose observation is not 0."""
        return 100 * _ratio(self["relative"], self["n"] - self["n_zero"])

    @property
    def mape_as_printed(self) -> float:
        """Mean of ((o - p) / o)^2, which eq. 4 of doi:10.3390/rs16111891 prints and calls MAPE; a fraction."""
        return _ratio(self["relative_squared"], self["n"] - self["n_zero"])

    @property
    def smape(self) -> float:
        """Symmetric mean absolute percentage error [%]: 2 |p - o| / (|p| + |o|), 0 where both are 0."""
        return 100 * _ratio(self["symmetric"], self["n"])

    @property
    def r2(self) -> float:
        """Coefficient of determination."""
        return 1 - _ratio(self["squared"], self["spread_observed"])

    @property
    def pearson(self) -> float:
        """Correlation coefficient."""
        return _ratio(self["spread_both"], float(np.sqrt(self["spread_predicted"] * self["spread_observed"])))


def _ratio(above: float, below: float) -> float:
    return above / below if below else float("nan")
