import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks import gpu

SCRIPT = Path(gpu.__file__)


def test_without_a_gpu_one_sentence_says_so():
    if gpu.lacking() is None:
        pytest.skip("a GPU is there: measure it with tests/benchmarks/gpu.py")
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("gpu.py measures a GPU, and none is usable here: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", gpu.calls())
def test_every_kernel_that_is_measured_runs_on_what_it_is_given(name):
    y = np.random.default_rng(0).normal(0, 9, (60, gpu.DATES)).astype(np.float32)
    prepared, kernel, count = gpu.calls()[name]
    found = gpu.parts(kernel(*prepared(y)))
    assert count(*prepared(y)) > 0
    assert all(np.isfinite(part).all() for part in found)
    assert [gpu.apart(part, part) for part in found] == [0.0] * len(found)
    assert gpu.apart(found[0], found[0] * np.nan) == np.inf
