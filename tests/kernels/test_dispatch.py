import sys
import types

import numpy as np
import pytest

from insar_kernels.dispatch import destination, namespace, rows
from insar_kernels.harmonic import motion
from insar_kernels.hilbert import hilbert_index
from insar_kernels.resampling import regularise
from insar_kernels.scoring import error_sums
from insar_kernels.seasonal_trend import stl
from insar_kernels.smoothing import moving_average, savgol

DAYS = np.cumsum(np.random.default_rng(1).choice([6.0, 12.0], 60))
CALLS = {
    "regularise": lambda y: regularise(y, DAYS, np.arange(0.0, 500.0, 12.0), 30.0),
    "savgol": lambda y: savgol(y, 11, 2),
    "moving_average": lambda y: moving_average(y, 5, True),
    "stl": lambda y: np.stack(stl(y, 12)),
    "motion": lambda y: np.stack(motion(y, DAYS / 365)),
    "error_sums": lambda y: error_sums(y[..., 1:], y[..., :-1]),
    "hilbert_index": lambda y: hilbert_index(np.nan_to_num(y), np.nan_to_num(y) + 3),
}


class Elsewhere(np.ndarray):
    """NumPy arrays that claim to be CuPy's: what a kernel does with them is what it would ask CuPy to do."""


@pytest.fixture
def cupy(monkeypatch):
    library = types.ModuleType("cupy")
    library.__dict__.update({name: getattr(np, name) for name in dir(np) if not name.startswith("__")})
    monkeypatch.setitem(sys.modules, "cupy", library)
    monkeypatch.setattr(Elsewhere, "__module__", "cupy._core.core")
    return library


@pytest.mark.parametrize("kernel", CALLS)
def test_arrays_of_another_library_take_the_whole_array_body(cupy, kernel):
    rng = np.random.default_rng(0)
    y = rng.normal(0, 10, (2, 7, 60)).astype(np.float32)
    y[rng.random(y.shape) < 0.1] = np.nan
    there = CALLS[kernel](y.view(Elsewhere))
    assert namespace(y.view(Elsewhere)) is cupy
    np.testing.assert_allclose(np.asarray(there), CALLS[kernel](y), rtol=1e-4, atol=1e-4)


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
