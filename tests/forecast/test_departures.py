import numpy as np
import pytest
from scipy import stats

from insar_dask.forecast.departures import chance, departures, leads_of, sustained, tail_table
from insar_dask.forecast.discoveries import adjusted
from insar_kernels.counting import bin_edges

LEVEL = 0.9


def histogram(ratios: np.ndarray) -> np.ndarray:
    """(1, 1, N_BINS), as `tally` counts."""
    return np.histogram(np.minimum(np.abs(ratios), 63.9), bin_edges())[0][None, None]


def p_of(errors: np.ndarray, table: dict[str, np.ndarray]) -> np.ndarray:
    half = table["width"][0, 0]
    return chance((errors / half).astype(np.float32), np.zeros(len(errors), np.int8), np.zeros(1, np.int64), table)


@pytest.mark.parametrize("noise", [stats.norm(), stats.t(4), stats.laplace()], ids=["normal", "t4", "laplace"])
def test_p_values_are_never_smaller_than_chance(noise) -> None:
    chances = np.random.default_rng(0)
    table = tail_table(histogram(noise.rvs(20_000, random_state=chances)), LEVEL)
    p = p_of(noise.rvs((200_000, 1), random_state=chances), table)
    for level in (0.1, 0.01, 1e-3, 1e-4):
        assert (p <= level).mean() <= 1.25 * level + 3 * np.sqrt(level / len(p))
    assert (p <= 0.1).mean() > 0.08  # and not much larger either


@pytest.mark.parametrize(
    ("noise", "count"),
    [(stats.norm(), 20), (stats.norm(), 100), (stats.t(4), 500), (stats.t(1.5), 20_000), (stats.cauchy(), 20_000)],
    ids=["very few normal", "few normal", "few t4", "t1.5", "cauchy"],
)
def test_few_errors_and_heavy_tails_raise_no_false_alarms(noise, count: int) -> None:
    """Unwrapping errors are such tails; on the average over what errors were seen."""
    chances = np.random.default_rng(7)
    shares = []
    for _ in range(60):
        table = tail_table(histogram(noise.rvs(count, random_state=chances)), LEVEL)
        p = p_of(noise.rvs((20_000, 1), random_state=chances), table)
        shares.append([(p <= level).mean() for level in (0.1, 0.01, 1e-3, 1e-4)])
    assert (np.mean(shares, axis=0) <= 1.25 * np.array([0.1, 0.01, 1e-3, 1e-4])).all(), np.mean(shares, axis=0)


def test_p_values_are_ranks_among_the_errors_before_the_tail() -> None:
    errors = np.random.default_rng(1).normal(size=999)
    table = tail_table(histogram(errors), LEVEL)
    edges = bin_edges()
    for error in (0.05, 0.51, 1.3, 2.1):
        least = edges[np.searchsorted(edges, error, "right") - 1]  # a bin counts as a whole
        rank = (1 + (np.abs(errors) >= least).sum()) / 1000
        assert p_of(np.array([[error]]), table)[0, 0] == pytest.approx(rank)


def test_points_without_a_class_or_a_value_have_no_p_value() -> None:
    table = tail_table(histogram(np.random.default_rng(2).normal(size=999)), LEVEL)
    p = chance(np.array([[1.0], [np.nan]], np.float32), np.array([-1, 0], np.int8), np.zeros(1, np.int64), table)
    assert np.isnan(p).all()


def test_departures_are_taken_on_the_line_between_leads() -> None:
    leads = leads_of(np.array([5, 12, 18]), np.array([12, 24]))
    mean = np.array([[10.0, 20.0], [10.0, np.nan]], np.float32)
    forecast = {"displacement": mean, "lower": mean - 2, "upper": mean + np.array([2, 4])}
    observed = np.full((2, 3), 11, np.float32)
    found, half = departures(observed, forecast, leads, np.zeros(2, np.float32), np.ones((2, 3)))
    np.testing.assert_allclose(found, [[1, 1, -4], [1, 1, np.nan]])
    np.testing.assert_allclose(half, [[2, 2, 2.5], [2, 2, np.nan]])
    wide = departures(observed, forecast, leads, np.array([1.5, 0], np.float32), np.ones((2, 3)))[1]
    np.testing.assert_allclose(wide[0, :2], 2.5)  # 2 and 1.5 at right angles


def test_a_lasting_departure_is_as_likely_as_its_least_unlikely_date() -> None:
    p = np.array([[0.5, 0.01, 0.02, 0.001], [0.01, 0.01, np.nan, 0.02], [0.01, 0.01, 0.01, 0.01], [np.nan] * 3 + [0.1]])
    side = np.array([[1, 2, 2, 2], [-1, -1, np.nan, -1], [1, -1, 1, 1], [1, 1, 1, 1]], np.float32)
    np.testing.assert_allclose(sustained(p, side, 3), [0.02, 0.02, 1, np.nan])
    np.testing.assert_allclose(sustained(p, side, 1), [0.001, 0.02, 0.01, 0.1])


@pytest.mark.parametrize("control", ["bh", "by"])
def test_rates_are_those_of_scipy(control) -> None:
    p = np.random.default_rng(3).uniform(size=500) ** 3
    np.testing.assert_allclose(adjusted(p, control), stats.false_discovery_control(p, method=control))
    gappy = np.where(np.arange(500) % 7 == 0, np.nan, p)
    got = adjusted(gappy, control)
    np.testing.assert_allclose(got[np.isfinite(p) & np.isfinite(gappy)],
                               stats.false_discovery_control(gappy[np.isfinite(gappy)], method=control))  # fmt: skip
    assert np.isnan(got[::7]).all()


def test_nothing_has_no_rate_and_no_other_control_is_known() -> None:
    assert adjusted(np.array([])).size == 0 and np.isnan(adjusted(np.array([np.nan]))).all()
    with pytest.raises(ValueError, match="control is 'holm'"):
        adjusted(np.ones(2), "holm")  # type: ignore[arg-type]


def test_the_share_of_false_alarms_is_held() -> None:
    chances, rates, seen = np.random.default_rng(4), [], []
    for _ in range(200):
        moved = np.arange(400) < 20
        p = np.where(moved, stats.norm.sf(chances.normal(4, 1, 400)), chances.uniform(size=400))
        raised = adjusted(p) <= 0.1
        rates.append((raised & ~moved).sum() / max(raised.sum(), 1))
        seen.append((raised & moved).sum() / 20)
    assert np.mean(rates) < 0.11 and np.mean(seen) > 0.7
