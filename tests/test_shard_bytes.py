"""Shards encoded here are shards to Zarr."""

import numpy as np
import pytest
import zarr

from insar_dask.layout import create_group
from insar_dask.objects import delete_below, get_bytes, open_store, put_bytes
from insar_dask.shard_bytes import can_encode, encode_shard
from insar_dask.shard_store import checksum_block, read_block, write_block
from insar_dask.shards import ShardPlan
from insar_dask.synthetic import scene


def make(store, shape, chunks, shards, dtype="int16", fill=-32768, level=1, **options):
    codec = zarr.codecs.ZstdCodec(level=level)
    return zarr.create_array(
        store, shape=shape, chunks=chunks, shards=shards, dtype=dtype, fill_value=fill, compressors=codec, **options
    )


def drawn(shape, dtype, fill):
    rng = np.random.default_rng(1)
    values = rng.integers(-99, 99, shape).astype(dtype)
    values[rng.random(shape) < 0.1] = fill
    values[: shape[0] // 3] = fill
    return values


@pytest.mark.parametrize(
    ("dtype", "fill"), [("int16", -32768), ("float32", np.nan), ("float64", 0.0), ("uint8", 7), ("bool", False)]
)
@pytest.mark.parametrize(
    ("shape", "chunks", "shards"),
    [((40, 5), (4, 5), (40, 5)), ((37, 5), (4, 5), (16, 5)), ((13, 7, 3), (2, 4, 3), (4, 8, 3)), ((9,), (2,), (4,))],
)
def test_zarr_reads_what_was_encoded_and_encodes_the_same_chunks(tmp_path, dtype, fill, shape, chunks, shards):
    store = open_store(tmp_path / "ours.zarr")
    array = make(store, shape, chunks, shards, dtype, fill)
    theirs = make(open_store(tmp_path / "theirs.zarr"), shape, chunks, shards, dtype, fill)
    values = drawn(shape, dtype, fill)
    assert can_encode(array)
    for place in np.ndindex(*(-(-n // m) for n, m in zip(shape, shards, strict=True))):
        at = tuple(slice(k * m, (k + 1) * m) for k, m in zip(place, shards, strict=True))
        data = encoded(array, values[at])
        key = "c/" + "/".join(map(str, place))
        if data is not None:
            put_bytes(store, key, data)
        theirs[at] = values[at]
        other = get_bytes(open_store(tmp_path / "theirs.zarr"), key)
        assert (data is None) == (other is None)
        assert data is None or len(data) == len(other)
    np.testing.assert_array_equal(zarr.open_array(store, mode="r")[...], values)


def test_no_shard_is_ever_whole_in_memory(tmp_path):
    array = make(open_store(tmp_path / "a.zarr"), (40, 5), (4, 5), (40, 5), "int16", -1)
    blocks = list(encode_shard(array, drawn((40, 5), "int16", -1)))
    assert len(blocks) > 5 and b"".join(blocks) == encoded(array, drawn((40, 5), "int16", -1))


def encoded(array, values):
    """The object of a shard; None where there is none."""
    return b"".join(encode_shard(array, values)) or None


@pytest.mark.parametrize("dtype", ["int32", "float32", "bool", "string"])
@pytest.mark.parametrize("filled", [False, True])
def test_a_chunk_without_a_shard_has_the_bytes_that_zarr_writes(tmp_path, dtype, filled):
    fill = {"string": "", "float32": np.nan, "bool": False, "int32": 0}[dtype]
    values = drawn((11,), "int32", 7) if dtype == "string" else drawn((11,), dtype, fill)
    values = np.array(["", "a", "zwölf", *map(str, values[3:])]) if dtype == "string" else values
    values = np.full_like(values, fill) if filled else values
    theirs = make(open_store(tmp_path / "theirs.zarr"), (11,), (4,), None, dtype, fill)
    theirs[...] = values
    for k in range(3):
        data, other = encoded(theirs, values[4 * k : 4 * k + 4]), get_bytes(theirs.store, f"c/{k}")
        assert data == other
        if dtype == "string" and k:
            assert encoded(theirs, values[4 * k : 4 * k + 4].astype("S")) == other


def test_strided_values_are_encoded_by_value(tmp_path):
    store = open_store(tmp_path / "a.zarr")
    array = make(store, (8, 4), (4, 4), (8, 4))
    values = np.arange(64, dtype=">i2").reshape(8, 8)[:, ::2]
    put_bytes(store, "c/0/0", encoded(array, values) or b"")
    np.testing.assert_array_equal(zarr.open_array(store, mode="r")[...], values)


@pytest.mark.parametrize("shape", [(9, 4), (8, 5), (8,), (8, 4, 1)])
def test_values_that_do_not_fit_are_refused(tmp_path, shape):
    array = make(open_store(tmp_path / "a.zarr"), (16, 4), (4, 4), (8, 4))
    with pytest.raises(ValueError, match=r"came for a shard of \(8, 4\)"):
        encode_shard(array, np.zeros(shape, "int16"))


@pytest.mark.parametrize(
    ("kept", "came"), [("int16", "int64"), ("int16", "float32"), ("bool", "uint8"), ("string", object), ("string", "T")]
)
def test_values_that_would_be_cut_off_are_refused(tmp_path, kept, came):
    array = make(open_store(tmp_path / "a.zarr"), (8,), (8,), None, kept, {"string": "", "bool": False}.get(kept, 0))
    with pytest.raises(ValueError, match=r"came for one of .*; convert them first"):
        encode_shard(array, np.full(8, 1).astype("U1").astype(came))


def test_other_layouts_are_refused(tmp_path):
    others = [
        zarr.create_array(open_store(tmp_path / "a"), shape=(8,), chunks=(8,), dtype="int16", compressors=None),
        zarr.create_array(
            open_store(tmp_path / "b"),
            shape=(8,),
            chunks=(4,),
            shards=(8,),
            dtype="int16",
            compressors=zarr.codecs.BloscCodec(typesize=2),
        ),
        zarr.create_array(
            open_store(tmp_path / "c"),
            shape=(8,),
            chunks=(4,),
            shards=(8,),
            dtype="int16",
            compressors=zarr.codecs.ZstdCodec(level=1, checksum=True),
        ),
        zarr.create_array(open_store(tmp_path / "d"), shape=(8,), chunks=(4,), shards=(8,), dtype="string"),
        zarr.create_array(
            open_store(tmp_path / "e"),
            shape=(8,),
            chunks=(4,),
            shards={"shape": (8,), "index_location": "start"},
            dtype="int16",
            compressors=zarr.codecs.ZstdCodec(level=1),
        ),
    ]
    for array in others:
        assert not can_encode(array)
        with pytest.raises(ValueError, match="not made of zstd shards"):
            encode_shard(array, np.zeros(8, "int16"))


def test_what_another_program_laid_out_is_written_by_zarr_among_what_is_ours(tmp_path):
    cube = scene("l2b", n_points=8, n_dates=7).compute()
    store, plan = open_store(tmp_path / "a"), ShardPlan(8, 4)
    create_group(store, "raw", cube, plan)
    delete_below(store, "raw/coherence")
    zarr.create_array(
        store,
        name="raw/coherence",
        shape=(8,),
        chunks=(4,),
        dtype="float32",
        compressors=zarr.codecs.GzipCodec(),
        dimension_names=("point",),
    )
    for index in range(2):
        stored = write_block(store, "raw", plan, index, cube.isel(point=plan.slice(index)))
        assert stored == checksum_block(store, "raw", index)
    for name in ("coherence", "displacement", "point_id"):
        found = np.concatenate([read_block(store, "raw", index)[name].values for index in range(2)])
        np.testing.assert_array_equal(found, cube[name].values)
