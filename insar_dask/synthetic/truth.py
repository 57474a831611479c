"""What is true of each point, in EGMS's own terms: its formulas applied to the signal without noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.cube import DAYS_PER_YEAR, describe, years_since
from insar_dask.synthetic.drawing import AT_ONCE, Drawing
from insar_dask.synthetic.ground import MOVED, REGIMES, STEP_AT, signal_basis

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
    shared, moved = _shared(drawing, years, ids, easting, northing)
    regimes: tuple[str, ...] = REGIMES
    if prevails := drawing.kind.shared:
        regimes = REGIMES if prevails in REGIMES else (*REGIMES, prevails)
        regime = np.where(moved, regimes.index(prevails), 0).astype(np.int8)
    found = {
        **_motion(coefficients, shared, years, _first_day(drawing.times[0])),
        "step": coefficients[:, 4] + drawing.ground.step(ids, easting, northing),
        "noise": np.hypot(drawing.sigma(ids), drawing.noise * drawing.kind.wander),
    }
    event = drawing.kind.event
    after = drawing.times > np.datetime64(event) if event else years > STEP_AT * years[-1]
    when = drawing.times[np.argmax(after)]
    attrs: dict[str, dict[str, Any]] = {
        "step": {"long_name": "displacement of the earthquake", "units": "mm", "date": str(when)[:10]},
        "noise": {"long_name": "standard deviation of the noise", "units": "mm"},
    }
    variables = {
        f"true_{name}": ("point", values.astype(np.float32), attrs[name] if name in attrs else describe(name))
        for name, values in found.items()
    }
    flags = {"flag_values": np.arange(len(regimes), dtype=np.int8), "flag_meanings": " ".join(regimes)}
    return {**variables, "true_regime": ("point", regime, {"long_name": "kind of motion", **flags})}


def _shared(
    drawing: Drawing, years: Float64, ids: Int64, easting: Float64, northing: Float64
) -> tuple[Float64, npt.NDArray[np.bool_]]:
    """What each function of `_fits` finds in the shared motion, (N, 4), and whether it moves the point at all, (N,)."""
    found, moved = np.zeros((ids.size, 4)), np.zeros(ids.size, bool)
    if drawing.ground.motions:
        functionals = _fits(years)
        for start in range(0, ids.size, AT_ONCE):
            some = slice(start, start + AT_ONCE)
            motion = drawing.ground.shared(ids[some], easting[some], northing[some], years)
            found[some] = np.einsum("nt,ft->nf", motion, functionals)
            moved[some] = np.abs(motion).max(axis=1) > MOVED
    return found, moved


def _fits(years: Float64) -> Float64:
    """Weights (4, T) of the least-squares estimates of velocity, acceleration, cosine and sine."""
    one, cosine, sine = np.ones_like(years), np.cos(2 * np.pi * years), np.sin(2 * np.pi * years)
    cubic = cosine, sine, one, years, years**2, years**3
    models = (
        (0, (years, one, cosine, sine)),
        (0, (years**2 / 2, years, one, cosine, sine)),
        (0, cubic),
        (1, cubic),
    )
    return np.stack([np.linalg.pinv(np.stack(columns, axis=1))[term] for term, columns in models])


def _motion(coefficients: Float64, shared: Float64, years: Float64, first_day: int) -> dict[str, Float64]:
    basis = signal_basis(years)
    velocity, acceleration, along, across = (
        (coefficients * (basis @ weights)).sum(axis=1) + found
        for weights, found in zip(_fits(years), shared.T, strict=True)
    )
    peak = np.arctan2(across, along) / (2 * np.pi) * DAYS_PER_YEAR
    return {
        "velocity": velocity,
        "acceleration": acceleration,
        "seasonality": np.hypot(along, across),
        "phase": (peak + first_day) % DAYS_PER_YEAR + 1,
    }


def _first_day(date: np.datetime64) -> int:
    """Days since 1 January."""
    day = date.astype("datetime64[D]")
    return int((day - day.astype("datetime64[Y]")) / np.timedelta64(1, "D"))
