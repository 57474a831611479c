from pathlib import Path

import numpy as np
import pytest
import shapely
import xarray as xr

import insar_dask as insar
from insar_dask.cube import CubeError
from insar_dask.detect.areas import Areas
from insar_dask.detect.counting import growth
from insar_dask.detect.finding import find_areas
from insar_dask.detect.given import judge_areas, read_areas
from insar_dask.detect.mapping import area_maps
from insar_dask.detect.rates import rates_in_space, recent_rates
from insar_dask.detect.vintages import carry_ids, first_ids
from insar_dask.detect.writing import write_areas
from tests.detect.test_evidence import YEARS, cube_of


def test_rates_are_those_of_the_last_years() -> None:
    """A slope that goes twice as fast from the third year on."""
    chance = np.random.default_rng(6)
    place = chance.uniform(0, 1000, (400, 2)) + np.array([4.5e6, 1.7e6])
    values = -10 * YEARS - 10 * np.maximum(0, YEARS - 2) + chance.normal(0, 1, (400, len(YEARS)))
    cube = cube_of(place, values)
    areas = Areas([shapely.box(4.5e6, 1.7e6, 4.5e6 + 500, 1.7e6 + 1000)], {"velocity_mean": np.array([-15.0])},
                  cube.crs.crs_wkt, {"cell": 50.0})  # fmt: skip
    early, late = recent_rates(areas, cube, "2020-12-31"), recent_rates(areas, cube)
    for told, rate in ((early, -10), (late, -20)):
        assert told["rate"][0] == pytest.approx(rate, abs=3 * told["rate_std"][0])
        assert 0 < told["rate_std"][0] < 1
    (change,) = growth(early, late).changes
    assert (change.rate_before, change.rate_after) == (early["rate"][0], late["rate"][0])
    with pytest.raises(CubeError, match="0 dates lie in the 2 years before 2000-01-01"):
        recent_rates(areas, cube, "2000-01-01")


def test_motion_down_a_slope_is_told() -> None:
    """A plane that falls to the south-west at 20 degrees, and creeps down it by 30 mm/yr."""
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(20) * 50.0 + 25, np.arange(20) * 50.0 + 25))
    slope, aspect = np.radians(20), np.radians(225)
    height = -np.tan(slope) * (x * np.sin(aspect) + y * np.cos(aspect))
    place = np.stack([x + 4.5e6, y + 1.7e6], axis=1)
    creep = {"east": 30 * np.cos(slope) * np.sin(aspect), "up": -30 * np.sin(slope)}
    maps = {}
    for component, rate in creep.items():
        cube = cube_of(place, np.multiply.outer(np.full(400, rate), YEARS), height=height.astype(np.float32))
        maps[component] = area_maps(insar.motion(cube.assign_attrs(component=component)))
    outline = shapely.box(4.5e6 + 100, 1.7e6 + 100, 4.5e6 + 600, 1.7e6 + 600)
    areas = rates_in_space(judge_areas([outline], maps["up"]), maps["east"], maps["up"])
    assert areas["slope_deg"][0] == pytest.approx(20, abs=0.01)
    assert areas["aspect_deg"][0] == pytest.approx(225, abs=0.01)
    # of motion to the south-west the two looks see only the part to the west
    wanted = 30 * (np.cos(slope) ** 2 * np.sin(aspect) ** 2 + np.sin(slope) ** 2)
    assert areas["slope_rate"][0] == pytest.approx(wanted, abs=0.01)
    with pytest.raises(CubeError, match="of two grids"):
        rates_in_space(areas, maps["east"].isel(x=slice(5)), maps["up"])
    with pytest.raises(CubeError, match="the maps of east are of component 'up'"):
        rates_in_space(areas, maps["up"], maps["up"])


def test_names_are_carried_on_from_a_file(scenes: list[xr.Dataset], tmp_path: Path) -> None:
    areas = find_areas(scenes[2])
    old = first_ids(areas, "plateau", "2019-12-31")
    back = read_areas(write_areas(old, tmp_path / "old.parquet"))
    assert back.attrs == {**old.attrs, "file": "old.parquet"}
    again = carry_ids(back, areas, "2023-12-31")
    assert again["area_id"].tolist() == old["area_id"].tolist() and set(again["event"]) == {"same"}
    assert growth(back, again).difference_km2 == 0


def test_acceleration_is_told_and_decides_nothing(scenes: list[xr.Dataset]) -> None:
    maps = scenes[2]
    told = maps.assign(
        acceleration=xr.full_like(maps.velocity, -3.0), acceleration_std=xr.full_like(maps.velocity, 1.0)
    )
    plain, areas = find_areas(maps), find_areas(told)
    np.testing.assert_array_equal(plain["area_m2"], areas["area_m2"])
    assert all("accelerating 1.00" in votes for votes in areas["votes"])
    np.testing.assert_allclose(areas["acceleration_mm_per_yr2"], -3.0)
