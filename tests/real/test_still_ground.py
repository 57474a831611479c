"""Ustica is quiet: whatever is found there is false."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import insar_dask as insar
from insar_dask.detect.clusters import cluster_points
from insar_dask.detect.errors import honest_errors
from insar_dask.detect.finding import find_areas
from insar_dask.detect.mapping import area_maps

PRODUCTS = {
    "EGMS_L2b_117_0227_IW2_VV_2020_2024_1.zip": (60.0, 5),
    "EGMS_L2b_022_0845_IW2_VV_2020_2024_1.zip": (60.0, 5),
    "EGMS_L3_E45N17_100km_E_2020_2024_1.zip": (150.0, 3),
    "EGMS_L3_E45N17_100km_U_2020_2024_1.zip": (150.0, 3),
}
"""Reach [m] and fewest points of a cluster."""


@pytest.fixture(scope="module", params=PRODUCTS)
def told(request: pytest.FixtureRequest, real_data: Path) -> tuple[str, xr.Dataset]:
    cube = insar.read_egms(real_data / "egms" / request.param).compute()
    return request.param, honest_errors(insar.motion(cube), cube)


def test_no_area_is_found_on_quiet_ground(told: tuple[str, xr.Dataset]) -> None:
    name, motion = told
    radius, fewest = PRODUCTS[name]
    maps = area_maps(motion)
    for limit, most in ((15.0, 0), (10.0, 0), (5.0, 2)):
        fast = np.abs(motion.velocity.values) > limit
        labels = cluster_points(motion.easting.values[fast], motion.northing.values[fast], radius, fewest)
        assert labels.max(initial=-1) + 1 <= most
        for options in ({"method": "paper", "body": limit}, {"season": None, "body": min(limit, 5.0)}, {}):
            assert len(find_areas(maps, seed=max(limit, 5.0), sign="both", fewest=fewest, **options)) <= most


def test_errors_are_those_that_halves_of_the_record_show(told: tuple[str, xr.Dataset]) -> None:
    """The halves of U differ by 1.56 mm/yr and those of E by 1.76, which is 5.6 times what white noise says."""
    name, motion = told
    if "_100km_" in name:
        wanted = 1.56 if "_U_" in name else 1.76
        assert motion.attrs["velocity_std_floor"] == pytest.approx(wanted / 2, abs=0.02)
    assert motion.attrs["velocity_std_from_floor"] > 0.9
