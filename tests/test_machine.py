import os
import subprocess
import sys

import pytest

PROGRAM = """
import numpy as np
from insar_dask.machine import give_back

def resident():
    return int(open("/proc/self/status").read().split("VmRSS:")[1].split()[0]) * 1024

np.ones(20_000_000, "u1")  # freed: glibc's heap is let grow by as much from now on
held = [np.ones(1_000_000, "u1") for _ in range(60)]
kept = held[9::10]  # between and above what is freed, so that glibc cannot shrink its heap by itself
del held
before = resident()
give_back()
print(before - resident(), len(kept))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="malloc_trim is glibc's")
def test_freed_memory_is_given_back():
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True)
    assert int(done.stdout.split()[0]) > 40e6


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not tell a process its cores")
def test_only_the_cores_that_the_process_may_use_are_counted() -> None:
    code = (
        "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
        "from insar_dask.machine import usable_cpus; print(usable_cpus())"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "1\n"
