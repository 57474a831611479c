import json

import numpy as np
import pytest

from insar_dask.forecast.protocol import evaluate
from insar_dask.forecast.scores import Scores, block_bootstrap

METHODS = ("persistence", "harmonic", "harmonic_ridge")


@pytest.fixture(scope="module")
def scores(burst) -> Scores:
    return evaluate(burst, methods=METHODS, protocols=("honest", "as_published"))


def test_json_has_the_layout_that_the_report_reads(scores):
    data = json.loads(scores.to_json())
    assert set(data) == {
        *("product", "component", "horizon", "level", "every_days", "origins", "leads", "default", "reason", "methods"),
        *("tables", "coverage_by_quintile", "protocol", "notes"),
    }
    assert data["leads"][0] == {"step": 1, "days": 12} and len(data["leads"]) == data["horizon"] == 6
    assert set(data["tables"]) == {"honest", "as_published"}
    for table in data["tables"].values():
        assert list(table) == list(METHODS)
        for row in table.values():
            for name in ("rmse", "mae", "n", "coverage", "interval_width"):
                assert len(row[name]) == 6
            assert row["rmse_ci"][0] < row["rmse_all"] < row["rmse_ci"][1]
            assert set(row["strata"]) == {"stable", "seasonal", "trending", "accelerating"}
    assert np.shape(data["coverage_by_quintile"]["harmonic"]) == (5, 6)
    assert data["default"] in METHODS and "validation origins" in data["reason"]
    assert data["protocol"]["as_published"].startswith("LEAKS")


def test_json_survives_a_round_trip_with_scores_that_do_not_exist(scores):
    again = Scores.from_json(scores.to_json())
    assert again.to_json() == scores.to_json()
    again.tables["honest"]["harmonic"]["rmse"][0] = float("nan")
    assert json.loads(again.to_json())["tables"]["honest"]["harmonic"]["rmse"][0] is None
    assert np.isnan(Scores.from_json(again.to_json()).tables["honest"]["harmonic"]["rmse"][0])


def test_skill_is_against_the_best_naive(scores):
    table = scores.tables["honest"]
    best = table["persistence"]["rmse_all"]
    assert table["persistence"]["skill"] == 0
    assert table["harmonic"]["skill"] == pytest.approx(1 - table["harmonic"]["rmse_all"] / best)


def test_table_names_methods_the_default_and_the_leak(scores):
    honest, published = scores.table(), scores.table("as_published")
    assert all(method in honest for method in METHODS)
    assert f"* default: {scores.reason}" in honest
    assert "LEAKS" in published and "LEAKS" not in honest


def sums(errors, groups):
    """(1, origins, 64, 2) sums of an (origins, points) array of errors."""
    out = np.zeros((1, len(errors), 64, 2))
    for origin, row in enumerate(errors):
        out[0, origin, :, 0] = np.bincount(groups, minlength=64)
        out[0, origin, :, 1] = np.bincount(groups, row**2, minlength=64)
    return out


def test_bootstrap_of_independent_errors_has_the_textbook_width():
    rng = np.random.default_rng(0)
    errors, groups = rng.normal(0, 3, (40, 3000)), rng.integers(0, 64, 3000)
    low, high = block_bootstrap(sums(errors, groups), 1)[0]
    # the variance of the mean square is 2 s^4 / n; of the root 1/(2s) of that
    expected = 2 * 1.645 * 3 / np.sqrt(2 * errors.size)
    assert low < 3 < high
    # independent draws of origins and of neighbourhoods count the sampling error twice, once each way
    assert 0.8 * expected < high - low < 2.0 * expected


def test_bootstrap_widens_when_errors_are_alike_in_space():
    rng = np.random.default_rng(1)
    groups = rng.integers(0, 64, 3000)
    alike = rng.normal(0, 3, (40, 3000)) * rng.gamma(2, 0.5, 64)[groups]
    low, high = block_bootstrap(sums(alike, groups), 1)[0]
    assert high - low > 5 * 2 * 1.645 * 3 / np.sqrt(2 * alike.size)


def test_bootstrap_widens_when_errors_are_alike_in_time():
    rng = np.random.default_rng(2)
    groups = rng.integers(0, 64, 3000)
    seasons = np.repeat(rng.gamma(2, 0.5, 10), 4)[:, None]
    errors = rng.normal(0, 3, (40, 3000)) * seasons
    (short,), (long,) = (block_bootstrap(sums(errors, groups), length) for length in (1, 4))
    assert long[1] - long[0] > 1.3 * (short[1] - short[0])


def test_bootstrap_gives_the_same_bounds_again():
    errors, groups = np.random.default_rng(3).normal(0, 1, (5, 100)), np.arange(100) % 64
    np.testing.assert_array_equal(*(block_bootstrap(sums(errors, groups), 2) for _ in range(2)))


def test_bootstrap_of_nothing_is_nan():
    assert np.isnan(block_bootstrap(np.zeros((2, 5, 64, 2)), 2)).all()
