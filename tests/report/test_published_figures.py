import numpy as np
import pytest
from matplotlib.colors import LogNorm

from insar_dask.report.gridding import fit_grid
from insar_dask.report.published_figures import Followed, plot_errors, plot_followed, plot_forecast_maps


@pytest.fixture
def measured() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 20, 400).astype(np.float32)


def test_the_residual_map_is_predicted_less_measured_where_both_are_known(measured: np.ndarray):
    place = np.arange(400.0)
    grid = fit_grid(100 * (place % 20), 100 * (place // 20), 100.0)
    predicted = measured + np.linspace(-1, 1, 400, dtype=np.float32)
    measured[7] = np.nan
    figure = plot_forecast_maps(grid, predicted, measured, "any")
    cells = [axes.images[0].get_array() for axes in figure.axes[:3]]
    expected = grid.mean(np.linspace(-1, 1, 400))
    known = np.isfinite(grid.mean(measured))
    np.testing.assert_allclose(cells[2][known], expected[known], atol=1e-4)
    assert cells[0].mask.sum() == cells[1].mask.sum() == cells[2].mask.sum() == (~known).sum()
    assert figure.axes[0].images[0].norm.vmax == figure.axes[1].images[0].norm.vmax
    assert "RMSE 0.58 mm, 399 points" in figure.get_suptitle()


def test_every_forecast_is_counted_in_the_errors(measured: np.ndarray):
    predicted = measured + np.float32(2)
    predicted[:3] = np.nan
    figure = plot_errors(predicted, measured, "any")
    histogram, density = figure.axes[:2]
    assert sum(bar.get_height() for bar in histogram.patches) == 397
    assert histogram.get_title(loc="left") == "mean 2.00, deviation 0.00 mm"
    assert isinstance(density.collections[0].norm, LogNorm)
    assert density.get_title(loc="left").startswith("RMSE 2.00 mm")


def test_points_are_followed_with_their_forecasts_on_the_right_dates():
    dates = np.datetime64("2020-01-01") + 12 * np.arange(60)
    measured = np.sin(np.arange(60.0)).astype(np.float32)
    measured[40] = np.nan
    point = Followed("A", measured, np.array([45, 50]), np.ones((2, 6), np.float32))
    figure = plot_followed(dates, [point] * 3, start=42, title="any")
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert len(shown) == 3
    lines = shown[0].get_lines()
    assert len(lines[0].get_xdata()) == 60 - 12 - 1
    assert lines[1].get_xdata()[0] == dates[45] and lines[2].get_xdata()[-1] == dates[55]
