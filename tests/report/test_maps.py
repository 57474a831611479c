import matplotlib.colors
import numpy as np
import pytest

from insar_dask.cube import CubeError
from insar_dask.report import plot_map
from insar_dask.report.colours import colour_limits
from insar_dask.report.places import crs_name
from insar_dask.report.style import PALETTE, png_bytes, svg_text
from tests.report.scenes import make_cube, make_products


def words_on(figure) -> str:
    axes = figure.axes
    return " ".join(t.get_text() for ax in axes for t in (ax.title, ax._left_title, ax.yaxis.label, *ax.texts))


@pytest.mark.parametrize("name", ["velocity", "seasonality", "acceleration", "rmse"])
def test_a_map_says_crs_unit_limits_north_and_scale(regular_cube, name):
    text = words_on(plot_map(make_products(regular_cube).assign_attrs(sees_future=-1), name))
    for word in ("EPSG:3035", "cells of 100 m", "2–98%", "N", "m", "mm", "sees the whole series"):
        assert word in text
    assert "200 m" in text or "500 m" in text


def test_the_aspect_is_equal_and_the_limits_are_those_of_the_values(regular_cube):
    products = make_products(regular_cube)
    figure = plot_map(products, "velocity")
    axes, image = figure.axes[0], figure.axes[0].images[0]
    assert axes.get_aspect() == 1.0
    assert image.get_clim() == colour_limits(products["velocity"].values, signed=True)


def test_each_cell_of_a_regular_product_is_drawn_in_its_place(regular_cube):
    products = make_products(regular_cube)
    image = plot_map(products, "rmse").axes[0].images[0]
    west, _, _, north = image.get_extent()
    row = ((north - products["northing"].values) // 100).astype(int)
    column = ((products["easting"].values - west) // 100).astype(int)
    drawn = np.ma.filled(image.get_array(), np.nan)[row, column]
    np.testing.assert_allclose(drawn, products["rmse"].values, rtol=1e-6)


def test_two_hundred_thousand_points_become_a_small_picture():
    rng = np.random.default_rng(0)
    cube = make_cube(rng.uniform(4.5e6, 4.6e6, 200_000), rng.uniform(1.7e6, 1.8e6, 200_000), n_times=1)
    figure = plot_map(make_products(cube), "velocity")
    assert figure.axes[0].images[0].get_array().size < 750**2
    assert len(svg_text(figure, "big", "a map")) < 1_500_000


def test_an_unknown_quantity_is_an_error_that_names_the_known_ones(regular_cube):
    with pytest.raises(CubeError, match="velocity"):
        plot_map(make_products(regular_cube), "speed")


def test_no_crs_is_an_error(regular_cube):
    with pytest.raises(CubeError, match="no CRS"):
        plot_map(make_products(regular_cube).drop_vars("crs"), "velocity")


def test_no_points_is_an_error(regular_cube):
    with pytest.raises(CubeError, match="no points"):
        plot_map(make_products(regular_cube).isel(point=slice(0)), "velocity")


def test_crs_without_a_code_is_named_by_its_text(regular_cube):
    regular_cube["crs"].attrs.pop("epsg")
    assert crs_name(regular_cube) == "EPSG:3035"


def test_a_map_without_a_single_value_is_drawn_empty(regular_cube):
    products = make_products(regular_cube)
    products["velocity"][:] = np.nan
    assert png_bytes(plot_map(products, "velocity"), dpi=50).startswith(b"\x89PNG")


def test_inline_svg_follows_the_page_colours_and_says_what_it_shows(regular_cube):
    text = svg_text(plot_map(make_products(regular_cube), "velocity"), "v", 'a "map" & more')
    assert 'aria-label="a &quot;map&quot; &amp; more"' in text
    assert "var(--ink)" in text
    assert not [name for name, colour in PALETTE.items() if colour in text]
    assert "http://" not in text.replace("http://www.w3.org/", "")


def test_palette_colours_are_all_different():
    assert len({matplotlib.colors.to_hex(colour) for colour in PALETTE.values()}) == len(PALETTE)


@pytest.mark.parametrize("n_points", [2, 3, 9])
def test_a_handful_of_points_is_drawn_with_its_marks(n_points):
    cube = make_cube(4.5e6 + 130.0 * np.arange(n_points), np.full(n_points, 1.7e6), n_times=3)
    marks = {str(number + 1): number for number in range(n_points)}
    figure = plot_map(make_products(cube), "rmse", marks=marks)
    assert png_bytes(figure, dpi=50).startswith(b"\x89PNG")


def test_all_four_panels_have_one_size(regular_cube):
    products = make_products(regular_cube).assign_attrs(component="los")
    boxes = []
    for name in ("velocity", "seasonality", "acceleration", "rmse"):
        figure = plot_map(products, name)
        figure.draw_without_rendering()
        boxes.append(figure.axes[0].get_position().bounds[2:])
    assert np.ptp(boxes, axis=0).max() < 0.04
