import dask
import dask.array as da
import numpy as np
import pytest

from insar_dask.cube import CubeError
from insar_dask.report import plot_point
from insar_dask.report.series import fitted_curve, point_number
from insar_dask.report.style import png_bytes
from tests.report.scenes import make_forecast, make_products


def lines(figure, panel=0):
    return {line.get_label(): line for line in figure.axes[panel].get_lines()}


def test_the_fit_recovers_a_cubic_with_a_yearly_wave():
    times = np.datetime64("2020-01-03", "ns") + np.arange(200) * np.timedelta64(6, "D")
    years = np.arange(200) * 6 / 365
    truth = (
        3 - 2 * years + 0.5 * years**2 - 0.1 * years**3 + 1.5 * np.cos(2 * np.pi * years) - np.sin(2 * np.pi * years)
    )
    gappy = np.where(np.arange(200) % 3 == 0, np.nan, truth)
    np.testing.assert_allclose(fitted_curve(times, gappy, times), truth, atol=1e-9)


def test_seven_dates_are_too_few_for_a_fit():
    times = np.datetime64("2020-01-03", "ns") + np.arange(7) * np.timedelta64(6, "D")
    assert np.isnan(fitted_curve(times, np.ones(7), times)).all()


def test_what_is_drawn_as_observed_is_the_series(regular_cube):
    drawn = lines(plot_point(regular_cube, 3))["observed"].get_ydata()
    np.testing.assert_array_equal(drawn, regular_cube["displacement"].values[3])


def test_the_forecast_of_the_last_origin_is_drawn_with_its_interval(regular_cube):
    forecast = make_forecast(regular_cube)
    figure = plot_point(regular_cube, 3, forecast, make_products(regular_cube))
    assert len(figure.axes) == 2
    for panel in (0, 1):
        line = lines(figure, panel)["forecast"]
        np.testing.assert_array_equal(line.get_xdata(), forecast["time"].values[-1])
        assert [band.get_label() for band in figure.axes[panel].collections] == ["90% interval"]


def test_the_zoom_shows_the_whole_interval(regular_cube):
    figure = plot_point(regular_cube, 3, make_forecast(regular_cube))
    low, high = figure.axes[1].get_ylim()
    assert low < -3
    assert high > 3


def test_a_forecast_without_interval_is_drawn_as_a_line(regular_cube):
    forecast = make_forecast(regular_cube).drop_vars(["lower", "upper"])
    figure = plot_point(regular_cube, 0, forecast)
    assert "forecast" in lines(figure)
    assert not figure.axes[0].collections


def test_unit_dates_component_and_parameters_are_written(regular_cube):
    figure = plot_point(regular_cube, 2, motion=make_products(regular_cube))
    assert figure.axes[0].get_ylabel() == "displacement [mm]"
    title = figure.get_suptitle()
    for word in ("P00002é", "vertical", "2020-01-03", "velocity", "± 0.20 mm yr⁻¹"):
        assert word in title


def test_a_point_is_found_by_its_identifier(regular_cube):
    assert point_number(regular_cube, "P00007é") == 7
    with pytest.raises(CubeError, match="no point_id 'nobody'"):
        plot_point(regular_cube, "nobody")
    with pytest.raises(CubeError, match="no point 999"):
        plot_point(regular_cube, 999)


def test_a_point_without_values_is_drawn_empty(regular_cube):
    figure = plot_point(regular_cube, regular_cube.sizes["point"] - 1, make_forecast(regular_cube))
    figure.canvas.draw()


def test_a_smoothed_line_says_what_it_has_seen(regular_cube):
    smooth = regular_cube.assign_attrs(sees_future=30)
    assert "smoothed, sees 30 d ahead" in lines(plot_point(regular_cube, 0, smooth=smooth))
    assert "smoothed, sees the whole series" in lines(
        plot_point(regular_cube, 0, smooth=smooth.assign_attrs(sees_future=-1))
    )


def test_only_the_chunk_of_the_point_is_computed(regular_cube):
    touched = []

    def remember(block, block_info=None):
        touched.append(block_info[0]["chunk-location"][0])
        return block

    values = da.from_array(regular_cube["displacement"].values, chunks=(20, -1)).map_blocks(
        remember, dtype="float32", meta=np.empty((0, 0), "float32")
    )
    cube = regular_cube.assign(displacement=regular_cube["displacement"].copy(data=values))
    with dask.config.set(scheduler="synchronous"):
        plot_point(cube, 45)
    assert set(touched) == {2}


def test_a_selected_cube_finds_its_forecast_by_identifier(regular_cube):
    forecast = make_forecast(regular_cube)
    forecast["displacement"][:] = np.arange(regular_cube.sizes["point"])[None, :, None]
    forecast = forecast.assign_coords(point_id=regular_cube["point_id"])
    drawn = lines(plot_point(regular_cube.isel(point=slice(30, 60)), 4, forecast))["forecast"].get_ydata()
    np.testing.assert_array_equal(drawn, 34)


def test_data_of_other_points_are_refused(regular_cube):
    forecast = make_forecast(regular_cube)
    with pytest.raises(CubeError, match="no point_id"):
        plot_point(regular_cube.isel(point=slice(5)), 0, forecast)
    products = make_products(regular_cube).isel(point=slice(50, 60))
    with pytest.raises(CubeError, match="motion parameters has no point 'P00003é'"):
        plot_point(regular_cube, 3, motion=products)


@pytest.mark.parametrize("name", ["P$_{$x", "A$1$B"])
def test_a_name_with_dollars_is_no_formula(name, regular_cube):
    names = regular_cube["point_id"].values.astype("U20")
    names[0] = name
    figure = plot_point(regular_cube.assign_coords(point_id=("point", names)), 0)
    assert png_bytes(figure, dpi=50).startswith(b"\x89PNG")
    assert not figure._suptitle.get_parse_math() and figure._suptitle.get_text().startswith(name)
