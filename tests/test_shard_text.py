"""Text encoded here is text to Zarr's own codec; text decoded here is what was encoded, or is left to Zarr."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numcodecs.vlen import VLenUTF8

from insar_dask.shard_text import decode_text, encode_text

WORDS = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=6)


def theirs(words: npt.NDArray[np.str_]) -> bytes:
    return bytes(VLenUTF8().encode(words.astype(object)))


@given(st.lists(WORDS, min_size=1))
def test_any_text_has_the_bytes_of_zarr_and_comes_back_or_is_left_to_it(words: list[str]) -> None:
    array = np.array(words, np.str_)
    data = encode_text(array).tobytes()
    assert data == theirs(array)
    back = decode_text(data, len(words))
    assert back is None or back.tolist() == words


@given(st.integers(1, 12), st.integers(1, 40), st.integers(0, 3))
def test_names_of_one_length_are_decoded_and_what_fills_the_chunk_is_left(width: int, n: int, filled: int) -> None:
    names = np.array([f"{number:0{width}d}"[-width:] for number in range(n)])
    data = encode_text(np.concatenate([names, np.zeros(filled, names.dtype)])).tobytes()
    back = decode_text(data, n)
    assert back is not None and back.dtype == names.dtype
    np.testing.assert_array_equal(back, names)
    assert (decode_text(data, n + filled) is None) == (filled > 0)


@pytest.mark.parametrize("words", [["a", "bb"], ["zwölf", "zwölf"], ["", ""], ["ab", ""]])
def test_other_text_is_left_to_zarr(words: list[str]) -> None:
    assert decode_text(encode_text(np.array(words)).tobytes(), len(words)) is None


def test_neither_byte_order_nor_strides_nor_bytes_matter() -> None:
    names = np.array(["abc", "abd", "abe", "abf"])
    expected = theirs(names[::2])
    for same in (names[::2], names.astype(">U3")[::2], names.astype("S3")[::2]):
        assert encode_text(same).tobytes() == expected


def test_a_cut_object_is_not_taken_for_a_whole_one() -> None:
    data = encode_text(np.array(["abc", "abd"])).tobytes()
    assert decode_text(data[:-1], 2) is None and decode_text(data, 3) is None and decode_text(b"", 1) is None
