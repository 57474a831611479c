"""Which windows are drawn; oracle: the shares asked for, and signals of known velocity and amplitude."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insar_dask.forecast.series.sampling import draw, kinds_of_groups, kinds_of_points, spread, weights


def test_points_are_told_apart_by_pattern_velocity_and_amplitude() -> None:
    days = np.arange(0, 12 * 60, 12)
    years = days[:, None] / 365.0
    moving, breathing = years, np.sin(2 * np.pi * years)
    series = np.concatenate([0 * years, 10 * moving, -10 * moving, 20 * moving, 8 * breathing], axis=1)
    kinds = kinds_of_points(series.T.astype(np.float32), days, np.zeros(5, np.int16))
    assert kinds[1] == kinds[2]
    assert len(set(kinds.tolist())) == 4
    assert kinds[3] > kinds[1] > kinds[4] > kinds[0]
    other = kinds_of_points(series.T.astype(np.float32), days, np.array([-1, 0, 1, 0, 0], np.int16))
    assert other[0] != kinds[0]
    assert other[2] != other[1] == kinds[1]


def test_a_point_whose_motion_cannot_be_estimated_counts_as_stable() -> None:
    days = np.arange(0, 12 * 40, 12)
    values = np.zeros((2, 40), np.float32)
    values[1] = np.nan
    kinds = kinds_of_points(values, days, np.zeros(2, np.int16))
    assert kinds[0] == kinds[1]


def test_a_group_is_of_the_kind_of_the_point_that_moves_most() -> None:
    members = np.array([[0, 1, 2], [3, -1, -1]])
    assert kinds_of_groups(np.array([4, 7, 5, 1]), members).tolist() == [7, 1]


def test_evenness_shows_what_there_is_or_all_kinds_alike() -> None:
    kinds = np.repeat([3, 9], [900, 100])
    for evenness, expected in ((1.0, 0.1), (0.5, 0.25), (0.0, 0.5)):
        shares = weights(kinds, evenness)
        assert shares.sum() == pytest.approx(1)
        assert shares[kinds == 9].sum() == pytest.approx(expected)
    with pytest.raises(ValueError, match="evenness is 2"):
        weights(kinds, 2)


@given(n=st.integers(1, 50), size=st.integers(1, 400), seed=st.integers(0, 2**31))
def test_each_group_is_drawn_as_often_as_its_share_asks_to_within_one(n: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shares = rng.random(n) + 1e-3
    shares /= shares.sum()
    drawn = draw(shares, size, rng)
    assert len(drawn) == size
    assert (np.abs(np.bincount(drawn, minlength=n) - size * shares) < 1 + 1e-6).all()


@settings(max_examples=40)
@given(n=st.integers(1, 2000), start=st.integers(0, 10**9))
def test_a_walk_meets_each_number_once_and_spreads_its_steps(n: int, start: int) -> None:
    walk = spread(np.arange(start, start + n), n)
    assert sorted(walk.tolist()) == list(range(n))
    few = np.sort(walk[: max(n // 10, 1)])
    gaps = np.diff(np.append(few, few[0] + n))
    assert gaps.max() <= 3 * n / len(few)
