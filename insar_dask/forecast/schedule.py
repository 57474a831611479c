"""When forecasts are made: grids, validation and test origins, resolved from the dates alone."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from insar_dask.cube import DAYS_PER_YEAR, CubeError
from insar_dask.forecast.catalogue import CORRECTING, FORECASTERS, LINEAR, METHODS, PROTOCOLS, TWO_YEARS
from insar_dask.forecast.evenness import check_met
from insar_dask.forecast.timetable import Days, Origin, Plan, TooShortError
from insar_dask.resample import regular_dates
from insar_dask.settings import share, whole

__all__ = ["METHODS", "Origin", "Plan", "asked_day", "check_context", "check_settings", "grid_start", "moved", "plan"]

FEWEST_DATES = 3

YEARS_BEFORE_TRAINING = 2.0
"""A harmonic fit needs two years before its errors are worth learning from: with one, the ridge's first lead on a real
L3 tile is 1.17 mm instead of 1.02."""


def plan(
    times: npt.ArrayLike,
    every: str | None = None,
    horizon: int | None = None,
    level: float = 0.9,
    test_fraction: float = 0.2,
    stride: int = 3,
    context: int | None = None,
    methods: Sequence[str] = METHODS,
    protocols: Sequence[str] = ("honest",),
    observed: npt.ArrayLike | None = None,
) -> Plan:
    """Lay out rolling origins over the dates of a cube.

    Test origins are every ``stride``-th date of the grid's last ``test_fraction``, as long as all leads fall within the
    record; as many validation origins come before them, none asking for a date that a test origin forecasts. The phase
    of the grid is chosen from what lies before the first test origin, and again at every later one.

    Parameters
    ----------
    times : (T,) array of datetime64
        Dates of the cube, strictly increasing.
    every : str, optional
        Spacing of the grid, such as ``"12D"``; default: the usual spacing of the last two years before the test.
    horizon : int, optional
        Leads, one grid step each; default 60 days' worth, or 72 where the step is 12 days.
    level : float
        Share of the observations that an interval should hold.
    test_fraction : float
        Share of the grid that origins are tested on.
    stride : int
        Grid steps between origins.
    context : int, optional
        Residuals that the ridge reads; default 30 for steps up to 6 days, else 24.
    methods, protocols : sequence of str
        What is evaluated; protocols are ``"honest"`` and ``"as_published"``, which leaks.
    observed : (T,) array of bool, optional
        False where a date is no real acquisition: it is then neither context nor target.

    Raises
    ------
    ValueError
        When a setting is out of its range, or a name is not known.
    CubeError
        When dates are out of order or repeated.
    TooShortError
        When they are too few: the message says how many are needed. Or when steps of ``every`` meet too few of them:
        it says which do.
    """
    check_settings(every, horizon, level, test_fraction, stride, context)
    _check_names("forecaster", methods, FORECASTERS)
    _check_names("protocol", protocols, PROTOCOLS)
    if CORRECTING in methods and LINEAR[-1] not in methods:
        raise ValueError(f"{CORRECTING} corrects linear forecasts: add {', '.join(LINEAR)} to the methods")
    days = _days(times)
    real = np.ones(len(days), bool) if observed is None else np.asarray(observed, bool)
    if real.sum() < FEWEST_DATES:
        raise TooShortError(
            f"{real.sum()} observed dates are too few to forecast from: it takes {FEWEST_DATES} at the very least, "
            "and a year or two of them for most methods"
        )
    split = days[0] + round((1 - test_fraction) * int(days[-1] - days[0]))
    step = _usual_step(days[real & (days < split)]) if every is None else int(every.removesuffix("D"))
    horizon = horizon or (10 if step <= 6 else 6)
    context = context or (30 if step <= 6 else 24)
    history = days[real & (days < split)]
    if "honest" in protocols and history.size:  # as published the series are filled
        check_met(history, step, horizon)
    draft = Plan(
        days=tuple(days.tolist()),
        observed=tuple(real.tolist()),
        every=step,
        horizon=horizon,
        context=context,
        level=level,
        stride=stride,
        train_start=max(context, round(YEARS_BEFORE_TRAINING * DAYS_PER_YEAR / step)),
        starts=(grid_start(days[real], step, split),),
        validation=(),
        test=(),
        future=Origin(0, 0),
        methods=tuple(methods),
        protocols=tuple(protocols),
    )
    return _with_future(_with_test(_with_validation(draft, test_fraction), test_fraction))


def moved(plan: Plan, times: npt.ArrayLike, observed: npt.ArrayLike | None = None) -> Plan:
    """Plan of a forecast beyond another record, by what was learned under ``plan``.

    The record is of the same points later on, or of others; nothing is validated or tested there.

    Raises
    ------
    CubeError
        When the record ends before the one that was learned from, whose later dates the forecast would know, or when
        its usual step is another one.
    TooShortError
        When it has too few dates.
    """
    days = _days(times)
    real = np.ones(len(days), bool) if observed is None else np.asarray(observed, bool)
    if days[-1] < plan.days[-1]:
        learned, ends = np.datetime64(plan.days[-1], "D"), np.datetime64(int(days[-1]), "D")
        raise CubeError(
            f"the cube ends on {ends}, before {learned}, up to which this forecaster has learned: its forecasts would "
            f"know what comes after the record; fit on dates up to {ends} only"
        )
    usual, known = _usual_step(days[real]), _usual_step(plan.real_days)
    if usual != known:
        raise CubeError(
            f"the cube has a date every {usual} days, this forecaster has learned from one every {known}: "
            "fit on this cube, or bring its dates to that spacing"
        )
    dates = tuple(days.tolist()), tuple(real.tolist())
    made = _with_future(replace(plan, days=dates[0], observed=dates[1], starts=(), validation=(), test=()))
    check_context(made)
    return made


def check_context(plan: Plan) -> None:
    """Refuse a plan whose forecast beyond the record would read more dates than the record has.

    Raises
    ------
    TooShortError
        Saying how many there are, and which context they suffice for.
    """
    if (there := plan.future.step) < plan.context:
        raise TooShortError(
            f"the record has {there} dates of {plan.every} days, this forecaster reads {plan.context}: fit with a "
            f"context of {there} or less, or take a longer record"
        )


def check_settings(
    every: str | None, horizon: int | None, level: float, test_fraction: float, stride: int, context: int | None
) -> None:
    """Refuse settings of `plan` that cannot be meant.

    Raises
    ------
    ValueError
        Naming the first of them.
    """
    if every is not None and not (isinstance(every, str) and re.fullmatch(r"[1-9]\d*D", every)):
        raise ValueError(f"every is {every!r}; wanted a whole number of days such as '12D'")
    share("level", level)
    share("test_fraction", test_fraction)
    for name, count in (("horizon", horizon), ("stride", stride), ("context", context)):
        if count is not None:
            whole(name, count, of="steps")


def _check_names(kind: str, names: Sequence[str], known: Collection[str]) -> None:
    if isinstance(names, str):
        raise ValueError(f"{kind}s are {names!r}; wanted several names, such as [{names!r}]")
    if not names:
        raise ValueError(f"no {kind} was asked for; there are {', '.join(known)}")
    for name in names:
        if name not in known:
            raise ValueError(f"no {kind} is called {name!r}; there are {', '.join(known)}")


def _days(times: npt.ArrayLike) -> Days:
    dates = np.asarray(times, "datetime64[D]")
    days = dates.astype(np.int64)
    wrong = np.flatnonzero(np.diff(days) <= 0)
    if wrong.size:
        raise CubeError(
            f"dates must increase by whole days: {dates[wrong[0] + 1]} follows {dates[wrong[0]]}; "
            "use cube.sortby('time').drop_duplicates('time')"
        )
    return days


def _usual_step(days: Days) -> int:
    """Median spacing of the last two years, which later dates are expected to keep; the shorter of two in the middle.

    Half-way between 6 and 12 days lie 9, which no date keeps.
    """
    if len(days) < 3:
        raise TooShortError(
            f"{len(days)} observed dates, without those of a test, are too few to tell the usual spacing from: take a "
            "longer record, or a smaller test_fraction"
        )
    recent = days[days > days[-1] - 2 * DAYS_PER_YEAR]
    spacings = np.sort(np.diff(recent if len(recent) > 2 else days))
    return int(spacings[(len(spacings) - 1) // 2])


def grid_start(days: Days, step: int, before: int) -> int:
    """First day of the grid whose phase meets most acquisitions in the two years before day ``before``."""
    history = days[days < before].astype("datetime64[D]")
    return int(regular_dates(history, f"{step}D")[0].astype("datetime64[D]").astype(np.int64))


def asked_day(plan: Plan, origin: Origin) -> int:
    """Date of grid 0 that a test origin was asked for on: its own grid was chosen from what lies before.

    The origin lies there, or on another grid less than a step later; an acquisition between the two is known at the
    origin, and has no say in its grid.
    """
    return plan.date(Origin(0, (plan.date(origin) - plan.starts[0]) // plan.every))


def _first_test(draft: Plan, test_fraction: float) -> int:
    return int((1 - test_fraction) * len(draft.grid_days(0)))


def _with_validation(draft: Plan, test_fraction: float) -> Plan:
    """Validation: the last half of what lies between the first trainable origin and the test, or the test's length."""
    first_test = _first_test(draft, test_fraction)
    last = first_test - draft.horizon
    earliest = _earliest(draft, last)
    spare = last - earliest
    if spare < draft.stride:
        needed, names = int(np.ceil((earliest + draft.horizon + draft.stride) / (1 - test_fraction))), _demanding(draft)
        raise TooShortError(
            f"the record has {len(draft.grid_days(0))} dates of {draft.every} days, {needed} are needed for horizon "
            f"{draft.horizon}, context {draft.context} and test_fraction {test_fraction}: "
            "take a longer record, a shorter horizon or context, or a smaller test_fraction"
            + (f", or methods other than {' and '.join(names)}" if names else "")
        )
    length = min(round(test_fraction * len(draft.grid_days(0))), max(spare // 2, draft.stride))
    steps = range(last, last - length, -draft.stride)
    return replace(draft, validation=tuple(Origin(0, step) for step in sorted(steps)))


def _earliest(draft: Plan, last: int) -> int:
    """First origin fit for validation: two years in; of a record with none such, one, if no method needs two."""
    preferred = draft.horizon + draft.train_start
    if _demanding(draft) or last - preferred >= draft.stride:
        return preferred
    return draft.horizon + round(DAYS_PER_YEAR / draft.every)


def _demanding(draft: Plan) -> list[str]:
    return [name for name in draft.methods if name in TWO_YEARS]


def _with_test(draft: Plan, test_fraction: float) -> Plan:
    n_grid = len(draft.grid_days(0))
    first = _first_test(draft, test_fraction)
    steps = range(first, n_grid - draft.horizon, draft.stride)
    if not steps:
        raise TooShortError(
            f"no test origin has all {draft.horizon} leads within the record: the test period has {n_grid - first} "
            f"dates of {draft.every} days; take a larger test_fraction or a shorter horizon"
        )
    for step in steps:
        draft = _append_origin(draft, draft.date(Origin(0, step)))
    return draft


def _append_origin(draft: Plan, day: int) -> Plan:
    """Add the test origin at or next after ``day`` on the grid that the history before ``day`` prefers."""
    start = grid_start(draft.real_days, draft.every, day)
    starts = draft.starts if start in draft.starts else (*draft.starts, start)
    step = -(-(day - start) // draft.every)
    return replace(draft, starts=starts, test=(*draft.test, Origin(starts.index(start), step)))


def _with_future(draft: Plan) -> Plan:
    """Origin of the forecast proper: the first date of the grid after the last date of the record."""
    end = draft.days[-1] + 1
    start = grid_start(draft.real_days, draft.every, end)
    starts = draft.starts if start in draft.starts else (*draft.starts, start)
    return replace(draft, starts=starts, future=Origin(starts.index(start), -(-(end - start) // draft.every)))
