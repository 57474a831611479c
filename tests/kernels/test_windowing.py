"""Windows of many series at once; oracle: slicing, one window at a time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from insar_kernels.windowing import cut_windows


@given(seed=st.integers(0, 2**31), n_windows=st.integers(0, 6), seats=st.integers(1, 4), length=st.integers(1, 9))
def test_windows_are_slices_of_their_series(seed: int, n_windows: int, seats: int, length: int) -> None:
    rng = np.random.default_rng(seed)
    series = rng.normal(0, 50, (7, 20)).astype(np.float32)
    series[rng.random(series.shape) < 0.2] = np.nan
    rows = rng.integers(-1, 7, (n_windows, seats))
    starts = rng.integers(0, 21 - length, n_windows)
    shift, scale = (rng.uniform(0.1, 9, rows.shape).astype(np.float32) for _ in range(2))
    windows, known = cut_windows(series, rows, starts, length, shift, scale)
    assert (windows.dtype, windows.shape) == (np.float32, (n_windows, seats, length))
    for b in range(n_windows):
        for seat in range(seats):
            wanted = np.full(length, np.nan, np.float32)
            if rows[b, seat] >= 0:
                cut = series[rows[b, seat], starts[b] : starts[b] + length]
                wanted = (cut - shift[b, seat]) / scale[b, seat]
            np.testing.assert_array_equal(known[b, seat], np.isfinite(wanted))
            np.testing.assert_array_equal(windows[b, seat], np.nan_to_num(wanted))
