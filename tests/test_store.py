import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given
from hypothesis import strategies as st

import insar_dask as insar
from insar_dask.cube import CubeError, check_cube
from insar_dask.layout import create_group
from insar_dask.objects import open_store
from insar_dask.shard_store import read_block, write_block
from insar_dask.shards import ShardPlan
from insar_dask.store import products, shard_plan
from insar_dask.tenths import NotTenthsError, decode_tenths, encode_tenths

GROUP = "EGMS_L2b_000_0000_IW1_VV_2020_2024_1/raw"


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, small_scene: xr.Dataset) -> Path:
    path = tmp_path_factory.mktemp("store") / "site.zarr"
    assert insar.save(small_scene, path, shard_points=512) == GROUP
    return path


def test_a_cube_comes_back_equal_whatever_order_it_was_in(
    stored: Path, small_scene: xr.Dataset, tmp_path: Path
) -> None:
    shuffled = small_scene.isel(point=np.random.default_rng(0).permutation(small_scene.sizes["point"]))
    insar.save(shuffled, tmp_path / "again.zarr", shard_points=512)
    for path in (stored, tmp_path / "again.zarr"):
        cube = insar.open_cube(path)
        check_cube(cube)
        by_id = small_scene.isel(point=np.argsort(small_scene.point_id.values))
        back = cube.compute().isel(point=np.argsort(cube.point_id.values))
        for name in by_id.variables:
            np.testing.assert_array_equal(back[name].values, by_id[name].values, err_msg=str(name))
        assert back.attrs == by_id.attrs


def test_groups_without_a_raw_cube_are_no_products(tmp_path: Path, small_scene: xr.Dataset) -> None:
    raw = insar.save(small_scene, tmp_path / "site.zarr", shard_points=512)
    insar.save(small_scene, tmp_path / "site.zarr", "mine/smooth", shard_points=512)
    assert [f"{name}/raw" for name in products(tmp_path / "site.zarr")] == [raw]
    assert insar.open_cube(tmp_path / "site.zarr").sizes == small_scene.sizes


@pytest.mark.parametrize("key", ["zarr.json", f"{Path(GROUP).parent}/zarr.json"])
@pytest.mark.parametrize("damage", [None, b"{", b"[]"])
def test_documents_above_a_group_are_mended(
    key: str, damage: bytes | None, tmp_path: Path, small_scene: xr.Dataset
) -> None:
    store, cube = open_store(tmp_path / "site.zarr"), small_scene.isel(point=slice(2))
    create_group(store, GROUP, cube, ShardPlan(2, 2))
    whole = (tmp_path / "site.zarr" / key).read_bytes()
    (tmp_path / "site.zarr" / key).unlink()
    if damage is not None:
        (tmp_path / "site.zarr" / key).write_bytes(damage)
    assert not create_group(store, GROUP, cube, ShardPlan(2, 2))
    assert (tmp_path / "site.zarr" / key).read_bytes() == whole


def test_opening_reads_no_series(stored: Path) -> None:
    cube = insar.open_cube(stored)
    assert cube.displacement.chunks == ((512,) * 5 + (440,), (90,))
    assert cube.displacement.dtype == np.float32


def test_displacement_is_stored_as_int16_tenths_that_others_decode(stored: Path) -> None:
    array = zarr.open_array(stored / GROUP / "displacement", mode="r")
    assert (array.dtype, array.shards, array.attrs["_FillValue"]) == (np.int16, (512, 90), -32768)
    theirs = xr.open_zarr(stored, group=GROUP, consolidated=False)
    np.testing.assert_allclose(theirs.displacement, insar.open_cube(stored).displacement, atol=1e-5)
    assert theirs.displacement.attrs["units"] == "mm"


def test_the_first_value_that_is_no_tenth_widens_the_array(tmp_path: Path, small_scene: xr.Dataset) -> None:
    cube = small_scene.copy(deep=True)
    cube.displacement[-1, -1] = 0.123
    insar.save(cube, tmp_path / "wide.zarr", shard_points=512)
    back = insar.open_cube(tmp_path / "wide.zarr")
    assert zarr.open_array(tmp_path / "wide.zarr" / GROUP / "displacement", mode="r").dtype == np.float32
    assert set(back.displacement.values.ravel()) >= {np.float32(0.123)}


def test_one_series_is_one_small_range(stored: Path) -> None:
    array = zarr.open_array(stored / GROUP / "displacement", mode="r")
    assert array.chunks[1] == 90 and array.chunks[0] * 90 * 2 <= 640 * 1024


def test_equal_cubes_have_equal_metadata(stored: Path) -> None:
    text = (stored / GROUP / "zarr.json").read_text()
    attributes = json.loads(text)["attributes"]
    assert list(attributes) == sorted(attributes)
    assert attributes["Conventions"] == "CF-1.11"


