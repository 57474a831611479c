"""Evaluation over rolling origins as pure functions of one block of points, merged in the order of the blocks.

1. ``fit_partial`` on every block, ``fit`` on what they returned: what is pooled over points, learned from dates before
   the first validation origin, the first test origin, and the end of the record.
2. ``calibrate_partial`` (validation origins) and ``score_partial`` (test origins) on every block; ``calibrate`` takes
   the interval widths and the default method from the former, ``score`` makes the table.
3. ``forecast_block``: the default method's forecast beyond the record.

Every partial is additive, or a bounded sample, and smaller than 1 MB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError, check_cube, describe
from insar_dask.forecast.audit import audit_fit, audit_schedule
from insar_dask.forecast.catalogue import COMPONENTS, CORRECTING
from insar_dask.forecast.conformal import class_edges, classify, log_histogram, quantiles
from insar_dask.forecast.leaderboard import check_counted, make_scores, ranked
from insar_dask.forecast.naive import harmonic_fit
from insar_dask.forecast.registry import Arrays, Device, fitted, methods_of, new, pooled_methods, trained_methods, under
from insar_dask.forecast.schedule import plan
from insar_dask.forecast.scores import Scores
from insar_dask.forecast.tallies import (
    block_places,
    block_values,
    count_errors,
    forecast_with_scale,
    sum_partials,
    windows_of,
)
from insar_dask.forecast.timetable import Origin, Plan

__all__ = [
    "Plan",
    "calibrate",
    "calibrate_partial",
    "evaluate",
    "fit",
    "fit_partial",
    "forecast_block",
    "learn",
    "plan",
    "score",
    "score_partial",
]

State = dict[str, npt.NDArray[Any]]


def fit_partial(block: xr.Dataset, plan: Plan) -> State:
    """What a block contributes to everything that is fitted over all points.

    Parameters
    ----------
    block : xr.Dataset
        Raw cube of some points, NumPy-backed.
    plan : Plan

    Raises
    ------
    CubeError
        When the honest protocol is asked of a cube that has seen the future.
    LeakageError
        When anything learned changes with values dated on its cut-off or later.
    """
    values, places = block_values(block, plan), block_places(block)
    out: State = {}
    for protocol in plan.protocols:
        windows = windows_of(values, plan, protocol, places)
        for stage, origin in _cutoffs(plan, protocol):
            if protocol == "honest":
                audit_fit(values, plan, origin, places=places)
            context = windows.context(origin)
            out[f"{protocol}.{stage}.rmse"] = log_histogram(harmonic_fit(context)[1].rmse)
            for method in pooled_methods(plan, protocol):
                for name, array in new(method, plan).partial(context).items():
                    out[f"{protocol}.{stage}.{method}.{name}"] = array
    return out


def fit(partials: Iterable[Arrays], plan: Plan) -> State:
    """Merge the partials of all blocks, in their order, into the fitted state: small arrays by name.

    One partial is held at a time, so that memory does not grow with the number of blocks.
    """
    audit_schedule(plan)
    pooled = _pool(partials, plan)
    state: State = {}
    for protocol in plan.protocols:
        windows = windows_of(np.empty((0, len(plan.days)), np.float32), plan, protocol)
        for stage, origin in _cutoffs(plan, protocol):
            axes = windows.context(origin)
            state[f"{protocol}.{stage}.edges"] = class_edges(pooled[f"{protocol}.{stage}.rmse"])
            for method in pooled_methods(plan, protocol):
                prefix = f"{protocol}.{stage}.{method}."
                model = new(method, plan).fit([under(prefix, pooled)], axes)
                state.update({prefix + name: array for name, array in model.state().items()})
    return state


def calibrate_partial(
    block: xr.Dataset,
    plan: Plan,
    state: Arrays,
    trained: Arrays | None = None,
    most: int | None = None,
    device: Device = "cpu",
) -> State:
    """Errors of a block's forecasts at the validation origins, counted.

    ``trained`` is the part of the state that networks are, where that is kept by itself; ``most`` the number of points
    to count, the first ones, which are neighbours of one another; ``device`` what networks compute on, as for
    `insar_dask.forecast.registry.fitted`.
    """
    part = block.isel(point=slice(0, most))
    return count_errors(part, plan, {**state, **(trained or {})}, "validation", plan.validation, device)


def score_partial(
    block: xr.Dataset,
    plan: Plan,
    state: Arrays,
    trained: Arrays | None = None,
    most: int | None = None,
    device: Device = "cpu",
) -> State:
    """Errors of a block's forecasts at the test origins, counted; ``state`` need not be calibrated yet."""
    part = block.isel(point=slice(0, most))
    return count_errors(part, plan, {**state, **(trained or {})}, "test", plan.test, device)


