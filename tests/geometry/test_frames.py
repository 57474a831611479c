import numpy as np
import pytest
import xarray as xr

import insar_dask as insar
from insar_dask.cube import CubeError, years_since
from insar_dask.geometry.frames import align_frames, compare_frames
from tests.geometry.conftest import track_of


def frame(name: str, west: float, offset: float, slope: float, seed: int, way: str = "ascending") -> xr.Dataset:
    """3,000 points of a strip of 4 km x 3 km; a tenth of them are wrong by as much as they like."""
    chance = np.random.default_rng(seed)
    place = chance.uniform(0, 1, (3000, 2)) * [4000, 3000] + [4.5e6 + west, 1.7e6]
    times = np.datetime64("2020-01-03", "ns") + np.arange(seed, 500, 12) * np.timedelta64(1, "D")
    x = (place[:, 0] - 4.5e6) / 1000
    rate = -3 + 2 * np.sin(x) + offset + slope * x + np.where(chance.random(3000) < 0.1, chance.normal(0, 60, 3000), 0)
    values = np.multiply.outer(rate, years_since(times)) + chance.normal(0, 1, (3000, len(times)))
    return track_of(way, place, times, values, name)


def test_a_frame_is_brought_to_its_neighbours_reference() -> None:
    cubes = [frame("015", 0, 0, 0, 0), frame("117", 3000, 4, 0.5, 3), frame("022", 0, 9, 0, 5, "descending")]
    aligned, (none, fit, alone) = align_frames(cubes)
    assert none is alone is None and fit is not None
    assert fit.n_cells > 60 and fit.spread < 1.5
    centre = (fit.centre[0] - 4.5e6) / 1000
    assert fit.offset == pytest.approx(4 + 0.5 * centre, abs=0.2)
    assert fit.slopes == pytest.approx((0.5, 0.0), abs=0.3)
    shift = insar.motion(cubes[1]).velocity - insar.motion(aligned[1]).velocity
    place = np.stack([cubes[1].easting, cubes[1].northing], axis=1)
    np.testing.assert_allclose(shift, fit.at(place), atol=1e-3)
    assert aligned[0] is cubes[0] and aligned[1].attrs["sees_future"] == -1
    again = compare_frames(aligned[0], aligned[1])
    assert again is not None and abs(again.offset) < 0.01


def test_frames_that_do_not_meet_are_left_with_a_warning() -> None:
    cubes = [frame("015", 0, 0, 0, 0), frame("117", 50_000, 4, 0, 3)]
    with pytest.warns(UserWarning, match="meets no other ascending frame"):
        aligned, fits = align_frames(cubes)
    assert fits == [None, None] and aligned[1] is cubes[1]
    assert compare_frames(*cubes) is None


def test_only_frames_of_one_pass_are_compared() -> None:
    with pytest.raises(CubeError, match="only frames of one pass"):
        compare_frames(frame("015", 0, 0, 0, 0), frame("022", 0, 0, 0, 0, "descending"))
