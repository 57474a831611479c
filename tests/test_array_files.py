import io
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from insar_dask.array_files import read_arrays


def packed(**arrays: npt.NDArray[Any]) -> io.BytesIO:
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=True, **arrays)
    return file


def zipped(write: Callable[[Any], object], name: str = "a.npy") -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as member:
        write(member)
    return file


def test_arrays_come_back_as_they_were() -> None:
    wanted = {"a": np.arange(6.0).reshape(2, 3).T, "b": np.array("text"), "c": np.zeros((0, 4), np.int16)}
    found = read_arrays(packed(**wanted))
    assert {name: (array.dtype, array.tolist()) for name, array in found.items()} == {
        name: (array.dtype, array.tolist()) for name, array in wanted.items()
    }


def test_nothing_pickled_is_read() -> None:
    with pytest.raises(ValueError, match="holds Python objects"):
        read_arrays(packed(a=np.array([print], object)))


def test_no_room_is_made_for_what_a_header_claims() -> None:
    def write(member: Any) -> None:
        np.lib.format.write_array_header_1_0(member, {"descr": "<f8", "fortran_order": False, "shape": (10**13,)})
        member.write(bytes(80))

    with pytest.raises(ValueError, match=r"claims to be float64 of shape \(10000000000000,\)"):
        read_arrays(zipped(write))


def test_what_would_inflate_to_gigabytes_is_told_before() -> None:
    def write(member: Any) -> None:
        np.lib.format.write_array_header_1_0(member, {"descr": "|u1", "fortran_order": False, "shape": (1 << 29,)})
        for _ in range(1 << 5):
            member.write(bytes(1 << 24))

    with pytest.raises(ValueError, match="bytes would become 536,8"):
        read_arrays(zipped(write))


@pytest.mark.parametrize("data", [b"", b"PK", b"no archive", b"\x93NUMPY"])
def test_what_is_no_archive_is_told(data: bytes) -> None:
    with pytest.raises(ValueError, match="no file of arrays, or damaged"):
        read_arrays(io.BytesIO(data))


def test_a_header_that_goes_too_deep_is_damage() -> None:
    def write(member: Any) -> None:
        member.write(b"\x93NUMPY\x01\x00" + (9000).to_bytes(2, "little") + b"-" * 8999 + b"1")

    with pytest.raises(ValueError, match=r"a\.npy has a header that goes too deep"):
        read_arrays(zipped(write))


def test_want_of_memory_is_no_damage() -> None:
    class Full(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise MemoryError

    with pytest.raises(MemoryError):
        read_arrays(Full(packed(a=np.arange(3.0)).getvalue()))
