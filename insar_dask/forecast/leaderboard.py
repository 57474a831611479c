"""From summed counts of errors to the table of scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.cube import DAYS_PER_YEAR
from insar_dask.forecast.conformal import covered
from insar_dask.forecast.evenness import met
from insar_dask.forecast.naive import harmonic_needs
from insar_dask.forecast.registry import Arrays, methods_of
from insar_dask.forecast.scores import NAIVE, Scores, block_bootstrap, surely_lower
from insar_dask.forecast.strata import STRATA
from insar_dask.forecast.timetable import Origin, Plan, TooShortError
from insar_kernels.counting import bin_edges

__all__ = ["check_counted", "make_scores", "prefer", "ranked", "rmse"]

Float64 = npt.NDArray[np.float64]

USUAL = "kriging"
"""Lowest at every lead on three real products and three scenes, see the README's table."""

MOST_MET = 0.75
"""Share of the acquisitions below which a note says how many the steps meet; Sentinel-1 has 0.94 and more."""

SENTENCES = {
    "honest": "honest: every number a forecaster sees was observed before the origin; errors are against raw values "
    "at really observed dates",
    "as_published": "LEAKS: gaps filled and series smoothed (Savitzky-Golay 11, 2) as a whole, so that inputs hold "
    "part of the targets; errors are against smoothed values",
}


def make_scores(total: Arrays, plan: Plan, state: Arrays, attrs: Mapping[str, Any]) -> Scores:
    """Make the table from the summed test partials ``total`` and the calibrated ``state``."""
    first = plan.protocols[0]
    methods = methods_of(plan, first)
    return Scores(
        product=str(attrs.get("product", "")),
        component=str(attrs.get("component", "")),
        horizon=plan.horizon,
        level=plan.level,
        every_days=plan.every,
        origins=[str(np.datetime64(plan.date(origin), "D")) for origin in plan.test],
        leads=plan.leads,
        default=str(state["ranking"][0]),
        reason=_reason(plan, state),
        methods=list(methods),
        tables={protocol: _table(total, plan, state, protocol) for protocol in plan.protocols},
        coverage_by_quintile={m: _class_coverage(total, state, f"{first}.{m}.").tolist() for m in methods},
        protocol={protocol: SENTENCES[protocol] for protocol in plan.protocols},
        notes=_notes(total, plan, state, attrs),
    )


def ranked(total: Arrays, plan: Plan) -> dict[str, npt.NDArray[Any]]:
    """``ranking`` of the methods and their ``validation_rmse`` [mm], from the summed validation partials ``total``.

    The first one forecasts. It is the usual one, unless the one with the lowest error is lower by more than chance.
    On a real L3 tile the ridge was lower by 0.01 of 2.09 mm at 24 validation origins, and Kriging by 0.07 at the test:
    a satellite had failed a year before the former, short noise was another one since, and Kriging tells recent noise
    apart only where three years of history lie before it is fitted.
    """
    first = plan.protocols[0]
    methods = methods_of(plan, first)
    errors = np.array([rmse(total[f"{first}.{method}.leads"].sum(axis=0)) for method in methods])
    order = np.argsort(errors, kind="stable").tolist()
    usual = methods.index(USUAL) if USUAL in methods else order[0]
    if usual != order[0] and np.isfinite(errors[usual]):
        low, high = (total[f"{first}.{methods[at]}.groups"] for at in (order[0], usual))
        if not surely_lower(low, high, _overlap(plan)):
            order = [usual, *(at for at in order if at != usual)]
    return {"ranking": np.array(methods)[order], "validation_rmse": errors[order]}


