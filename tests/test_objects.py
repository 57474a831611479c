import pytest
from zarr.storage import MemoryStore

from insar_dask.objects import get_blocks, get_bytes, open_store, put_blocks


@pytest.mark.parametrize("kind", ["folder", "memory"])
def test_an_object_written_in_blocks_is_read_in_blocks(kind, tmp_path):
    store = MemoryStore() if kind == "memory" else open_store(tmp_path / "a.zarr")
    blocks = [bytes([k]) * 700_000 for k in range(4)]
    size, there = put_blocks(store, "x/c/0", iter(blocks))
    assert size == 2_800_000 and b"".join(there) == b"".join(blocks) == get_bytes(store, "x/c/0")
    size, again = get_blocks(store, "x/c/0")
    assert size == 2_800_000 and b"".join(again) == b"".join(blocks)
    assert get_blocks(store, "x/c/1") is None


def test_an_object_whose_making_fails_leaves_the_old_one_and_nothing_half_written(tmp_path):
    store = open_store(tmp_path / "a.zarr")
    put_blocks(store, "x/c/0", [b"old"])

    def failing():
        yield b"new"
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        put_blocks(store, "x/c/0", failing())
    assert get_bytes(store, "x/c/0") == b"old"
    assert [path.name for path in (tmp_path / "a.zarr/x/c").iterdir()] == ["0"]
