import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from insar_dask.cube import CubeError
from insar_dask.report.choosing import representative_points


def products(n_points: int, seed: int = 0) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    names = ("velocity", "seasonality", "acceleration", "rmse")
    return xr.Dataset(
        {
            name: (
                "point",
                np.abs(rng.normal(0, 1, n_points)) if name in ("seasonality", "rmse") else rng.normal(0, 1, n_points),
            )
            for name in names
        }
    )


def test_eight_different_points_are_chosen_and_always_the_same():
    first, second = (representative_points(products(500)) for _ in range(2))
    assert first == second
    assert len({choice.number for choice in first}) == 8


def test_each_kind_is_found_where_it_was_planted():
    data = products(4000)
    planted = {
        "fast, negative": ("velocity", -30.0),
        "fast, positive": ("velocity", 30.0),
        "seasonal": ("seasonality", 25.0),
    }
    for number, (name, value) in enumerate(planted.values()):
        data[name][number * 1000 : number * 1000 + 25] = value
    chosen = {choice.reason: choice.number for choice in representative_points(data)}
    for number, reason in enumerate(planted):
        assert number * 1000 <= chosen[reason] < number * 1000 + 25


def test_a_single_outlier_is_not_shown():
    data = products(4000)
    data["velocity"][7] = -900.0
    assert 7 not in {choice.number for choice in representative_points(data)}


def test_a_still_point_is_called_stable():
    data = products(300)
    for name in data:
        data[name][42] = 0.0
    chosen = {choice.reason: choice.number for choice in representative_points(data)}
    assert 42 in (chosen["stable"], chosen["the median point"])


def test_points_without_values_are_never_chosen():
    data = products(50)
    data["rmse"][:45] = np.nan
    assert {choice.number for choice in representative_points(data)} == set(range(45, 50))


def test_of_no_usable_point_none_is_chosen():
    data = products(5)
    data["velocity"][:] = np.nan
    assert representative_points(data) == []


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(0, 10_000))
def test_any_number_of_points_gives_as_many_as_there_are_up_to_eight(n_points, seed):
    assert len(representative_points(products(n_points, seed))) == min(n_points, 8)


def test_equal_points_do_not_break_the_choice():
    data = products(20)
    for name in data:
        data[name][:] = 1.0
    assert [choice.number for choice in representative_points(data)] == list(range(8))


def test_a_missing_parameter_is_named():
    with pytest.raises(CubeError, match="acceleration"):
        representative_points(products(9).drop_vars("acceleration"))
