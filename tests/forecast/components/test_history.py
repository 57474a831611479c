from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from insar_dask.forecast.components.history import blocks_of, first_unknown, period_of, take_apart
from insar_dask.forecast.schedule import plan
from insar_dask.forecast.timetable import Origin, TooShortError


def test_everything_is_learned_before_the_first_validation_origin(plateau: xr.Dataset) -> None:
    made = plan(plateau["time"].values, horizon=6, context=24)
    split = blocks_of(made)
    assert split.validation.stop == made.validation[0].step
    assert split.train.start == 0 and split.train.stop == split.validation.start
    assert split.train.stop >= 2 * period_of(made.every) == 60
    assert len(split.validation.origins(24, 6, reach_back=True)) > 10
    assert first_unknown(made) == made.grid_days(0)[split.train.stop]


def test_too_few_dates_to_train_and_to_check_on_are_refused(plateau: xr.Dataset) -> None:
    made = plan(plateau["time"].values, horizon=6, context=24)
    least = blocks_of(replace(made, validation=(Origin(0, 66),)))
    assert (least.train.stop, least.validation.stop) == (60, 66)
    with pytest.raises(TooShortError, match=r"65 dates of 12 days lie before the first .* origin, 66 are needed"):
        blocks_of(replace(made, validation=(Origin(0, 65),)))
    with pytest.raises(TooShortError, match="a context of 80 and a horizon of 6"):
        blocks_of(replace(made, context=80, validation=(Origin(0, 90),)))


def test_components_add_up_and_know_nothing_that_comes(plateau: xr.Dataset) -> None:
    values = plateau["displacement"].values
    parts = take_apart(values, 70, 12)
    whole = parts.sum(axis=0)
    known = np.isfinite(values) & (np.arange(150) != 9)[:, None] & (np.arange(150) != 17)[:, None]
    np.testing.assert_allclose(whole[known], values[known], atol=1e-3)
    assert np.isnan(parts[:, ~np.isfinite(values)]).all(), "nothing is made up at a missing date"
    assert np.isnan(parts[:, [9, 17]]).all(), "less than two years cannot be taken apart"
    assert np.isfinite(parts[:, 23, 1]).all(), "a date of the year that was never observed keeps no series out"
    for date in (70, 100):
        blind = values.copy()
        blind[:, date:] = np.random.default_rng(0).normal(0, 1e4, blind[:, date:].shape)
        np.testing.assert_array_equal(take_apart(blind, 70, 12)[..., :date], parts[..., :date])
        np.testing.assert_array_equal(take_apart(values[:, :date], 70, 12), parts[..., :date])