def prefer(method: str, state: Arrays, scores: Scores) -> tuple[dict[str, npt.NDArray[Any]], Scores]:
    """State and table of the ``method`` that was asked for; the table says which one had the lowest error."""
    ranking, errors = state["ranking"].tolist(), state["validation_rmse"].tolist()
    if ranking[0] == scores.default == method:
        return dict(state), scores
    order = [ranking.index(method), *(at for at, name in enumerate(ranking) if name != method)]
    told = ", ".join(f"{name} {error:.2f} mm" for name, error in zip(ranking, errors, strict=True))
    asked = {**state, "ranking": state["ranking"][order], "validation_rmse": state["validation_rmse"][order]}
    return asked, replace(scores, default=method, reason=f"asked for; RMSE at the validation origins: {told}")


def check_counted(total: Arrays, plan: Plan, stage: str, origins: Sequence[Origin]) -> None:
    """Refuse counts of no error at all, or of none that has a scale: there would be neither intervals nor scores.

    Raises
    ------
    TooShortError
        With the origins, and which methods could not forecast what was observed.
    """
    first = plan.protocols[0]
    methods = methods_of(plan, first)
    if any(total[f"{first}.{method}.ratios"].sum() for method in methods):
        return
    days = [np.datetime64(plan.date(origin), "D") for origin in (origins[0], origins[-1])]
    if number := max(int(total[f"{first}.{method}.leads"][..., 0].sum()) for method in methods):
        raise TooShortError(
            f"no error can be judged at the {len(origins)} {stage} origins from {days[0]} to {days[1]}: of {number:,} "
            f"none is of a point with {harmonic_needs(plan.every / DAYS_PER_YEAR)[0]} values over a year before, on "
            f"steps of {plan.every} days, and so nothing to measure it by; take points with a longer history, or other "
            "steps, as in every='12D'"
        )
    targets = int(total[f"{first}.targets"].sum())
    missed = {method: int(total[f"{first}.{method}.missed"].sum()) for method in methods}
    unable = ", ".join(f"{method} {number:,}" for method, number in missed.items() if number)
    what = f"what one method cannot forecast counts for none, and of {targets:,} values there cannot {unable}"
    raise TooShortError(
        f"nothing can be scored at the {len(origins)} {stage} origins from {days[0]} to {days[1]}: "
        f"{what if targets else 'no value was observed at their leads'}; leave out dates without values, as in "
        "cube.dropna('time', how='all', subset=['displacement']), or points with too little of a history"
    )


def rmse(sums: Float64) -> Float64:
    """Root mean square error [mm] from (..., k) sums: first the number, last the squares; NaN where there is none."""
    number = np.asarray(sums[..., 0], np.float64)
    return np.asarray(np.sqrt(sums[..., -1] / np.where(number > 0, number, np.nan)))


def _table(total: Arrays, plan: Plan, state: Arrays, protocol: str) -> dict[str, dict[str, Any]]:
    methods = methods_of(plan, protocol)
    groups = np.stack([total[f"{protocol}.{method}.groups"] for method in methods])
    intervals = block_bootstrap(groups, _overlap(plan))
    over_all = [float(rmse(total[f"{protocol}.{method}.leads"].sum(axis=0))) for method in methods]
    naive = [value for method, value in zip(methods, over_all, strict=True) if method in NAIVE]
    best = min(naive, default=np.nan)
    return {
        method: {
            **_by_lead(total, state, f"{protocol}.{method}."),
            "rmse_all": value,
            "rmse_ci": interval.tolist(),
            "skill": 1 - value / best if best > 0 else np.nan,
            "strata": _by_stratum(total[f"{protocol}.{method}.strata"]),
        }
        for method, value, interval in zip(methods, over_all, intervals, strict=True)
    }


def _by_lead(total: Arrays, state: Arrays, prefix: str) -> dict[str, Any]:
    leads, ratios = total[prefix + "leads"], total[prefix + "ratios"]
    bounds = state[prefix + "quantiles"]
    held, judged = covered(ratios, bounds), ratios.sum(axis=-1)
    width = 2 * np.nansum(bounds * total[prefix + "scales"], axis=0)
    given = np.where(np.isfinite(bounds), judged, 0)
    return {
        "rmse": rmse(leads).tolist(),
        "mae": _share(leads[:, 1], leads[:, 0]).tolist(),
        "n": leads[:, 0].astype(int).tolist(),
        "coverage": _share(held.sum(axis=0), judged.sum(axis=0)).tolist(),
        "coverage_all": float(_share(held.sum(), judged.sum())),
        "interval_width": _share(width, given.sum(axis=0)).tolist(),
    }


