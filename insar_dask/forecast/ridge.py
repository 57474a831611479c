"""Harmonic fit corrected by what its recent residuals say: one set of ridge weights for all points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from insar_dask.forecast.naive import Unpooled, harmonic_design, harmonic_fit, harmonic_needs
from insar_dask.forecast.timetable import TooShortError
from insar_dask.forecast.windows import Context
from insar_kernels.history import combine, residuals
from insar_kernels.rolling import cross_products, rolling_residuals

__all__ = ["HarmonicRidge"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

BLOCK = 512
"""Points whose training windows are held at a time: 8 MB at 30 windows of 40 dates."""


class HarmonicRidge(Unpooled):
    """`Harmonic`, plus a linear function of its last residuals, learned from its own errors at earlier origins.

    At each training origin the harmonic is fitted on what lies before it; its residuals there are the inputs x and its
    errors after it the outputs y. The weights (X'X + penalty * n * variance * I)^-1 X'Y, with the variance of the
    residuals and n windows, are shared by all points. A missing residual counts as 0. Training on the residuals of one
    fit through everything instead costs 5 % on a real L3 tile (2.18 against 2.07 mm): those know nothing of how an
    extrapolated trend goes astray.

    Parameters
    ----------
    context : int
        Number of residuals read.
    train_start : int
        First training origin, in steps of the grid.
    train_stride : int
        Steps between training origins.
    penalty : float
        Strength of the ridge.

    Attributes
    ----------
    weights_ : (context, h) array

    Notes
    -----
    Hoerl and Kennard (1970), doi:10.1080/00401706.1970.10488634.
    """

    name = "harmonic_ridge"

    def __init__(self, context: int = 24, train_start: int = 61, train_stride: int = 3, penalty: float = 0.05) -> None:
        self.context = context
        self.train_start = train_start
        self.train_stride = train_stride
        self.penalty = penalty

    def partial(self, context: Context) -> dict[str, npt.NDArray[Any]]:
        """Normal equations of a block: ``gram`` (c, c), ``moment`` (c, h); both additive over blocks."""
        width = self.context + len(context.target_years)
        design, steps = harmonic_design(context.grid_years), self.training_steps(context)[::-1]
        around = self.context, width - self.context, *harmonic_needs(context.step)
        gram = np.zeros((self.context, width))
        for start in range(0, len(context.grid_values), BLOCK):
            values = context.grid_values[start : start + BLOCK]
            gram += cross_products(rolling_residuals(values, design, steps, *around), self.context)
        return {"gram": gram[:, : self.context], "moment": gram[:, self.context :]}

    def merge(
        self, one: Mapping[str, npt.NDArray[Any]], other: Mapping[str, npt.NDArray[Any]]
    ) -> dict[str, npt.NDArray[Any]]:
        """Normal equations of two blocks together."""
        return {name: one[name] + other[name] for name in ("gram", "moment")}

    def training_steps(self, context: Context) -> range:
        """Training origins: all their outputs lie before the context's origin."""
        last = len(context.grid_years) - len(context.target_years)
        return range(last, self.train_start - 1, -self.train_stride)

    def fit(self, partials: Sequence[Mapping[str, npt.NDArray[Any]]], axes: Context) -> Self:
        """Solve the normal equations summed in the order of the blocks.

        Raises
        ------
        TooShortError
            When the history is too short for a single training origin.
        """
        if not self.training_steps(axes):
            raise TooShortError(
                f"the history of {len(axes.grid_years)} steps has no training origin for the ridge: it needs "
                f"{self.train_start + len(axes.target_years)}; start the origins later or leave out {self.name!r}"
            )
        total = reduce(self.merge, partials)
        gram, moment = total["gram"], total["moment"]
        ridge = self.penalty * np.trace(gram) / self.context
        quiet = 1.0 if ridge == 0 else 0.0  # no residual anywhere: the weights are 0
        self.weights_: Float64 = np.linalg.solve(gram + (ridge + quiet) * np.eye(self.context), moment)
        return self

    def predict(self, context: Context) -> tuple[Float32, None]:
        """Mean (n, h) [mm]; NaN where the harmonic has none."""
        coefficients, _ = harmonic_fit(context)
        fitted = combine(coefficients, harmonic_design(context.target_years))
        recent = context.grid_years[-self.context :]
        tail = residuals(context.grid_values[:, -self.context :], harmonic_design(recent), coefficients)
        return fitted + combine(np.nan_to_num(tail, copy=False), self.weights_[-len(recent) :].T), None

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Weights, as small arrays."""
        return {"weights": self.weights_}

    @classmethod
    def from_state(cls, state: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Rebuild a fitted forecaster from `state`."""
        model = cls(context=len(state["weights"]))
        model.weights_ = np.asarray(state["weights"], np.float64)
        return model
