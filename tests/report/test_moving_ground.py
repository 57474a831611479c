import re

import numpy as np
import pytest

from insar_dask.report.moving_ground import moving_table
from tests.report.scenes import make_cube, make_products


def cells(html):
    rows = re.findall(r"<th scope=row>(.*?)</th>(.*?)</tr>", html)
    return {name: re.findall(r"<td>(.*?)</td>", values) for name, values in rows}


def straight_from_the_definition(products, limit, cell):
    velocity = products["velocity"].values.astype(np.float64)
    good = np.isfinite(velocity)
    heap = {}
    for x, y, v in zip(products["easting"].values, products["northing"].values, velocity, strict=True):
        if np.isfinite(v):
            heap.setdefault((x // cell, y // cell), []).append(v)
    means = np.array([np.mean(values) for values in heap.values()])
    return velocity[good], means, (means < -limit).sum() * cell**2 / 1e6, (means > limit).sum() * cell**2 / 1e6


@pytest.mark.parametrize("cell", [100.0, 250.0])
def test_points_and_area_are_counted_each_way(scattered_cube, cell):
    products = make_products(scattered_cube)
    products["velocity"] *= 4
    found = cells(moving_table(products, (10.0, 20.0), cell))
    for column, limit in enumerate((10.0, 20.0)):
        velocity, means, down, up = straight_from_the_definition(products, limit, cell)
        assert found["points down"][column] == str((velocity < -limit).sum())
        assert found["points up"][column] == str((velocity > limit).sum())
        assert found["share of points"][column] == f"{np.mean(np.abs(velocity) > limit):.1%}"
        assert found["km² down"][column] == f"{down:.2f}"
        assert found["km² up"][column] == f"{up:.2f}"
        assert found["share of area"][column] == f"{np.mean(np.abs(means) > limit):.1%}"


def test_on_a_regular_product_points_and_cells_have_one_share(regular_cube):
    products = make_products(regular_cube)
    products["velocity"] *= 4
    found = cells(moving_table(products))
    assert found["share of points"] == found["share of area"]


def test_the_ways_are_those_of_the_component(regular_cube):
    products = make_products(regular_cube)
    assert "away from the satellite" in moving_table(products.assign_attrs(component="los"))
    assert "points west" in moving_table(products.assign_attrs(component="east"))


def test_no_value_at_all_has_no_share():
    products = make_products(make_cube(4.5e6 + np.arange(3.0), np.full(3, 1.7e6), n_times=3))
    products["velocity"][:] = np.nan
    assert cells(moving_table(products))["share of points"] == ["·", "·"]
