"""What is made of a cube is stored as cubes are: any order, lazy or in memory, resumable, whole shards."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

import insar_dask as insar
from insar_dask.cube import CubeError
from insar_dask.jobs.engine import JobError
from insar_dask.jobs.forecasting.evaluation import known_cube
from insar_dask.jobs.receipts import Ledger
from insar_dask.objects import open_store
from insar_dask.store import shard_plan
from tests.conftest import stored_bytes

PERIOD = 30


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, small_scene: xr.Dataset) -> Path:
    path = tmp_path_factory.mktemp("site") / "site.zarr"
    insar.save(small_scene, path, "site/raw", shard_points=512, quiet=True)
    regular = insar.regularise(insar.open_cube(path), every="12D")
    insar.save(regular, path, "site/regular", shard_points=512, quiet=True)
    return path


def motion(regular: xr.Dataset) -> xr.Dataset:
    return insar.motion(regular)


def parts(regular: xr.Dataset) -> xr.Dataset:
    return insar.holt_winters(regular, PERIOD)


def labels(regular: xr.Dataset) -> xr.Dataset:
    return insar.Clusters(3, n_init=1, sample_size=500, batch_size=100).fit(regular).predict(regular)


def forecast(regular: xr.Dataset) -> xr.Dataset:
    return insar.holt_winters_forecast(parts(regular), steps=4)


PRODUCTS = (motion, parts, labels, forecast)


@pytest.mark.parametrize("lazy", [True, False])
@pytest.mark.parametrize("make", PRODUCTS)
def test_what_is_made_of_a_cube_comes_back_equal(
    make: Callable[[xr.Dataset], xr.Dataset], lazy: bool, site: Path, tmp_path: Path
) -> None:
    regular = insar.open_cube(site, "site/regular")
    data = make(regular if lazy else regular.compute())
    assert insar.save(data, tmp_path / "new.zarr", "site/made", quiet=True) == "site/made"
    back = insar.open_cube(tmp_path / "new.zarr", "site/made")
    xr.testing.assert_equal(back.compute(), data.compute())
    assert set(back.coords) == set(data.coords)
    for name, value in data.attrs.items():
        assert back.attrs[name] == value
    for name in data.data_vars:
        assert back[name].dtype == data[name].dtype and back[name].dims == data[name].dims
        assert back[name].attrs.get("units") == data[name].attrs.get("units")


def test_the_order_of_the_points_and_who_holds_them_change_no_byte(site: Path, tmp_path: Path) -> None:
    data = parts(insar.open_cube(site, "site/regular"))
    shuffled = data.compute().isel(point=np.random.default_rng(0).permutation(data.sizes["point"]))
    for name, one in (("lazy", data), ("memory", data.compute()), ("shuffled", shuffled)):
        insar.save(one, tmp_path / name, "site/parts", shard_points=512, quiet=True)
    assert stored_bytes(tmp_path / "lazy") == stored_bytes(tmp_path / "memory") == stored_bytes(tmp_path / "shuffled")


def test_shards_are_those_of_the_raw_cube_beside_it(site: Path, tmp_path: Path) -> None:
    store = open_store(site)
    regular = insar.open_cube(site, "site/regular")
    for make in PRODUCTS:
        insar.save(make(regular), site, f"site/my-{make.__name__}", quiet=True)
        assert shard_plan(store, f"site/my-{make.__name__}") == shard_plan(store, "site/raw")
    some = insar.motion(regular.isel(point=slice(100)))
    insar.save(some, site, "site/some", quiet=True)
    assert shard_plan(store, "site/some").n_points == 100


def test_without_a_series_the_shards_are_those_of_one(small_scene: xr.Dataset, tmp_path: Path) -> None:
    many = insar.motion(small_scene).isel(point=np.arange(40_000) % 3000)
    many["point_id"] = ("point", [f"{number:06d}" for number in range(40_000)])
    insar.save(many, tmp_path / "new.zarr", "site/products", quiet=True)
    insar.save(many, tmp_path / "new.zarr", "alone", quiet=True)
    for group in ("site/products", "alone"):
        assert shard_plan(open_store(tmp_path / "new.zarr"), group).n_shards == 20


def test_packing_taken_over_from_a_raw_cube_is_left_out(site: Path, tmp_path: Path) -> None:
    raw = insar.open_cube(site, "site/raw")
    data = raw.rename(displacement="before")
    data["before"].encoding["dtype"] = "int16"
    data = data.assign(before=data["before"].copy(data=data["before"].data * np.float32(1 / 3)))
    data["before"].encoding["dtype"] = "int16"
    insar.save(data, tmp_path / "new.zarr", "site/before", quiet=True)
    assert zarr.open_array(tmp_path / "new.zarr/site/before/before", mode="r").dtype == np.float32
    assert data["before"].encoding["dtype"] == "int16"
    xr.testing.assert_equal(insar.open_cube(tmp_path / "new.zarr", "site/before").compute(), data.compute())


@pytest.mark.parametrize("dtype", [object, np.dtypes.StringDType()])
def test_text_of_any_dtype_is_stored_whole(dtype: object, small_scene: xr.Dataset, tmp_path: Path) -> None:
    places = np.array(["", "Uster", "Zürich"] * 1000)
    plain = small_scene.assign(place=("point", places))
    ids = plain["point_id"].copy(data=plain["point_id"].values.astype(dtype))  # type: ignore[call-overload]
    other = plain.assign(place=("point", places.astype(dtype))).assign_coords(point_id=ids)  # type: ignore[call-overload]
    for name, cube in {"plain": plain, "memory": other, "lazy": other.chunk(point=1000)}.items():
        insar.save(cube, tmp_path / name, "site/raw", shard_points=512, quiet=True)
    assert stored_bytes(tmp_path / "plain") == stored_bytes(tmp_path / "memory") == stored_bytes(tmp_path / "lazy")
    assert set(insar.open_cube(tmp_path / "memory")["place"].values) == set(places)


@pytest.mark.parametrize("missing", [np.nan, 3])
def test_objects_that_are_no_text_are_refused(missing: object, small_scene: xr.Dataset, tmp_path: Path) -> None:
    places = np.array(["Uster"] * 2999 + [missing], object)
    cube = small_scene.assign(place=("point", places))
    with pytest.raises(CubeError, match=rf"'place' holds {missing!r} .*, which is no text; .*drop_vars\('place'\)"):
        insar.save(cube, tmp_path / "new.zarr", "site/raw", quiet=True)
    assert not (tmp_path / "new.zarr").exists()
    with pytest.raises(CubeError, match=rf"'place' holds {missing!r} .*, which is no text"):
        insar.save(cube.chunk(point=1000), tmp_path / "new.zarr", "site/raw", quiet=True)


KILLED = """
import sys, insar_dask as insar
regular = insar.open_cube(sys.argv[1], "site/regular")
data = insar.holt_winters(regular if sys.argv[3] == "lazy" else regular.compute(), 30)
insar.save(data, sys.argv[2], "site/parts", shard_points=512, quiet=True)
"""


@pytest.mark.parametrize("how", ["lazy", "memory"])
def test_a_killed_save_goes_on_where_it_was(how: str, site: Path, tmp_path: Path) -> None:
    path = tmp_path / "new.zarr"
    ledger, deadline = Ledger(open_store(path)), time.monotonic() + 200
    with subprocess.Popen([sys.executable, "-c", KILLED, str(site), str(path), how]) as process:
        while not ledger.done("site/parts"):
            assert time.monotonic() < deadline and process.poll() is None, "nothing was written, or all of it"
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    done = ledger.done("site/parts")
    assert 0 < len(done) < 6
    regular = insar.open_cube(site, "site/regular")
    data = insar.holt_winters(regular if how == "lazy" else regular.compute(), PERIOD)
    insar.save(data, path, "site/parts", shard_points=512, quiet=True)
    assert {index: ledger.done("site/parts")[index] for index in done} == done
    insar.save(data, tmp_path / "undisturbed.zarr", "site/parts", shard_points=512, quiet=True)
    assert stored_bytes(path) == stored_bytes(tmp_path / "undisturbed.zarr")


class KilledError(Exception):
    """Of whoever writes or removes one file more than it may."""


class Files:
    """Files that may yet be written or removed, but for what a run tells of itself; with none left all fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 0
        for name in ("replace", "unlink"):
            monkeypatch.setattr(os, name, self._counted(getattr(os, name)))

    def _counted(self, act: Callable[..., None]) -> Callable[..., None]:
        def counted(*paths: Any, **options: Any) -> None:
            if "history" not in str(paths[-1]):
                self.left -= 1
                if self.left < 0:
                    raise KilledError
            act(*paths, **options)

        return counted


