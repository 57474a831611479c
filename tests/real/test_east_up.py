"""The official Level 3 tile of Ustica out of its two bursts, and a Sentinel-1 pair of rasters in California."""

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numcodecs import Zstd

import insar_dask as insar
from insar_dask.geometry.series import EastUp, east_up
from insar_dask.geometry.velocities import east_up_velocity

BURSTS = ("EGMS_L2b_117_0227_IW2_VV_2020_2024_1.zip", "EGMS_L2b_022_0845_IW2_VV_2020_2024_1.zip")
TILE = (4_500_000, 1_700_000, 4_600_000, 1_800_000)


@pytest.fixture(scope="module")
def made(real_data: Path) -> EastUp:
    """Of the recipe of Level 3, which is the default."""
    return east_up([insar.read_egms(real_data / "egms" / name) for name in BURSTS], extent=TILE)


@pytest.mark.parametrize("component", ["east", "up"])
def test_the_official_tile_is_met_to_print(component: str, made: EastUp, real_data: Path) -> None:
    path = real_data / "egms" / f"EGMS_L3_E45N17_100km_{component[0].upper()}_2020_2024_1.zip"
    ours, theirs = _in_order(getattr(made, component)), _in_order(insar.read_egms(path).compute())
    assert ours.sizes == theirs.sizes == {"point": 522, "time": 304}
    for axis in ("easting", "northing", "time"):
        np.testing.assert_array_equal(ours[axis], theirs[axis])
    difference = ours.displacement.values.astype(np.float64) - theirs.displacement.values
    assert np.sqrt((difference**2).mean()) <= 0.032
    assert np.abs(difference).max() <= 0.14
    assert (np.round(ours.displacement.values, 1) == theirs.displacement.values).mean() >= 0.965
    with zipfile.ZipFile(path) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".csv")]
        printed = pd.read_csv(archive.open(name)).sort_values(["easting", "northing"])
    velocity = insar.motion(ours).velocity.values
    assert np.abs(velocity - printed["mean_velocity"].to_numpy()).max() <= 0.055
    assert np.abs(ours.height.values - printed["height_ortho"].to_numpy()).max() <= 0.051


def test_geometry_is_that_of_the_island(made: EastUp) -> None:
    up = made.up
    assert up.attrs["n_solved"] == 522
    assert np.median(up.condition) == pytest.approx(2.1, abs=0.05)
    assert float(up.condition.max()) == pytest.approx(25.9, abs=0.05)
    single = (up.n_ascending.values == 1) & (up.n_descending.values == 1)
    assert np.median(made.east.displacement_std.values[single]) == pytest.approx(1.16, abs=0.01)
    assert np.median(up.displacement_std.values[single]) == pytest.approx(0.90, abs=0.01)


def test_a_pair_of_rasters_gives_east_and_up(real_data: Path, tmp_path: Path) -> None:
    sides = []
    for name, track in (("a064", "064"), ("d071", "071")):
        path = tmp_path / f"{name}.h5"
        path.write_bytes(Zstd().decode((real_data / "mintpy" / f"isceplus_{name}_velocity.h5.zst").read_bytes()))
        sides.append(insar.read_mintpy_velocity(path, track=track))
    found = east_up_velocity(sides, cell=500.0, one_track="nan")
    assert (found.up.reason.values == 0).mean() > 0.97
    for one in found:
        assert abs(float(one.velocity.median())) < 5
    assert float(found.up.condition.median()) < 3


def _in_order(cube: xr.Dataset) -> xr.Dataset:
    return cube.isel(point=np.lexsort((cube.northing.values, cube.easting.values)))
