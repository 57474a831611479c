"""How bodies are started on a GPU: as many threads as places need, on CuPy's own stream."""

import sys
import types

import numpy as np
import pytest
from numba import cuda

from insar_kernels.gpu import compiling, running
from tests.kernels.conftest import assert_laid_out


@pytest.fixture
def laid_out(on_gpu, monkeypatch):
    """What is started, and on how many threads; nothing is run."""
    started = []

    def note(kind, body, blocks, block, height, width, arrays):
        assert_laid_out(kind, blocks, block, height, width)
        started.append((kind, height, width, arrays))

    monkeypatch.setattr(running, "_launch", note)
    return started


def test_cells_have_as_many_blocks_as_they_need_and_cuda_takes(laid_out):
    for height, width in ((1, 1), (8, 32), (9, 33), (600_000, 158), (524_281, 1)):
        running.over_cells(print, height, width, "array")
        assert laid_out.pop() == ("cells", height, width, ("array",))


def test_rows_have_a_thread_each_or_take_turns(laid_out):
    for n, n_threads in ((1, 1), (128, 128), (129, 129), (600_000, 33_792), (600_000, 5)):
        running.over_rows(print, n, n_threads, "array")
        assert laid_out.pop() == ("rows", n, n_threads, ("array",))


def test_series_have_whole_blocks_of_threads(laid_out):
    most = running.threads(10**9, running.ON_SERIES)
    assert most % running.ON_SERIES == 0
    for n, n_threads in ((1, 128), (128, 128), (129, 256), (10**6, most)):
        assert running.series_threads(n) == n_threads
        running.over_series(print, n, "array")
        assert laid_out.pop() == ("series", n, n_threads, ("array",))


def test_where_there_is_no_place_nothing_is_started(laid_out):
    running.over_cells(print, 0, 5)
    running.over_cells(print, 5, 0)
    running.over_rows(print, 0, 5)
    running.over_series(print, 0)
    assert not laid_out


@pytest.mark.parametrize(("current", "stream"), [(0, 0), (77, "stream 77")])
def test_a_body_is_started_on_the_stream_of_cupy_with_its_arrays(current, stream, monkeypatch):
    class Array:
        pass

    class Compiled:
        def __getitem__(self, grid):
            return lambda *given: started.append((grid, given))

    started, array = [], Array()
    streams = types.SimpleNamespace(get_current_stream=lambda: types.SimpleNamespace(ptr=current))
    monkeypatch.setitem(sys.modules, "cupy", types.SimpleNamespace(cuda=streams, ndarray=Array))
    monkeypatch.setattr(cuda, "external_stream", lambda pointer: f"stream {pointer}")
    monkeypatch.setattr(cuda, "as_cuda_array", lambda given, sync: (given, sync))
    monkeypatch.setattr(compiling, "compiled", lambda kind, body: Compiled() if (kind, body) == ("cells", print) else 0)
    compiling.launch("cells", print, (2, 3), (32, 8), 17, 40, (array, 1.5, np.float32(2)))
    assert started == [(((2, 3), (32, 8), stream), (17, 40, ((array, False), 1.5, np.float32(2))))]


def test_nobody_is_warned_of_a_gpu_that_few_series_do_not_fill():
    assert compiling.cuda.dispatcher.config.CUDA_LOW_OCCUPANCY_WARNINGS == 0
