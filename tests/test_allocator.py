import subprocess
import sys

import pytest

PROGRAM = """
import numpy as np
from insar_dask.allocator import give_back

def resident():
    return int(open("/proc/self/status").read().split("VmRSS:")[1].split()[0]) * 1024

np.ones(20_000_000, "u1")  # freed: glibc's heap is let grow by as much from now on
held = [np.ones(1_000_000, "u1") for _ in range(60)]
last = np.ones(1_000_000, "u1")
del held
before = resident()
give_back()
print(before - resident(), last.sum())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="malloc_trim is glibc's")
def test_freed_memory_is_given_back():
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True)
    assert int(done.stdout.split()[0]) > 40e6
