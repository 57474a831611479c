"""A sample of whole groups by kinds of motion; oracle: series whose kind is known, and the shares asked for."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from insar_dask.cube import CubeError
from insar_dask.forecast.series.framing import Framing
from insar_dask.forecast.series.point_sample import _allotted, sample_points
from insar_dask.forecast.series.point_source import ArrayPoints
from tests.forecast.lines import N_DATES, SPLIT, TIMES

LENGTH = 4
YEARS = 12 * np.arange(N_DATES) / 365.0


def source_of(rates: np.ndarray, patterns: np.ndarray | None = None, block: int = 32) -> ArrayPoints:
    """Points 50 m apart that move at these rates [mm/yr]."""
    places = np.arange(len(rates))[:, None] * [50.0, 0.0]
    whole = ArrayPoints.of((rates[:, None] * YEARS).astype(np.float32), places, TIMES, patterns)
    return ArrayPoints(whole.points, whole.days, whole.observed, block)


def framing_of(source: ArrayPoints, length: int = LENGTH) -> Framing:
    return Framing.of(source, SPLIT.train, context=8, horizon=3, length=length, reach=100.0)


def test_a_sample_is_of_whole_groups_of_neighbours() -> None:
    source = source_of(np.zeros(400))
    chosen = sample_points(source, framing_of(source), 80)
    assert len(chosen) == len(np.unique(chosen)) == 80
    groups = chosen.reshape(-1, LENGTH)
    assert (np.diff(groups, axis=1) == 1).all()
    assert (groups[:, 0] % LENGTH == 0).all()
    assert np.ptp(chosen) > 300


@pytest.mark.parametrize(("evenness", "share"), [(1.0, 0.1), (0.5, 0.25), (0.0, 0.5)])
def test_rare_motion_is_shown_more_often_than_it_occurs(evenness: float, share: float) -> None:
    rates = np.where(np.arange(4000) < 400, 30.0, 0.0)
    source = source_of(rates)
    chosen = sample_points(source, framing_of(source), 400, evenness=evenness)
    assert len(chosen) == 400
    assert (rates[chosen] > 0).mean() == pytest.approx(share, abs=0.01)


def test_a_kind_with_too_few_groups_gives_all_and_the_others_the_rest() -> None:
    rates = np.where(np.arange(400) < 8, 30.0, 0.0)
    source = source_of(rates)
    chosen = sample_points(source, framing_of(source), 200, evenness=0.0)
    assert len(chosen) == 200
    assert set(range(8)) <= set(chosen.tolist())
    assert len(sample_points(source, framing_of(source), 10_000)) == 400


def test_one_pattern_alone_is_sampled() -> None:
    patterns = np.arange(400) // 40 % 4
    source = source_of(np.zeros(400), patterns)
    chosen = sample_points(source, framing_of(source), 48, pattern=3)
    assert len(chosen) == 48
    assert (patterns[chosen] == 3).all()


def test_motion_after_the_training_block_does_not_choose() -> None:
    source = source_of(np.linspace(-40, 40, 400))
    later = source.points.values.copy()
    later[:, SPLIT.train.stop :] = np.nan
    blind = ArrayPoints.of(later, source.points.places, TIMES)
    blind = ArrayPoints(blind.points, blind.days, blind.observed, source.block)
    one, other = (sample_points(s, framing_of(s), 100, seed=3) for s in (source, blind))
    np.testing.assert_array_equal(one, other)


def test_points_too_few_for_a_group_are_an_error_with_its_cure() -> None:
    source = source_of(np.zeros(6))
    with pytest.raises(CubeError, match=r"no 8 neighbours within 100 m.*shorter groups or a longer reach"):
        sample_points(source, framing_of(source, length=8), 8)


@settings(max_examples=40)
@given(
    sizes=st.lists(st.integers(1, 200), min_size=1, max_size=12), wanted=st.integers(1, 500), evenness=st.floats(0, 1)
)
@example(sizes=[1, 1, 6, 1, 6], wanted=13, evenness=0.0)
def test_groups_are_allotted_to_the_last_one(sizes: list[int], wanted: int, evenness: float) -> None:
    there = np.array(sizes)
    given_ = _allotted(there, wanted, evenness)
    assert given_.sum() == min(wanted, there.sum())
    assert (given_ <= there).all()
    order = np.argsort(there, kind="stable")
    assert (np.diff(given_[order]) >= -1).all()  # who has more gets no less, but for rounding
