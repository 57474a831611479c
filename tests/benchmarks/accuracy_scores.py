"""From errors of forecasts to scores: RMSE by lead with paired differences, shares of excess removed, and coverage.

``removed`` is the share of the better linear forecaster's excess over the oracle, RMSE² - oracle², that a method
removes. Intervals are of 90 %, by a bootstrap of 500 m cells and of runs of origins that share target dates;
differences are paired: all methods share the draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.forecast.catalogue import LINEAR
from insar_dask.forecast.conformal import N_CLASSES

__all__ = ["ORACLE", "Outcomes", "coverage", "summary"]

Bools = npt.NDArray[np.bool_]
Cells = npt.NDArray[np.intp]
Errors = Mapping[str, npt.NDArray[np.float32]]
Float64 = npt.NDArray[np.float64]

ORACLE, BEFORE = "oracle", "kriging"
"""Names of what knows the true motion, and of what a network stands on."""

REPLICATES, LEVEL = 1000, 0.9


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What came of forecasts (origins, n, h) by some methods."""

    errors: dict[str, npt.NDArray[np.float32]]
    """Forecast minus observation [mm]; NaN where there is either none."""
    held: dict[str, Bools]
    """Whether the interval held the observation, of the methods that have one."""
    classes: npt.NDArray[np.int8]
    """(n,) quintile of each point's rmse, 0 the quietest; -1 of none."""


def summary(errors: Errors, cells: Cells, overlap: int) -> dict[str, Any]:
    """RMSE by lead and over all, and how it stands to the better linear forecaster, to Kriging and to the oracle."""
    shared = shared_of(errors)
    sums = np.stack([sums_of(error.astype(np.float64) ** 2, shared, cells) for error in errors.values()])
    names, whole = list(errors), sums.sum(axis=(1, 2))
    rmse, drawn = np.sqrt(with_all(whole)), np.sqrt(with_all(bootstrap(sums, overlap)))  # drawn: (replicates, m, h + 1)
    candidates = [names.index(name) for name in LINEAR]
    better = np.array(candidates)[np.argmin(rmse[candidates], axis=0)]
    columns = np.arange(rmse.shape[1])
    against = rmse[better, columns], drawn[:, better, columns]
    methods: dict[str, dict[str, Any]] = {}
    for at, name in enumerate(names):
        scores: dict[str, Any] = {"rmse": rounded(rmse[at])}
        scores |= difference("better", (rmse[at], drawn[:, at]), against)
        if BEFORE in names and name != BEFORE:
            before = names.index(BEFORE)
            scores |= difference(BEFORE, (rmse[at], drawn[:, at]), (rmse[before], drawn[:, before]))
        if ORACLE in names:
            oracle = names.index(ORACLE)
            excess, excesses = against[0] ** 2 - rmse[oracle] ** 2, against[1] ** 2 - drawn[:, oracle] ** 2
            shares = (against[1] ** 2 - drawn[:, at] ** 2) / excesses
            scores["excess_mm2"] = rounded(rmse[at] ** 2 - rmse[oracle] ** 2)
            scores["rmse_by_oracle"] = rounded(rmse[at] / rmse[oracle])
            scores["removed_all"] = round(float((against[0] ** 2 - rmse[at] ** 2)[-1] / excess[-1]), 4)
            scores["removed_all_90"] = [round(float(bound[-1]), 4) for bound in interval(shares)]
        methods[name] = scores
    rivals = [name for name in names if name != ORACLE]
    lowest = np.argmin(rmse[[names.index(name) for name in rivals]], axis=0)
    return {
        "leads": [*range(1, rmse.shape[1]), "all"],
        "n": int(whole[0, :, 0].sum()),
        "better_linear": [names[at] for at in better],
        "lowest": [rivals[at] for at in lowest],
        "methods": methods,
    }


def coverage(outcomes: Outcomes, cells: Cells, overlap: int) -> dict[str, dict[str, Any]]:
    """Share of the observations that intervals held: over all with its own interval, by lead, by quintile, and by both.

    ``by_cell`` has a list for each quintile, with a share for each lead.
    """
    shared = shared_of(outcomes.errors)
    out = {}
    for name, held in outcomes.held.items():
        sums = sums_of(held, shared, cells)
        drawn = with_all(bootstrap(sums[None], overlap))[:, 0]
        shares, bounds = rounded(with_all(sums.sum(axis=(0, 1)))), interval(drawn)
        quintiles = sums_of(held, shared, np.where(outcomes.classes < 0, N_CLASSES, outcomes.classes).astype(np.intp))
        by_cell = with_all(quintiles.sum(axis=0)[:N_CLASSES])
        out[name] = {
            "all": shares[-1],
            "all_90": [round(float(bound[-1]), 4) for bound in bounds],
            "by_lead": shares[:-1],
            "by_quintile": rounded(by_cell[:, -1]),
            "by_cell": [rounded(leads) for leads in by_cell[:, :-1]],
        }
    return out


def difference(to: str, ours: tuple[Float64, Float64], theirs: tuple[Float64, Float64]) -> dict[str, Any]:
    """RMSE minus another's, and the interval of that; each has its RMSE and the drawn ones."""
    bounds = interval(ours[1] - theirs[1])
    return {f"minus_{to}": rounded(ours[0] - theirs[0]), f"minus_{to}_90": [rounded(bound) for bound in bounds]}


def shared_of(errors: Errors) -> Bools:
    """Which of the errors (origins, n, h) all methods have: they are compared on these alone."""
    return np.asarray(np.logical_and.reduce([np.isfinite(error) for error in errors.values()]))


def sums_of(values: npt.NDArray[Any], shared: Bools, cells: Cells) -> Float64:
    """Number and sum (origins, cells, leads, 2) of those of some values (origins, n, h) that are shared."""
    n_origins, _, n_leads = values.shape
    counted = np.where(shared, values, 0)
    sums = np.zeros((n_origins, cells.max() + 1, n_leads, 2))
    for at in range(n_origins):
        np.add.at(sums[at, :, :, 0], cells, shared[at])
        np.add.at(sums[at, :, :, 1], cells, counted[at])
    return sums


def bootstrap(sums: Float64, overlap: int) -> Float64:
    """Sums (replicates, methods, leads, 2) of cells and runs of origins drawn anew, the same ones for all methods."""
    rng = np.random.default_rng(0)
    _, n_origins, n_cells, _, _ = sums.shape
    space = rng.multinomial(n_cells, np.full(n_cells, 1 / n_cells), REPLICATES).astype(np.float64)
    starts = rng.integers(0, n_origins, (REPLICATES, -(-n_origins // overlap)))
    runs = ((starts[:, :, None] + np.arange(overlap)) % n_origins).reshape(REPLICATES, -1)[:, :n_origins]
    often = np.stack([(runs == origin).sum(axis=1) for origin in range(n_origins)], axis=1).astype(np.float64)
    drawn = np.empty((REPLICATES, sums.shape[0], *sums.shape[3:]))
    for at in range(REPLICATES):
        drawn[at] = np.einsum("o,c,moclk->mlk", often[at], space[at], sums, optimize=True)
    return drawn


def with_all(sums: Float64) -> Float64:
    """Means (..., leads + 1) from sums (..., leads, 2); the last is over all leads."""
    whole = np.concatenate([sums, sums.sum(axis=-2, keepdims=True)], axis=-2)
    return np.asarray(whole[..., 1] / whole[..., 0])


def interval(draws: Float64) -> Float64:
    return np.asarray(np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0))


def rounded(values: Float64) -> list[float]:
    return [round(float(value), 4) for value in values]
