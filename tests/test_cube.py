from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from insar_dask.cube import CubeError, check_cube, years_since
from insar_dask.foresight import sees_future


def test_a_scene_is_a_cube(small_scene: xr.Dataset) -> None:
    assert check_cube(small_scene) is small_scene


FAULTS: dict[str, tuple[Callable[[xr.Dataset], object], str]] = {
    "no data set": (lambda cube: cube["displacement"], "wanted an xarray.Dataset, got DataArray"),
    "no displacement": (lambda cube: cube.drop_vars("displacement"), "no variable 'displacement'"),
    "transposed": (lambda cube: cube.transpose("time", "point"), "transpose"),
    "float64": (lambda cube: cube.astype("float64", keep_attrs=True), "astype"),
    "metres": (lambda cube: cube.assign(displacement=cube.displacement.assign_attrs(units="m")), "convert the values"),
    "no time": (lambda cube: cube.drop_vars("time"), "datetime64 coordinate"),
    "no dates": (lambda cube: cube.isel(time=slice(0, 0)), "no dates"),
    "backwards": (lambda cube: cube.isel(time=slice(None, None, -1)), "sortby"),
    "a date twice": (lambda cube: cube.isel(time=[0, 1, 1, 2]), "drop_duplicates"),
    "no ids": (lambda cube: cube.drop_vars("point_id"), "'point_id'"),
    "float32 place": (lambda cube: cube.assign_coords(easting=cube.easting.astype("f4")), "half a metre"),
    "no CRS": (lambda cube: cube.drop_vars("crs"), "no CRS"),
    "no track": (lambda cube: cube.assign_attrs({"component": "los"}).drop_attrs(deep=False), r"lack \['component'"),
    "positive down": (lambda cube: cube.assign_attrs(component="up", positive="down"), "turn the sign"),
    "odd component": (lambda cube: cube.assign_attrs(component="north"), "wanted one of"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_cube_is_told_why_and_the_cure(fault: str, small_scene: xr.Dataset) -> None:
    spoil, message = FAULTS[fault]
    with pytest.raises(CubeError, match=message):
        check_cube(spoil(small_scene))  # type: ignore[arg-type]


def test_a_cube_has_seen_no_future_unless_it_says_so(small_scene: xr.Dataset) -> None:
    assert sees_future(small_scene) == 0
    assert sees_future(small_scene.assign_attrs(sees_future=-1)) == -1


def test_years_have_365_days_and_may_start_anywhere() -> None:
    times = np.array(["2020-01-01", "2020-12-31", "2021-12-31"], "datetime64[ns]")
    np.testing.assert_allclose(years_since(times), [0, 1, 2])
    np.testing.assert_allclose(years_since(times, np.datetime64("2020-12-31")), [-1, 0, 1])
