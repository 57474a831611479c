import os
import platform
import subprocess
import sys
from contextlib import ExitStack

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from insar_dask.machine import one_blas_thread

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


ARRAYS = """
import resource
import threading
import numpy as np
from insar_dask.machine import memory_used_again

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident():
    return int(open("/proc/self/status").read().split("VmRSS:")[1].split()[0]) * 1024

def arrays(at_once):
    before = faults()
    for _ in range(200):
        np.ones(4_000_000, "u1")
    kept = [np.ones(4_000_000, "u1") for _ in range(at_once)]
    del kept
    return faults() - before

def job():
    with memory_used_again():
        with memory_used_again():  # a second job of this process, which ends first
            pass
        within = arrays(10)
    left = resident() - held
    arrays(50)
    print(within, left, resident() - held)

held = resident()
thread = threading.Thread(target=job)  # as a worker runs it
thread.start()
thread.join()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="thresholds are glibc's")
@pytest.mark.parametrize(("own", "again"), [({}, True), ({"MALLOC_MMAP_THRESHOLD_": "131072"}, False)])
def test_arrays_of_a_job_take_pages_once_and_give_them_back(own: dict[str, str], again: bool) -> None:
    told = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    env = {**told, "MALLOC_TRIM_THRESHOLD_": "65536", **own}
    done = subprocess.run([sys.executable, "-c", ARRAYS], check=True, capture_output=True, text=True, env=env)
    faults, left, after = map(int, done.stdout.split())
    pages = 4_000_000 // os.sysconf("SC_PAGE_SIZE")
    assert (faults < 40 * pages) if again else (faults > 200 * pages)
    assert left < 8e6
    assert after < 60e6, "what comes after the jobs is kept too, and more than had been theirs"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not tell a process its cores")
def test_only_the_cores_that_the_process_may_use_are_counted() -> None:
    code = (
        "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
        "from insar_dask.machine import usable_cpus; print(usable_cpus())"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "1\n"


def test_blas_gets_its_threads_back_from_the_last_job_to_end() -> None:
    def threads() -> set[int]:
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    with threadpool_limits(2):
        first, second = ExitStack(), ExitStack()
        for job in (first, second):
            job.enter_context(one_blas_thread())
        first.close()
        assert threads() == {1}
        second.close()
        assert threads() == {2}
