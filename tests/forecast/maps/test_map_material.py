"""What each protocol makes of tiles, and what it refuses."""

import numpy as np
import pytest

from insar_dask.cube import CubeError
from insar_dask.forecast.maps.framing import frames_of
from insar_dask.forecast.maps.map_material import honest_material, paper_material
from insar_dask.forecast.timetable import TooShortError
from tests.forecast.maps.toy_tiles import toy_tiles

TILES = toy_tiles()


def test_stages_come_one_after_the_other():
    for material in (honest_material(TILES), paper_material(TILES)):
        train, validation, test = (material.origins(stage) for stage in ("train", "validation", "test"))
        assert train[-1] + material.horizon <= validation[0]
        assert validation[-1] + material.horizon <= test[0]
        assert test[-1] + material.horizon <= TILES.sizes["time"]
    blocks = paper_material(TILES)
    assert [len(blocks.origins(stage)) for stage in ("train", "validation", "test")] == [149, 17, 17]


def test_the_published_series_is_averaged_over_three_dates():
    averaged = paper_material(TILES).read
    raw = TILES["displacement"].values
    np.testing.assert_allclose(averaged[:, 5], raw[:, 4:7].mean(axis=1), atol=1e-5)


def test_a_trailing_average_leaves_the_targets_raw():
    material = honest_material(TILES, average=3)
    raw = TILES["displacement"].values
    np.testing.assert_allclose(material.read[:, 5], raw[:, 3:6].mean(axis=1), atol=1e-5)
    np.testing.assert_array_equal(material.asked, raw)


@pytest.mark.parametrize("made", [honest_material, paper_material])
def test_other_data_have_another_digest_and_last_bits_do_not_count(made):
    """Processors differ in them: tiles that AVX-512 drew and others are the same tiles."""
    digest = made(TILES).digest
    bits = TILES.copy(deep=True)
    bits["displacement"].values *= np.float32(1 + 2**-22)
    assert digest == made(toy_tiles()).digest == made(bits).digest
    moved, gone, later, turned, mirrored, shuffled = (TILES.copy(deep=True) for _ in range(6))
    moved["displacement"][0] *= 1.01
    gone["mask"][0, 7, 2, 2] = False
    later["time"] = later["time"] + np.timedelta64(1, "D")
    turned["displacement"] *= -1
    mirrored["displacement"].values[:] = TILES["displacement"].values[:, :, ::-1]
    shuffled["displacement"].values[:] = np.roll(TILES["displacement"].values, 7, axis=1)
    others = (moved, gone, later, turned, mirrored, shuffled)
    assert len({digest, *(made(other).digest for other in others)}) == 1 + len(others)


@pytest.mark.parametrize("made", [honest_material, paper_material])
def test_a_tile_without_a_point_is_named(made):
    empty = TILES.copy(deep=True)
    empty["mask"][0] = False
    with pytest.raises(CubeError, match=r"no cell of E32N34 holds a point .*: .* with .drop_sel\(tile=\['E32N34'\]\)"):
        made(empty)


def test_the_providers_columns_count_where_they_are_read():
    faster = TILES.copy(deep=True)
    faster["egms_velocity"][0] *= 1.01
    assert honest_material(TILES).digest == honest_material(faster).digest
    assert paper_material(TILES).digest != paper_material(faster).digest


def test_a_missing_date_is_named():
    with pytest.raises(CubeError, match="a map every 6 days, and 12 days after 2020-06-25 comes 2020-07-07: 1 of 238"):
        honest_material(TILES.drop_isel(time=30))


def test_a_missing_map_is_left_out_and_not_scored():
    lacking = TILES.copy(deep=True)
    lacking["displacement"][:, 190] = np.nan
    lacking["mask"] = lacking["mask"].where(lacking["time"] != lacking["time"][190], False).astype(bool)
    material = honest_material(lacking)
    frame = frames_of(material, [0]).frame(0, 195)
    assert (frame.values[5, 0] == 0).all() and np.isfinite(frame.values).all()
    assert np.isnan(material.targets(0, 185)[5]).all()


@pytest.mark.parametrize("n_dates", [19, 130])
def test_short_records_are_refused(n_dates):
    needed = f"the record has {n_dates} dates of 6 days, 182 are needed for horizon 10, context 10 and test_fraction"
    with pytest.raises(TooShortError, match=needed):
        honest_material(TILES.isel(time=slice(0, n_dates)))


def test_the_ridge_reads_more_than_a_network():
    material = honest_material(TILES)
    assert (material.context, material.plan.context) == (10, 30)


def test_tiles_that_have_seen_the_future_are_refused():
    with pytest.raises(CubeError, match="sees_future"):
        honest_material(TILES.assign_attrs(sees_future=-1))


def test_the_published_protocol_needs_the_providers_columns():
    with pytest.raises(CubeError, match="no egms_velocity, which the published protocol reads"):
        paper_material(TILES.drop_vars("egms_velocity"))
