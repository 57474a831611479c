import numpy as np
import pytest

from insar_dask.settings import known, plain, positive, share, whole


def test_what_can_be_meant_comes_back_as_a_plain_number() -> None:
    assert [whole("n", value) for value in (1, np.int64(7))] == [1, 7] and type(whole("n", np.int8(2))) is int
    assert share("s", 0, zero=True) == 0 and share("s", np.float64(0.5)) == 0.5 and share("s", 1, one=True) == 1
    assert positive("p", 3, of="seconds") == 3 and positive("p", 0, zero=True) == 0
    assert known("k", "a", ("a", "b")) == "a"
    assert type(plain(np.float32(0.5))) is float and plain("text") == "text"


@pytest.mark.parametrize("value", [0, -1, 1.0, "1", True, None, np.nan, np.True_, [1], 8])
def test_what_is_no_whole_number_in_range_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"^n is .*; wanted a whole number of steps, at least 1, at most 7$"):
        whole("n", value, most=7, of="steps")


@pytest.mark.parametrize("value", [0, 1, -0.1, 1.1, "0.5", True, None, np.nan, np.inf, 0.5j])
def test_what_is_no_share_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"^s is .*; wanted a share between 0 and 1$"):
        share("s", value)


@pytest.mark.parametrize("value", [0, -1, "1", True, None, np.nan, np.inf])
def test_what_is_not_positive_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"^p is .*; wanted a positive number of seconds$"):
        positive("p", value, of="seconds")


@pytest.mark.parametrize("value", ["c", None, ["a"], 1])
def test_what_is_not_among_the_known_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"^k is .*; wanted 'a' or 'b'$"):
        known("k", value, ("a", "b"))
