"""What is true of each point, in EGMS's own terms: its formulas applied to the signal without noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.cube import DAYS_PER_YEAR, describe, years_since
from insar_dask.synthetic.drawing import Drawing
from insar_dask.synthetic.ground import REGIMES, STEP_AT, signal_basis

__all__ = ["true_variables"]

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


def true_variables(drawing: Drawing, ids: Int64, easting: Float64, northing: Float64) -> dict[str, Any]:
    """Variables ``true_*`` over ``point``, as xarray takes them.

    Velocity, acceleration, seasonality and phase are what the least-squares models of EGMS (Product Description v3,
    Table 14) find in the signal at the scene's dates. So they are exact also where the signal is none of the models:
    under an earthquake the velocity is that of the line through the step.
    """
    coefficients, regime = drawing.ground.coefficients(ids, easting, northing)
    years = years_since(drawing.times)
    found = {
        **_motion(coefficients, years, _first_day(drawing.times[0])),
        "step": coefficients[:, 4],
        "noise": drawing.sigma(ids),
    }
    when = drawing.times[np.argmax(years > STEP_AT * years[-1])]
    attrs: dict[str, dict[str, Any]] = {
        "step": {"long_name": "displacement of the earthquake", "units": "mm", "date": str(when)[:10]},
        "noise": {"long_name": "standard deviation of the noise", "units": "mm"},
    }
    variables = {
        f"true_{name}": ("point", values.astype(np.float32), attrs[name] if name in attrs else describe(name))
        for name, values in found.items()
    }
    flags = {"flag_values": np.arange(len(REGIMES), dtype=np.int8), "flag_meanings": " ".join(REGIMES)}
    return {**variables, "true_regime": ("point", regime, {"long_name": "kind of motion", **flags})}


def _motion(coefficients: Float64, years: Float64, first_day: int) -> dict[str, Float64]:
    basis = signal_basis(years)
    one, cosine, sine = np.ones_like(years), np.cos(2 * np.pi * years), np.sin(2 * np.pi * years)

    def fitted(term: int, *columns: Float64) -> Float64:
        """One coefficient of the least-squares model of these columns: linear in those of the signal."""
        weights = basis @ np.linalg.pinv(np.stack(columns, axis=1))[term]
        return np.asarray((coefficients * weights).sum(axis=1))

    cubic = cosine, sine, one, years, years**2, years**3
    along, across = fitted(0, *cubic), fitted(1, *cubic)
    peak = np.arctan2(across, along) / (2 * np.pi) * DAYS_PER_YEAR
    return {
        "velocity": fitted(0, years, one, cosine, sine),
        "acceleration": fitted(0, years**2 / 2, years, one, cosine, sine),
        "seasonality": np.hypot(along, across),
        "phase": (peak + first_day) % DAYS_PER_YEAR + 1,
    }


def _first_day(date: np.datetime64) -> int:
    """Days since 1 January."""
    day = date.astype("datetime64[D]")
    return int((day - day.astype("datetime64[Y]")) / np.timedelta64(1, "D"))