def _by_stratum(sums: Float64) -> dict[str, dict[str, Any]]:
    return {name: {"rmse": float(rmse(row)), "n": int(row[0])} for name, row in zip(STRATA, sums, strict=True)}


def _class_coverage(total: Arrays, state: Arrays, prefix: str) -> Float64:
    ratios = total[prefix + "ratios"]
    return _share(covered(ratios, state[prefix + "quantiles"]), ratios.sum(axis=-1))


def _share(part: Any, whole: Any) -> Float64:
    whole = np.asarray(whole, np.float64)
    return np.asarray(part / np.where(whole > 0, whole, np.nan))


def _overlap(plan: Plan) -> int:
    """Successive origins that share target dates."""
    return -(-plan.horizon // plan.stride)


def _reason(plan: Plan, state: Arrays) -> str:
    """Why the first method of the ranking forecasts."""
    ranking, errors = state["ranking"], state["validation_rmse"]
    first, last = (np.datetime64(plan.date(origin), "D") for origin in (plan.validation[0], plan.validation[-1]))
    when = f"at {len(plan.validation)} validation origins from {first} to {last}"
    if len(ranking) == 1:
        return f"lowest RMSE, {errors[0]:.2f} mm, {when}"
    if errors[1] < errors[0]:
        return (
            f"usual, with RMSE {errors[0]:.2f} mm {when}; {ranking[1]} with {errors[1]:.2f} mm is lower by no more "
            "than chance"
        )
    return f"lowest RMSE, {errors[0]:.2f} mm, {when}; next is {ranking[1]} with {errors[1]:.2f} mm"


def _notes(total: Arrays, plan: Plan, state: Arrays, attrs: Mapping[str, Any]) -> list[str]:
    notes = [f"skill is 1 - RMSE / that of the best of {', '.join(m for m in plan.methods if m in NAIVE)}"]
    if "L3" in str(attrs.get("product", "")):
        notes.append(
            "L3 itself is resampled by its provider: a 6-day value takes the nearest acquisition of each track, which "
            "may lie after it, so that leads of 6 to 12 days have partly been seen by the product itself"
        )
    if days := int(attrs.get("sees_future", 0)):
        seen = "the whole series" if days < 0 else f"{days} days ahead"
        notes.append(f"the cube's own values have seen {seen}: these scores LEAK on top of their protocol")
    found = met(plan.real_days, plan.every)
    if found.share < MOST_MET:
        notes.append(
            f"steps of {plan.every} days meet {found.number} of the {found.days} acquisitions of the last two years: "
            "no other is a target, and forecasters that take regular steps do not see the others"
        )
    first = plan.protocols[0]
    targets = int(total[f"{first}.targets"].sum())
    missed = {method: int(total[f"{first}.{method}.missed"].sum()) for method in methods_of(plan, first)}
    notes += [
        f"{method} could not forecast {number} of {targets} observations: they count for no method"
        for method, number in missed.items()
        if number
    ]
    unknown = (_unknown(total, state, f"{first}.{method}.") for method in methods_of(plan, first))
    return notes + [note for note in unknown if note]


def _unknown(total: Arrays, state: Arrays, prefix: str) -> str:
    """How much of what was judged has no interval, which counts as not held; nothing where all has one."""
    judged, bounds = total[prefix + "ratios"].sum(axis=-1), state[prefix + "quantiles"]
    without = int(judged[~np.isfinite(bounds)].sum())
    if not without:
        return ""
    return (
        f"{prefix.split('.')[1]} has no interval for {without} of {int(judged.sum())} observations, which count as not "
        f"held: its errors at the validation origins were more than {bin_edges()[-2]:g} times the noise of a point, or "
        "there were none"
    )
