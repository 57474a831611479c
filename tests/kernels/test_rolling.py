import numpy as np
import pytest

from insar_kernels import rolling
from insar_kernels.history import least_squares
from insar_kernels.rolling import cross_products, rolling_residuals
from tests.kernels.test_history import design, series


def expected(values, columns, steps, before, after):
    windows = []
    for step in steps:
        fit = least_squares(values[:, :step], columns[:step])
        around = slice(step - before, step + after)
        windows.append(np.nan_to_num(values[:, around] - fit @ columns[around].T))
    return np.stack(windows, axis=1)


@pytest.mark.parametrize("gaps", [0.0, 0.05, 0.6])
def test_each_window_is_that_of_a_fit_on_the_dates_before_it(gaps):
    values, columns, steps = series(gaps=gaps), design(90), [40, 43, 60, 84]
    found = rolling_residuals(values, columns, steps, 24, 6)
    np.testing.assert_allclose(found, expected(values, columns, steps, 24, 6), atol=1e-4)


def test_a_window_knows_nothing_of_later_dates():
    values, columns = series(gaps=0.1), design(90)
    changed = values.copy()
    changed[:, 66:] = 1e4
    ours = rolling_residuals(values, columns, [40, 60], 24, 6)
    np.testing.assert_array_equal(ours, rolling_residuals(changed, columns, [40, 60], 24, 6))


def test_a_point_without_a_fit_teaches_nothing():
    values = np.full((2, 90), np.nan, np.float32)
    values[1, 50:] = 7.0  # none before the first origin
    windows = rolling_residuals(values, design(90), [40, 80], 24, 6)
    assert (windows[0] == 0).all() and (windows[1, 0] == 0).all()


def test_a_window_can_ask_for_more_dates_over_a_longer_span():
    values = series(3, gaps=0.0)
    values[0, :45] = np.nan  # 15 dates before the first origin, 35 before the second
    values[1, 7:50] = np.nan  # 17 dates over 60, then 37 over 80
    steps = np.array([60, 80])
    windows = rolling_residuals(values, design(90), steps, 24, 6, min_dates=17, min_span=30)
    assert (windows != 0).any(axis=2).tolist() == [[False, True], [True, True], [True, True]]
    twin = rolling._on_array(np, values, np.linalg.qr(design(90))[0], steps, 24, 6, 17, 30)
    np.testing.assert_allclose(twin, windows, atol=1e-8)


def test_no_origin_gives_no_window():
    assert rolling_residuals(series(3), design(90), [], 24, 6).shape == (3, 0, 30)


@pytest.mark.parametrize("gaps", [0.0, 0.4])
def test_whole_array_body_agrees_with_the_loop(gaps):
    values, columns = series(gaps=gaps), design(90)
    values[0] = np.nan
    steps = np.array([40, 55, 84])
    twin = rolling._on_array(np, values, np.linalg.qr(columns)[0], steps, 24, 6, 5, 0)
    np.testing.assert_allclose(twin, rolling_residuals(values, columns, steps, 24, 6), atol=1e-8)


def test_cross_products_agree_with_the_matrix_product():
    windows = np.random.default_rng(0).normal(0, 3, (50, 4, 30))
    flat = windows.reshape(-1, 30)
    np.testing.assert_allclose(cross_products(windows, 24), flat[:, :24].T @ flat, rtol=1e-12, atol=1e-9)
