import numpy as np

from insar_dask.report import plot_map
from insar_dask.report.coherence import coherent
from insar_dask.report.gridding import display_grid
from insar_dask.report.maps import source_line
from tests.report.scenes import make_cube, make_products


def with_coherence(cube, values):
    products = make_products(cube)
    return products.assign_coords(coherence=("point", np.resize(np.array(values, np.float32), products.sizes["point"])))


def test_points_at_or_below_the_limit_are_left_out_and_counted(regular_cube):
    products = with_coherence(regular_cube, [0.1, 0.5, 0.31])
    shown, told = coherent(products, 0.3)
    low = products["coherence"].values <= 0.3
    assert np.isnan(shown["velocity"].values[low]).all()
    np.testing.assert_array_equal(shown["velocity"].values[~low], products["velocity"].values[~low])
    assert f"{low.sum()} of {low.size} ({low.mean():.1%})" in told
    assert shown.sizes["point"] == products.sizes["point"]
    assert np.isfinite(products["velocity"].values[0])


def test_an_unknown_coherence_is_not_enough(regular_cube):
    shown, told = coherent(with_coherence(regular_cube, [np.nan, 0.9]), 0.3)
    assert np.isnan(shown["rmse"].values[::2]).all()
    assert "0.3 or less" in told


def test_a_product_without_coherence_is_shown_whole(regular_cube):
    products = make_products(regular_cube)
    shown, told = coherent(products, 0.3)
    assert shown is products
    assert "no coherence" in told


def test_where_nothing_is_left_the_highest_coherence_is_told(regular_cube):
    shown, told = coherent(with_coherence(regular_cube, [0.1, 0.25]), 0.3)
    assert shown["velocity"].isnull().all()
    assert "highest coherence is 0.25" in told


def test_maps_count_and_suit_the_points_that_are_shown():
    place = np.random.default_rng(5).uniform(0, 5000, (2, 20_000))
    products = make_products(make_cube(*place, n_times=1))
    few = np.arange(20_000) % 40 == 0
    shown, _ = coherent(products.assign_coords(coherence=("point", np.where(few, 0.9, 0.2))), 0.3)
    all_cells, cells = display_grid(*place), display_grid(*place, few)
    assert cells.cell > all_cells.cell and len(cells.index) == 20_000
    told = source_line(shown, cells, shown["velocity"].values)
    assert "mean of 500 points in" in told and "mean of 20,000 points" in source_line(products, cells, place[0])
    lines = [text.get_text() for text in plot_map(shown, "velocity").axes[0].texts]
    assert any(f"cells of {cells.cell:g} m, mean of 500 points" in line for line in lines)
    assert "no point has a value" in source_line(shown, cells, np.full(20_000, np.nan))
