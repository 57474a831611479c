"""What Zarr makes of stores that do not hold together; `tests/fuzz` has many more of them."""

import errno
import gc
from gzip import BadGzipFile
from pathlib import Path

import pytest
import zarr
from zarr.errors import ZarrUserWarning
from zarr.storage import MemoryStore

from insar_dask.cube import CubeError
from insar_dask.store_errors import StoreError
from insar_dask.stored_arrays import arrays_below, check_layout, understood


@pytest.mark.parametrize("error", [TypeError("x"), RuntimeError(""), BadGzipFile("no gzip")])
def test_whatever_a_codec_says_names_the_place(error: Exception) -> None:
    said = rf"site/raw/height is not as it was written \({type(error).__name__}"
    with pytest.raises(CubeError, match=said), understood("site/raw/height"):
        raise error


def test_want_of_memory_is_not_laid_on_the_store_alone() -> None:
    said = r"site/raw/height is not as it was written, or more than there is memory for here \(MemoryError: 8 TB\)"
    with pytest.raises(CubeError, match=said), understood("site/raw/height"):
        raise MemoryError("8 TB")


@pytest.mark.parametrize("error", [OSError(errno.EIO, "disk"), StoreError("denied"), CubeError("said already")])
def test_what_is_no_fault_of_the_store_stays(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, understood("site/raw/height"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    ("shape", "chunks", "dims", "complaint"),
    [
        ((10**9,), (10**9,), ["time"], "too large for what all shards share"),
        ((10**12,), (1024,), ["point"], "in shards of"),
        ((200, 10**9), (128, 30), ["point", "time"], "in shards of"),
        ((200,), (128,), ["point", "time"], "names 2 of its 1 dimensions"),
    ],
)
def test_sizes_that_no_cube_has_are_refused(
    shape: tuple[int, ...], chunks: tuple[int, ...], dims: list[str], complaint: str
) -> None:
    array = zarr.create_array(MemoryStore(), shape=shape, chunks=chunks, dtype="float32")
    with pytest.raises(CubeError, match=complaint):
        check_layout(array, dims)


def test_the_largest_cube_of_a_continent_is_none_of_them() -> None:
    array = zarr.create_array(MemoryStore(), shape=(5_000_000_000, 304), chunks=(65_536, 304), dtype="int16")
    check_layout(array, ["point", "time"])


def test_of_several_damaged_arrays_the_first_is_named_and_nothing_else_printed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    group = zarr.create_group(tmp_path, path="site/raw")
    for name in ("easting", "height", "northing", "time"):
        group.create_array(name, shape=(4,), dtype="float32")
    (tmp_path / "site/raw/notes").mkdir()
    root = zarr.open_group(tmp_path, path="site/raw", mode="r")
    for draft in (".DS_Store", "zarr.0a1b.partial"):
        (tmp_path / "site/raw" / draft).touch()
    zarr.create_group(tmp_path, path="site/raw/deeper")
    with pytest.warns(UserWarning, match=r"site/raw/notes has no zarr\.json and is left out"):
        assert list(arrays_below(root)) == ["easting", "height", "northing", "time"]
    (tmp_path / "site/raw/notes").rmdir()
    for name, document in (("height", "{"), ("northing", "{}"), ("time", "no")):
        (tmp_path / "site/raw" / name / "zarr.json").write_text(document)
    with pytest.raises(CubeError, match="site/raw/height is not as it was written"):
        arrays_below(root)
    gc.collect()
    assert not caplog.records


def test_what_came_after_metadata_were_consolidated_is_read_too() -> None:
    store = MemoryStore()
    zarr.create_group(store, path="site/raw").create_array("time", shape=(4,), dtype="float32")
    with pytest.warns(ZarrUserWarning, match="not part in the Zarr format 3"):
        zarr.consolidate_metadata(store, path="site/raw")
    zarr.open_group(store, path="site/raw", use_consolidated=False).create_array("height", shape=(4,), dtype="float32")
    assert list(arrays_below(zarr.open_group(store, path="site/raw", mode="r"))) == ["height", "time"]