def test_only_whole_shards_are_written(stored: Path, small_scene: xr.Dataset) -> None:
    store = open_store(stored)
    with pytest.raises(CubeError, match=r"shard 1 holds points 512\.\.1024, but 100 came"):
        write_block(store, GROUP, shard_plan(store, GROUP), 1, small_scene.isel(point=slice(0, 100)))


def test_a_group_is_made_anew_only_when_it_would_differ(tmp_path: Path, small_scene: xr.Dataset) -> None:
    store, plan = open_store(tmp_path / "site.zarr"), ShardPlan(3000, 512)
    assert create_group(store, "a/raw", small_scene.isel(point=slice(0, 2)), plan)
    assert not create_group(store, "a/raw", small_scene, plan)
    assert create_group(store, "a/raw", small_scene.isel(time=slice(0, 50)), plan)
    assert read_block(store, "a/raw", 0).sizes == {"point": 512, "time": 50}


def test_the_document_of_a_group_changes_with_its_arrays_and_older_ones_stay(
    tmp_path: Path, small_scene: xr.Dataset
) -> None:
    store, plan, path = open_store(tmp_path / "site.zarr"), ShardPlan(3000, 512), tmp_path / "site.zarr/a/raw/zarr.json"
    wide, tenths = small_scene.copy(), small_scene.copy()
    wide["displacement"].encoding, tenths["displacement"].encoding = {"dtype": "float32"}, {"dtype": "int16"}
    later = wide.assign_coords(time=wide["time"] + np.timedelta64(1, "D"))
    documents = []
    for cube in (tenths, wide, later):
        assert create_group(store, "a/raw", cube, plan)
        documents.append(path.read_bytes())
    assert len(set(documents)) == 3
    older = json.loads(documents[2])
    del older["attributes"]["arrays_sha256"]
    path.write_text(json.dumps(older, indent=2))
    assert not create_group(store, "a/raw", later, plan)
    assert create_group(store, "a/raw", wide, plan)


def test_a_store_of_several_products_asks_which(stored: Path, small_scene: xr.Dataset) -> None:
    insar.save(small_scene, stored, "other/raw", shard_points=512)
    assert products(stored) == [GROUP[:-4], "other"]
    with pytest.raises(CubeError, match=r"holds 2 products, name one of: \['EGMS_L2b.*', 'other/raw'\]"):
        insar.open_cube(stored)
    with pytest.raises(CubeError, match="no group 'other/smooth'"):
        insar.open_cube(stored, "other/smooth")


def test_what_is_no_store_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"insar_dask\.save"):
        insar.open_cube(tmp_path / "nothing.zarr")


@given(st.lists(st.one_of(st.none(), st.integers(-32767, 32767)), min_size=1))
def test_tenths_lose_nothing(tenths: list[int | None]) -> None:
    values = np.array([np.nan if k is None else k / 10 for k in tenths], np.float32)
    np.testing.assert_array_equal(decode_tenths(encode_tenths(values)), values)


@pytest.mark.parametrize("value", [0.05, 3276.8, -3276.8, np.inf])
def test_what_tenths_cannot_hold_is_refused(value: float) -> None:
    with pytest.raises(NotTenthsError):
        encode_tenths(np.array([1.0, value], np.float32))


@given(st.integers(1, 10**7), st.integers(1, 2000), st.integers(7, 17))
def test_shards_cover_every_point_once(n_points: int, n_dates: int, power: int) -> None:
    plan = ShardPlan.of(n_points, n_dates, 2**power)
    slices = [plan.slice(i) for i in range(plan.n_shards)]
    assert [s.start for s in slices[1:]] == [s.stop for s in slices[:-1]]
    assert (slices[0].start, slices[-1].stop) == (0, n_points)
    assert plan.shard % plan.inner(n_dates * 2) == 0 and plan.shard <= 2**power


def test_a_group_does_not_keep_arrays_of_an_earlier_cube(tmp_path: Path, small_scene: xr.Dataset) -> None:
    store, plan = open_store(tmp_path / "site.zarr"), ShardPlan(3000, 512)
    judged = small_scene.assign(quality=("point", np.arange(3000.0)))
    assert create_group(store, "a/raw", judged, plan)
    assert create_group(store, "a/raw", small_scene, plan)
    assert "quality" not in read_block(store, "a/raw", 0)


def test_of_a_shard_only_what_is_named_is_read(stored: Path) -> None:
    store = open_store(stored)
    whole = read_block(store, GROUP, 5)
    some = read_block(store, GROUP, 5, ["displacement", "easting"])
    assert {name for name in some.variables if "point" in some[name].dims} == {"displacement", "easting"}
    xr.testing.assert_identical(
        some, whole[["displacement", "observed"]].drop_vars(set(whole.coords) - set(some.coords))
    )
