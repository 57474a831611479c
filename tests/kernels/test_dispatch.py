import sys

import numpy as np
import pytest

from insar_kernels.dispatch import destination, namespace, rows


def test_arrays_of_cupy_are_cupys(on_gpu):
    assert namespace(on_gpu([1.0])) is sys.modules["cupy"]


def test_numpy_arrays_and_lists_are_numpys():
    assert namespace(np.zeros(3)) is np
    assert namespace([1, 2]) is np


def test_rows_copy_only_what_they_must():
    y = np.zeros((2, 3, 5), np.float32)
    assert np.shares_memory(rows(y), y)
    assert rows(y.transpose(2, 0, 1)).shape == (10, 3)
    assert rows(np.zeros((0, 4))).shape == (0, 4)


def test_a_destination_of_the_wrong_kind_is_refused():
    assert destination((2, 3), None).dtype == np.float32
    with pytest.raises(ValueError, match="C-contiguous float32"):
        destination((2, 3), np.zeros((2, 3)))
