from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from insar_dask.forecast import protocol
from insar_dask.forecast.leaderboard import _reason, ranked
from insar_dask.forecast.timetable import Plan

TIMES = np.datetime64("2019-01-01") + 12 * np.arange(160)


def counts(plan: Plan, **errors: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    """What is summed of errors (origins, 64 neighbourhoods, leads) at the validation origins."""
    total = {}
    for method, error in errors.items():
        ones = np.ones_like(error)
        total[f"honest.{method}.leads"] = np.stack([ones.sum(axis=(0, 1)), (error**2).sum(axis=(0, 1))], axis=-1)
        total[f"honest.{method}.groups"] = np.stack([ones.sum(axis=2), (error**2).sum(axis=2)], axis=-1)
    return total


@pytest.mark.parametrize(
    ("gain", "first"), [(0.0005, "kriging"), (0.1, "harmonic_ridge"), (-0.1, "kriging")], ids=["tie", "sure", "lower"]
)
def test_kriging_forecasts_unless_another_is_lower_by_more_than_chance(gain: float, first: str) -> None:
    methods = ("persistence", "harmonic_ridge", "kriging")
    plan = protocol.plan(TIMES, methods=methods)
    rng = np.random.default_rng(0)
    usual = rng.normal(0, 2, (len(plan.validation), 64, plan.horizon))
    ridge = usual * (1 - gain) + rng.normal(0, 0.02, usual.shape)
    total = counts(plan, persistence=2 * usual, harmonic_ridge=ridge, kriging=usual)
    found = ranked(total, plan)
    order, errors = found["ranking"].tolist(), dict(zip(*found.values(), strict=True))
    assert order[0] == first and order[2] == "persistence"
    assert errors["kriging"] == pytest.approx(np.sqrt(np.mean(usual**2)))
    assert (errors["harmonic_ridge"] < errors["kriging"]) == (gain > 0)


def test_without_the_usual_one_the_lowest_error_forecasts() -> None:
    plan = protocol.plan(TIMES, methods=("persistence", "harmonic"))
    error = np.random.default_rng(0).normal(0, 2, (len(plan.validation), 64, plan.horizon))
    found = ranked(counts(plan, persistence=error, harmonic=0.999 * error), plan)
    assert found["ranking"].tolist() == ["harmonic", "persistence"]
    assert (np.diff(found["validation_rmse"]) > 0).all()


def test_the_table_says_that_a_lower_error_was_no_more_than_chance() -> None:
    plan = protocol.plan(TIMES, methods=("harmonic_ridge", "kriging"))
    state = {"ranking": np.array(["kriging", "harmonic_ridge"]), "validation_rmse": np.array([2.09, 2.08])}
    assert _reason(plan, state).startswith(f"usual, with RMSE 2.09 mm at {len(plan.validation)} validation origins")
    assert _reason(plan, state).endswith("harmonic_ridge with 2.08 mm is lower by no more than chance")
    state["validation_rmse"] = state["validation_rmse"][::-1]
    assert _reason(plan, state).startswith("lowest RMSE, 2.08 mm")