def test_a_save_of_what_is_no_tenths_goes_on_wherever_it_is_killed(
    small_scene: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {"displacement", "easting", "northing", "point_id", "crs", "time"}
    cube = small_scene.isel(point=slice(300), time=slice(10)).drop_vars(set(small_scene.variables) - few)
    cube["displacement"] = cube["displacement"].copy()
    cube["displacement"][-1] += np.float32(0.013)
    files, most = Files(monkeypatch), 10**6

    def save(name: str, left: int) -> int:
        files.left = left
        insar.save(cube, tmp_path / name, "site/raw", shard_points=128, quiet=True)
        return left - files.left

    steps, wanted = save("undisturbed", most), stored_bytes(tmp_path / "undisturbed")
    assert save("undisturbed", 0) == 0
    kept_shards = 0
    for left in range(0, steps, steps // 12):
        with pytest.raises((KilledError, JobError)):
            save(str(left), left)
        with suppress(KilledError, JobError):
            save(str(left), left // 2)
        ledger = Ledger(open_store(tmp_path / str(left)))
        before = ledger.done("site/raw")
        save(str(left), most)
        assert stored_bytes(tmp_path / str(left)) == wanted, (left, before)
        kept = {index for index, receipt in ledger.done("site/raw").items() if receipt == before.get(index)}
        assert kept == {index for index, receipt in before.items() if receipt.key == ledger.done("site/raw")[index].key}
        kept_shards += len(kept)
    assert kept_shards > 2


@pytest.mark.parametrize("group", [None, "site/raw"])
@pytest.mark.parametrize("make", PRODUCTS)
def test_what_is_no_cube_needs_a_group_of_its_own(
    make: Callable[[xr.Dataset], xr.Dataset], group: str | None, site: Path, tmp_path: Path
) -> None:
    data = make(insar.open_cube(site, "site/regular"))
    with pytest.raises(ValueError, match=r"name another for this data set: save\(motion, '.*', 'site/products'\)"):
        insar.save(data, tmp_path / "new.zarr", group)
    assert not (tmp_path / "new.zarr").exists()


FAULTS: dict[str, tuple[Callable[[xr.Dataset], object], str]] = {
    "no data set": (lambda data: data["velocity"], "wanted an xarray.Dataset, got DataArray"),
    "no ids": (lambda data: data.drop_vars("point_id"), "needs 'point_id' over"),
    "no point axis": (lambda data: data.drop_vars("pixel").rename(point="dot"), r"needs 'point_id' over \('point',\)"),
    "float32 place": (lambda data: data.assign_coords(easting=data.easting.astype("f4")), "half a metre"),
    "no CRS": (lambda data: data.drop_vars("crs"), "set the grid-mapping variable 'crs'"),
    "no attributes": (lambda data: data.drop_attrs(deep=False), "attributes lack .* set cube.attrs"),
    "dates over points": (
        lambda data: data.assign(when=("point", np.full(data.sizes["point"], np.datetime64("2020-01-01", "ns")))),
        r"'when' is datetime64\[ns\] over points; wanted numbers, truths or text: .* \.drop_vars\('when'\)",
    ),
    "no points": (lambda data: data.isel(point=[]), "there are no points to save: give a cube that has some"),
    "a date twice": (lambda data: data.expand_dims(time=np.array(["2020"] * 2, "M8[ns]")), "drop_duplicates"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_stored_is_told_why_and_the_cure(fault: str, small_scene: xr.Dataset, tmp_path: Path) -> None:
    spoil, message = FAULTS[fault]
    with pytest.raises(CubeError, match=message):
        insar.save(spoil(insar.motion(small_scene)), tmp_path / "new.zarr", "site/products")  # type: ignore[arg-type]
    assert not (tmp_path / "new.zarr").exists()


def test_a_group_is_not_replaced_by_what_is_computed_from_it(site: Path) -> None:
    before = stored_bytes(site)
    raw, regular = insar.open_cube(site, "site/raw"), insar.open_cube(site, "site/regular")
    for data, group in ((insar.regularise(raw, every="12D"), "site/raw"), (insar.motion(regular), "site/regular")):
        with pytest.raises(CubeError, match=r"would be computed from itself: save to another group"):
            insar.save(data, site, group)
    assert stored_bytes(site) == before


def test_a_copy_of_an_inverted_cube_is_known_to_have_seen_its_future(small_scene: xr.Dataset, tmp_path: Path) -> None:
    inverted = small_scene.assign_attrs(sees_future=-1, recipe=[{"function": "invert"}])
    insar.save(inverted, tmp_path / "site.zarr", "site/raw", quiet=True)
    insar.save(inverted, tmp_path / "site.zarr", "site/smooth", quiet=True)
    copy = insar.open_cube(tmp_path / "site.zarr", "site/raw")
    assert copy.attrs["sees_future"] == -1 and known_cube(copy).attrs["sees_future"] == 0
    assert "recipe" not in insar.open_cube(tmp_path / "site.zarr", "site/smooth").attrs


def test_a_group_named_as_an_unfinished_file_harms_no_store(small_scene: xr.Dataset, tmp_path: Path) -> None:
    for product in ("burst.partial", "other"):
        insar.save(small_scene, tmp_path / "site.zarr", f"{product}/raw", quiet=True)
    assert insar.open_cube(tmp_path / "site.zarr", "burst.partial/raw").sizes["point"] == small_scene.sizes["point"]


def test_no_group_lies_among_the_receipts(small_scene: xr.Dataset, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="receipts of the store lie there"):
        insar.save(small_scene, tmp_path / "site.zarr", "jobs/receipts", quiet=True)


def test_what_is_computed_from_a_stored_cube_is_made_again_when_that_holds_other_values(
    small_scene: xr.Dataset, tmp_path: Path
) -> None:
    path, ledger = tmp_path / "site.zarr", Ledger(open_store(tmp_path / "site.zarr"))

    def stored(scale: float) -> tuple[xr.Dataset, set[str]]:
        raw = small_scene.assign(displacement=small_scene["displacement"] * np.float32(scale))
        insar.save(raw, path, "site/raw", shard_points=512, quiet=True)
        insar.save(insar.moving_average(insar.open_cube(path), 3), path, "site/smooth", quiet=True)
        keys = {receipt.key for receipt in ledger.done("site/smooth").values()}
        return insar.open_cube(path, "site/smooth").compute(), keys

    (once, first), (again, same), (double, other) = stored(1), stored(1), stored(2)
    assert first == same and first.isdisjoint(other)
    np.testing.assert_array_equal(again["displacement"], once["displacement"])
    np.testing.assert_allclose(double["displacement"], 2 * once["displacement"], rtol=1e-5)


def test_a_group_replaced_since_it_was_opened_is_not_replaced_by_what_is_computed_from_it(
    small_scene: xr.Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "site.zarr"
    insar.save(small_scene, path, "site/raw", shard_points=512, quiet=True)
    opened = insar.open_cube(path)
    insar.save(small_scene.assign_attrs(release="v2"), path, "site/raw", shard_points=512, quiet=True)
    with pytest.raises(CubeError, match="computed from itself"):
        insar.save(insar.moving_average(opened, 3), path, "site/raw", quiet=True)


@pytest.mark.parametrize(
    ("group", "other"),
    [("site/raw/parts", "site/raw"), ("site/raw/displacement/x", "site/raw"), ("site", "site/"), ("a", "a/b/c")],
)
def test_a_group_within_another_is_refused(group: str, other: str, site: Path, tmp_path: Path) -> None:
    path = shutil.copytree(site, tmp_path / "site.zarr")
    data = insar.motion(insar.open_cube(path, "site/regular"))
    insar.save(data, path, "a/b/c", quiet=True)
    before = stored_bytes(path)
    with pytest.raises(CubeError, match=rf"group '{group}' would share a folder of .* with '{other}.*beside it, such"):
        insar.save(data, path, group)
    assert stored_bytes(path) == before
    insar.save(data, path, "a/b/d", quiet=True)
    insar.save(data, path, "a/b/c", quiet=True)
