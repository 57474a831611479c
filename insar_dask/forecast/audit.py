"""Proof, in every run, that nothing dated at or after an origin reaches a forecast made there.

The future of a few points is overwritten with nonsense; contexts, pooled fits and forecasts must stay the same to the
last bit. The schedule is checked too: no window may straddle the split between validation and test.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError
from insar_dask.forecast.registry import Arrays, Device, Forecaster, fitted, methods_of, new, pooled_methods
from insar_dask.forecast.schedule import asked_day, grid_start
from insar_dask.forecast.timetable import Origin, Plan
from insar_dask.forecast.windows import Context, HonestWindows

__all__ = ["LeakageError", "audit_fit", "audit_schedule", "leakage_audit"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

POINTS = 16
"""Points whose future is overwritten in each block: a leak shows on any of them."""

NONSENSE = 1e4
"""Millimetres that no ground moves."""


class LeakageError(CubeError):
    """Something in an evaluation has seen a date at or after its origin."""


def leakage_audit(
    values: Float32,
    plan: Plan,
    state: Arrays,
    stage: str,
    origins: Sequence[Origin],
    windows: type[HonestWindows] = HonestWindows,
    places: Float64 | None = None,
    device: Device = "cpu",
) -> None:
    """Raise `LeakageError` if contexts or forecasts of fitted models change with what lies at or after an origin.

    Parameters
    ----------
    values : (n, T) array of float32
        Raw displacement [mm]; the first `POINTS` points with a value are tried, at the first and last of the origins.
    plan : Plan
    state : dict of arrays
        From `insar_dask.forecast.protocol.fit`.
    stage : str
        ``"validation"`` or ``"test"``: whose fits are used.
    origins : sequence of Origin
    windows : type
        What cuts the contexts.
    places : (n, 2) array, optional
        Easting and northing [m] of the points.
    device : {"cpu", "gpu"}
        What networks forecast on.
    """
    models = [fitted(method, "honest", stage, state, device) for method in methods_of(plan, "honest")]
    for origin in dict.fromkeys((origins[0], origins[-1])):
        known, blind = _contexts(values, plan, origin, windows, origins[0], places)
        for model in models:
            _compare(_forecast(model, known), _forecast(model, blind), f"the forecast of {model.name}", plan, origin)


def audit_fit(
    values: Float32,
    plan: Plan,
    origin: Origin,
    windows: type[HonestWindows] = HonestWindows,
    places: Float64 | None = None,
) -> None:
    """Raise `LeakageError` if what is learned before ``origin`` changes with what lies at or after it."""
    known, blind = _contexts(values, plan, origin, windows, places=places)
    for method in pooled_methods(plan, "honest"):
        model = new(method, plan)
        _compare(model.partial(known), model.partial(blind), f"the fit of {method}", plan, origin)


def audit_schedule(plan: Plan) -> None:
    """Raise `LeakageError` if windows straddle the split, targets leave the record, or a grid knows later dates."""
    first_test = min(plan.date(origin) for origin in plan.test)
    for origin in plan.validation:
        if plan.target_days(origin)[-1] >= first_test:
            raise LeakageError(
                f"a validation origin asks for dates from {_day(first_test)} on, which the test forecasts"
            )
    for origin in plan.test:
        if plan.target_days(origin)[-1] > plan.days[-1]:
            raise LeakageError(f"test origin {_day(plan.date(origin))} asks for dates after the record")
        if plan.starts[origin.grid] != grid_start(plan.real_days, plan.every, asked_day(plan, origin)):
            raise LeakageError(
                f"the grid of test origin {_day(plan.date(origin))} was not chosen from its history alone"
            )


def _contexts(
    values: Float32,
    plan: Plan,
    origin: Origin,
    windows: type[HonestWindows],
    first: Origin | None = None,
    places: Float64 | None = None,
) -> tuple[Context, Context]:
    """Context of a few points at an origin, cut from the values and from values whose future is nonsense.

    With ``first`` each has the context of that origin as well, before which parameters are fitted.
    """
    some = np.flatnonzero(np.isfinite(values).any(axis=1))[:POINTS]
    few = values[some]
    future = np.asarray(plan.days) >= plan.date(origin)
    scrambled = few.copy()
    scrambled[:, future] = np.where(np.arange(future.sum()) % 3 == 0, np.nan, NONSENSE)
    where = None if places is None else places[some]
    cuts = windows(few, plan, where), windows(scrambled, plan, where)
    known, blind = (cut.context(origin, None if first is None else cut.context(first)) for cut in cuts)
    for name in ("values", "years", "grid_values", "grid_years", "target_years"):
        _compare({name: getattr(known, name)}, {name: getattr(blind, name)}, "the context", plan, origin)
    return known, blind


def _forecast(model: Forecaster, context: Context) -> dict[str, npt.NDArray[Any]]:
    mean, deviation = model.predict(context)
    return {"mean": mean} if deviation is None else {"mean": mean, "deviation": deviation}


def _compare(known: Arrays, blind: Arrays, what: str, plan: Plan, origin: Origin) -> None:
    for name, array in known.items():
        if not np.array_equal(array, blind[name], equal_nan=array.dtype.kind == "f"):
            raise LeakageError(
                f"{what} ({name}) at origin {_day(plan.date(origin))} changes with values dated on it or later: "
                "fit and filter on dates before the origin only"
            )


def _day(day: int) -> str:
    return str(np.datetime64(int(day), "D"))
