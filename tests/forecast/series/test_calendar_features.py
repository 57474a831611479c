"""Features of dates; oracle: Python's own calendar."""

import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insar_dask.forecast.series.calendar_features import CALENDARS, calendar_features, year_range

dates = st.dates(datetime.date(2014, 1, 1), datetime.date(2040, 12, 31))


def days_of(date: datetime.date) -> np.ndarray:
    return np.array([(date - datetime.date(1970, 1, 1)).days])


@given(date=dates)
def test_published_features_are_year_month_and_day(date: datetime.date) -> None:
    features = calendar_features(days_of(date), "paper", years=(2015, 2019))[0]
    expected = (date.year - 2015) / 4, (date.month - 1) / 11 * 2 - 1, (date.day - 1) / 30 * 2 - 1
    np.testing.assert_allclose(features, expected, atol=1e-6)


@given(date=dates)
def test_waves_are_of_the_year_and_the_half_year(date: datetime.date) -> None:
    features = calendar_features(days_of(date), "waves")[0]
    angle = 2 * np.pi * date.timetuple().tm_yday / 365.25
    decades = (date - datetime.date(2015, 1, 1)).days / 3652.5
    expected = decades, np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle)
    np.testing.assert_allclose(features, expected, atol=1e-6)


def test_waves_do_not_jump_at_the_turn_of_the_year() -> None:
    days = days_of(datetime.date(2019, 12, 20)) + np.arange(24)
    assert np.abs(np.diff(calendar_features(days, "waves"), axis=0)).max() < 0.05


@pytest.mark.parametrize("kind", CALENDARS)
def test_features_keep_the_shape_of_the_dates(kind: str) -> None:
    days = np.arange(16_000, 16_024).reshape(4, 6)
    features = calendar_features(days, kind, years=year_range(days))
    assert (features.shape, features.dtype) == ((4, 6, CALENDARS[kind]), np.float32)


def test_a_training_block_within_one_year_counts_years_from_it() -> None:
    features = calendar_features(days_of(datetime.date(2021, 5, 1)), "paper", years=(2020, 2020))
    assert features[0, 0] == 1.0


def test_errors_name_the_kinds_and_the_lacking_years() -> None:
    with pytest.raises(ValueError, match="there are paper, waves"):
        calendar_features(np.arange(3), "lunar")
    with pytest.raises(ValueError, match="needs years"):
        calendar_features(np.arange(3), "paper")