def calibrate(partials: Iterable[Arrays], plan: Plan, state: Arrays) -> State:
    """Add the interval widths and the ranking of the methods at the validation origins to the fitted state.

    Raises
    ------
    TooShortError
        When no error was counted.
    """
    total = sum_partials(partials)
    check_counted(total, plan, "validation", plan.validation)
    out = dict(state)
    for protocol in plan.protocols:
        for method in methods_of(plan, protocol):
            out[f"{protocol}.{method}.quantiles"] = quantiles(total[f"{protocol}.{method}.ratios"], plan.level)
    return out | ranked(total, plan)


def score(partials: Iterable[Arrays], plan: Plan, state: Arrays, attrs: Mapping[str, Any] | None = None) -> Scores:
    """Table of scores from the test partials of all blocks and the calibrated state.

    ``attrs``, the cube's, tell its product and component.

    Raises
    ------
    TooShortError
        When no error was counted.
    """
    total = sum_partials(partials)
    check_counted(total, plan, "test", plan.test)
    return make_scores(total, plan, state, attrs or {})


def forecast_block(
    block: xr.Dataset, plan: Plan, state: Arrays, trained: Arrays | None = None, device: Device = "cpu"
) -> xr.Dataset:
    """Forecast the dates after the record with the default method; the rest as for `calibrate_partial`.

    Returns
    -------
    xr.Dataset
        Forecast cube ``(origin, point, lead)`` with ``displacement``, ``lower``, ``upper`` [mm]; a point that cannot be
        forecast is NaN.

    Raises
    ------
    CubeError
        When only the leaking protocol was evaluated: it knows nothing of what lies after a record.
    """
    if "honest" not in plan.protocols:
        raise CubeError("a forecast beyond the record needs the honest protocol: add it to the plan's protocols")
    method, state = str(state["ranking"][0]), {**state, **(trained or {})}
    context = windows_of(block_values(block, plan), plan, "honest", block_places(block)).context(plan.future)
    mean, scale = forecast_with_scale(fitted(method, "honest", "future", state, device), context)
    classes = classify(harmonic_fit(context)[1].rmse, state["honest.future.edges"])
    widths = state[f"honest.{method}.quantiles"][classes]
    half = np.where(classes[:, None] < 0, np.nan, widths * scale)
    return _forecast_cube(block, plan, {"displacement": mean, "lower": mean - half, "upper": mean + half}, method)


def evaluate(cube: xr.Dataset, *, block: int = 65_536, **settings: Any) -> Scores:
    """Score all methods on a cube, block by block, in this process.

    Parameters
    ----------
    cube : xr.Dataset
        Raw point cube, in memory or lazy.
    block : int
        Points read at a time.
    **settings
        Passed on to `plan`.
    """
    if check_cube(cube).sizes["point"] == 0:
        raise CubeError("the cube has no points: nothing can be scored")
    observed = cube["observed"].values if "observed" in cube else None
    schedule = plan(cube["time"].values, observed=observed, **settings)

    def blocks() -> Iterator[xr.Dataset]:
        return (cube.isel(point=slice(at, at + block)).load() for at in range(0, cube.sizes["point"], block))

    return learn(blocks, schedule, cube.attrs, lambda state: _train_here(cube, schedule, state, block))[1]


