"""Blocks one after the other, windows inside them; oracle: the counts of the paper, and every window spelled out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insar_dask.cube import CubeError
from insar_dask.forecast.series.splits import Block, Split, split_by_date, split_by_length
from insar_dask.forecast.timetable import TooShortError


def test_published_split_has_71_4_and_4_windows_and_28_rolling_origins() -> None:
    split = split_by_length(166, (100, 33, 33))
    assert split == split_by_length(166)
    blocks = (split.train, split.validation, split.test)
    assert [len(block.origins(24, 6)) for block in blocks] == [71, 4, 4]
    assert len(split.test.origins(24, 6, reach_back=True)) == 28


@given(
    start=st.integers(0, 50),
    length=st.integers(1, 60),
    context=st.integers(1, 20),
    horizon=st.integers(1, 10),
    stride=st.integers(1, 4),
    reach_back=st.booleans(),
)
def test_windows_lie_within_their_block(
    start: int, length: int, context: int, horizon: int, stride: int, reach_back: bool
) -> None:
    block = Block("test", start, start + length)
    fitting = [
        origin
        for origin in range(start, start + length + 1)
        if origin - context >= (0 if reach_back else start) and origin + horizon <= start + length
    ][::stride]
    if not fitting:
        with pytest.raises(TooShortError, match=f"{context} \\+ {horizon} dates does not fit"):
            block.origins(context, horizon, stride, reach_back)
    else:
        assert block.origins(context, horizon, stride, reach_back).tolist() == fitting


@given(n_dates=st.integers(10, 400))
def test_default_lengths_keep_the_published_proportion_and_use_every_date(n_dates: int) -> None:
    split = split_by_length(n_dates)
    assert (split.train.start, split.test.stop) == (0, n_dates)
    assert (split.train.stop, split.validation.stop) == (split.validation.start, split.test.start)
    assert abs(split.train.stop - n_dates * 100 / 166) <= 0.5


def test_dates_cut_where_validation_and_test_begin() -> None:
    times = np.datetime64("2015-01-01", "ns") + np.arange(166) * np.timedelta64(12, "D")
    by_date = split_by_date(times, times[100], str(times[132] + np.timedelta64(1, "D")), times[160])
    assert by_date == Split(Block("train", 0, 100), Block("validation", 100, 133), Block("test", 133, 160))


def test_errors_say_what_would_fit() -> None:
    with pytest.raises(ValueError, match=r"\[100, 33, 33\], of 166 dates; the record has 158.*such as \[95, 31, 32\]"):
        split_by_length(158, (100, 33, 33))
    with pytest.raises(ValueError, match="stride is 0"):
        Block("train", 0, 100).origins(24, 6, stride=0)
    times = np.datetime64("2015-01-01", "ns") + np.arange(10) * np.timedelta64(12, "D")
    with pytest.raises(CubeError, match="the validation block has no date"):
        split_by_date(times, times[8], times[3])
