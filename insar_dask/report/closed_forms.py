"""A series as a formula: a straight or bent line and a yearly sine, with how much of it they explain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["BEND", "ClosedForm", "best_form", "closed_form"]

Float64 = npt.NDArray[np.float64]

BEND = 0.01
"""What R² must gain for a bent line to be preferred: on smoothed series every significance test asks for one."""


@dataclass(frozen=True, eq=False)
class ClosedForm:
    """d(t) = a + b t [+ c t²] + A sin(2 pi t + phi) [mm], t in years."""

    line: Float64
    """a, b[, c]."""
    amplitude: float
    phase: float
    """phi, radians in (-pi, pi]."""
    r2: float

    def trend(self, years: Float64) -> Float64:
        """The line at some dates [mm]."""
        return np.asarray(np.polynomial.polynomial.polyval(years, self.line), dtype=np.float64)

    def season(self, years: Float64) -> Float64:
        """The sine at some dates [mm]."""
        return np.asarray(self.amplitude * np.sin(2 * np.pi * years + self.phase))

    def equation(self) -> str:
        """The formula as one reads it.

        >>> ClosedForm(np.array([1.0, -2.5]), 3.0, -0.5, 0.9).equation()
        '1.00 − 2.50 t + 3.00 sin(2π t − 0.50)'
        """
        first, *others = self.line
        terms = [f"{_signed(value)} {power}" for value, power in zip(others, ("t", "t²"), strict=False)]
        start = f"{first:.2f}".replace("-", "−")
        return " ".join([start, *terms, f"+ {self.amplitude:.2f} sin(2π t {_signed(self.phase)})"])


def closed_form(years: Float64, values: Float64, degree: int) -> ClosedForm:
    """Least-squares line of ``degree`` 1 or 2 and yearly sine of one series; NaN is left out.

    Its R² is 1 less the sum of squared residuals over that about the mean. All is NaN where fewer dates are valid than
    there are coefficients plus one, or they cannot tell line from sine.
    """
    good = np.isfinite(values)
    turns = 2 * np.pi * years
    design = np.column_stack([np.vander(years, degree + 1, increasing=True), np.sin(turns), np.cos(turns)])
    if good.sum() <= design.shape[1] or np.linalg.matrix_rank(design[good]) < design.shape[1]:
        return ClosedForm(np.full(degree + 1, np.nan), np.nan, np.nan, np.nan)
    found, *_ = np.linalg.lstsq(design[good], values[good], rcond=None)
    left = values[good] - design[good] @ found
    spread = float(((values[good] - values[good].mean()) ** 2).sum())
    sine, cosine = found[-2:]
    r2 = 1 - float(left @ left) / spread if spread > 0 else float("nan")
    return ClosedForm(found[:-2], float(np.hypot(sine, cosine)), float(np.arctan2(cosine, sine)), r2)


def best_form(years: Float64, values: Float64) -> tuple[ClosedForm, ClosedForm, ClosedForm]:
    """The form to print, and those with a straight and with a bent line: bent where it gains `BEND` in R²."""
    straight, bent = closed_form(years, values, 1), closed_form(years, values, 2)
    return (bent if bent.r2 - straight.r2 >= BEND else straight), straight, bent


def _signed(value: float) -> str:
    return f"{'−' if value < 0 else '+'} {abs(value):.2f}"
