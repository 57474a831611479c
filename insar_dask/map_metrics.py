"""Scores of forecast maps by lead, from one pass over the pairs; parts scored apart merge in any order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.metrics import ErrorSums
from insar_kernels.scoring import ERROR_SUMS
from insar_kernels.similarity import map_correlation, map_similarity

__all__ = ["MapScores"]

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MapScores:
    """Sums over pairs of maps, and the scores that follow from them, each of shape (leads,).

    Errors are summed over the cells that count; similarity and correlation are means over the maps that have one.

    Parameters
    ----------
    data_range : float
        Distance between the least and the largest possible value [mm], which the similarity is relative to.
    errors : tuple of ErrorSums
        One a lead.
    alike : array of float64, shape (leads, 4)
        Sum of the similarities and how many they are, then the same of the correlations.
    """

    data_range: float
    errors: tuple[ErrorSums, ...]
    alike: Float64

    @classmethod
    def none(cls, n_leads: int, data_range: float) -> MapScores:
        """Nothing scored yet."""
        return cls(data_range, (ErrorSums(),) * n_leads, np.zeros((n_leads, 4)))

    @classmethod
    def of(cls, predicted: Any, observed: Any, mask: Any, data_range: float) -> MapScores:
        """Score some maps.

        Parameters
        ----------
        predicted, observed : arrays of float32, shape (..., leads, Y, X)
            Maps [mm]; a cell that is NaN on either side does not count.
        mask : array of bool, the same shape
            Cells that count.
        data_range : float
            As above; one for all parts that will be merged.
        """
        shapes = [np.shape(array) for array in (predicted, observed, mask)]
        if len(set(shapes)) > 1 or len(shapes[0]) < 3:
            raise ValueError(f"predicted, observed and mask have shapes {shapes}: wanted one, (..., leads, Y, X)")
        if not data_range > 0:
            raise ValueError(f"data_range is {data_range}, wanted more than 0")
        predicted, observed, mask = (np.asarray(array) for array in (predicted, observed, mask))
        kept = np.where(mask, observed, np.float32(np.nan))
        errors = tuple(
            ErrorSums.of(np.where(mask[..., lead, :, :], predicted[..., lead, :, :], np.nan), kept[..., lead, :, :])
            for lead in range(shapes[0][-3])
        )
        similar, correlated = map_similarity(predicted, observed, data_range, mask), map_correlation(predicted, kept)
        return cls(float(data_range), errors, np.concatenate([_totals(similar), _totals(correlated)], axis=1))

    @classmethod
    def of_sums(cls, data_range: float, errors: npt.ArrayLike, alike: npt.ArrayLike) -> MapScores:
        """Scores of sums that were kept as arrays: (leads, sums) of errors, and ``alike``."""
        rows = np.asarray(errors, np.float64)
        return cls(float(data_range), tuple(ErrorSums(row) for row in rows), np.asarray(alike, np.float64))

    def merge(self, other: MapScores) -> MapScores:
        """Join two disjoint sets of pairs."""
        if (self.data_range, len(self.errors)) != (other.data_range, len(other.errors)):
            raise ValueError(
                f"cannot join scores of {len(self.errors)} leads and data_range {self.data_range} with those of "
                f"{len(other.errors)} leads and {other.data_range}"
            )
        errors = tuple(one.merge(two) for one, two in zip(self.errors, other.errors, strict=True))
        return MapScores(self.data_range, errors, self.alike + other.alike)

    __add__ = merge

    @property
    def n(self) -> npt.NDArray[np.int64]:
        """Number of cells scored."""
        return np.array([sums.n for sums in self.errors])

    @property
    def rmse(self) -> Float64:
        """Root mean square error [mm] over the cells of all maps."""
        return np.array([sums.rmse for sums in self.errors])

    @property
    def overall(self) -> float:
        """Root mean square error [mm] of all leads together."""
        n = self.n
        return float(np.sqrt(np.nansum(self.rmse**2 * n) / n.sum())) if n.sum() else float("nan")

    @property
    def mae(self) -> Float64:
        """Mean absolute error [mm]."""
        return np.array([sums.mae for sums in self.errors])

    @property
    def bias(self) -> Float64:
        """Mean of predicted less mean of observed values [mm]."""
        return np.array([sums.bias for sums in self.errors])

    @property
    def r2(self) -> Float64:
        """Coefficient of determination over the cells of all maps."""
        return np.array([sums.r2 for sums in self.errors])

    @property
    def ssim(self) -> Float64:
        """Mean structural similarity of the maps."""
        return _means(self.alike[:, 0], self.alike[:, 1])

    @property
    def correlation(self) -> Float64:
        """Mean over the maps of the correlation of their cells."""
        return _means(self.alike[:, 2], self.alike[:, 3])

    def to_json(self) -> dict[str, Any]:
        """Plain values from which `from_json` makes the same scores."""
        return {
            "data_range": self.data_range,
            "errors": {
                name: [sums[name] for sums in self.errors] for name in ERROR_SUMS
            },
            "alike": self.alike.tolist(),
        }  # fmt: skip

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> MapScores:
        """Scores that `to_json` made plain."""
        sums = np.array([plain["errors"][name] for name in ERROR_SUMS], np.float64).T
        return cls.of_sums(plain["data_range"], sums, plain["alike"])


def _totals(scores: Float64) -> Float64:
    """Sum and number (leads, 2) of the scores (..., leads) that are not NaN."""
    flat = scores.reshape(-1, scores.shape[-1])
    return np.stack([np.nansum(flat, axis=0), np.count_nonzero(~np.isnan(flat), axis=0)], axis=1)


def _means(totals: Float64, counts: Float64) -> Float64:
    return np.where(counts > 0, totals / np.maximum(counts, 1), np.nan)