def learn(
    blocks: Callable[[], Iterable[xr.Dataset]],
    plan: Plan,
    attrs: Mapping[str, Any] | None = None,
    train: Callable[[State], State] | None = None,
    most: int | None = None,
) -> tuple[State, Scores]:
    """Fit, calibrate and score on blocks of points in this process: the calibrated state, and the scores.

    Parameters
    ----------
    blocks : callable
        Gives the blocks of a raw cube in their order, NumPy-backed; called twice.
    plan : Plan
    attrs : mapping, optional
        The cube's attributes.
    train : callable, optional
        Gives what the networks of the plan learn on top of the fitted state, see
        `insar_dask.forecast.correction.teaching`.
    most : int, optional
        Points of each block that intervals and scores come from; default: all.

    Raises
    ------
    ValueError
        When the plan has a network and nothing trains it.
    """
    networks = trained_methods(plan)
    if networks and train is None:
        raise ValueError(f"{', '.join(networks)} has to be trained, and nothing was given that does")
    state = fit((fit_partial(part, plan) for part in blocks()), plan)
    if networks and train is not None:
        state |= train(state)
    validation: State = {}
    test: State = {}
    for part in blocks():
        validation = sum_partials([validation, calibrate_partial(part, plan, state, most=most)])
        test = sum_partials([test, score_partial(part, plan, state, most=most)])
    calibrated = calibrate([validation], plan, state)
    return calibrated, score([test], plan, calibrated, attrs)


def _train_here(cube: xr.Dataset, plan: Plan, state: State, block: int) -> State:
    """The networks of a plan with their usual settings, trained in this process; nothing is left behind."""
    from insar_dask.forecast.components import teaching as components
    from insar_dask.forecast.components.settings import Settings
    from insar_dask.forecast.correction import teaching as correction
    from insar_dask.forecast.series.point_source import CubePoints
    from insar_dask.forecast.training.hold import passing_folder

    source, learned = CubePoints(cube), State()
    if CORRECTING in plan.methods:
        lesson = correction.Lesson(source, plan, state, block, correction.Settings())
        learned |= correction.teach(lesson, correction.train_here)
    if COMPONENTS in plan.methods:
        with passing_folder() as folder:
            learned |= components.teach(source, plan, Settings(), components.School(folder))
    return learned


def _pool(partials: Iterable[Arrays], plan: Plan) -> State:
    """One partial that stands for all of them."""
    pooled: State = {}
    for part in partials:
        pooled = _merge(pooled, part, plan) if pooled else dict(part)
    return pooled


def _merge(one: State, other: Arrays, plan: Plan) -> State:
    merged: State = {}
    for protocol in plan.protocols:
        for stage, _ in _cutoffs(plan, protocol):
            name = f"{protocol}.{stage}.rmse"
            merged[name] = one[name] + other[name]
            for method in pooled_methods(plan, protocol):
                prefix = f"{protocol}.{stage}.{method}."
                both = new(method, plan).merge(under(prefix, one), under(prefix, other))
                merged.update({prefix + name: array for name, array in both.items()})
    return merged


def _cutoffs(plan: Plan, protocol: str) -> Iterator[tuple[str, Origin]]:
    """Stages of the evaluation, each with the origin before which everything is fitted."""
    yield "validation", plan.validation[0]
    yield "test", plan.test[0]
    if protocol == "honest":
        yield "future", plan.future


def _forecast_cube(block: xr.Dataset, plan: Plan, values: dict[str, Any], method: str) -> xr.Dataset:
    days = plan.target_days(plan.future).astype("datetime64[D]").astype("datetime64[ns]")
    origin = np.array([plan.date(plan.future)]).astype("datetime64[D]").astype("datetime64[ns]")
    places = [name for name in block.variables if block[name].dims in (("point",), ())]
    cube = block[places].drop_vars("time", errors="ignore")
    cube = cube.assign_coords(
        origin=("origin", origin),
        lead=("lead", np.arange(1, plan.horizon + 1), {"long_name": "lead", "units": f"{plan.every} d"}),
        time=(("origin", "lead"), days[None, :]),
    )
    data = {
        name: (
            ("origin", "point", "lead"),
            np.asarray(array, np.float32)[None],
            describe(name) | {"grid_mapping": "crs"},
        )
        for name, array in values.items()
    }
    attrs = {name: value for name, value in block.attrs.items() if name != "sees_future"}
    return cube.assign(data).assign_attrs(attrs | {"level": plan.level, "method": method})
