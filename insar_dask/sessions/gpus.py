"""GPUs of this machine: counted and tried in a process of their own, so that this one holds no memory on any."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from insar_dask.machine import usable_cpus
from insar_dask.settings import whole

__all__ = ["threads_of_gpu", "usable_gpus"]

PATIENCE = 120
"""Seconds that the trial may take: loading a driver for eight GPUs is slow, and a broken one may hang."""

TRIAL = """
import cupy
count = cupy.cuda.runtime.getDeviceCount() if cupy.cuda.is_available() else 0
for index in range(count):
    with cupy.cuda.Device(index):
        int(cupy.ones(1).sum())
if count:
    from insar_kernels import moving_average
    found = float(moving_average(cupy.ones((1, 3), cupy.float32), 3, True).sum())
    if found != 3:
        raise SystemExit(f"a kernel of numba-cuda gave {found}, not 3")
print(count)
"""
"""``import cupy`` succeeds without a GPU; an old driver and a missing numba-cuda show at the first kernel alone."""


def threads_of_gpu(n_gpus: int) -> int:
    """Threads of a GPU's worker unless it is said: its share of the cores, at least 2 and at most 8.

    One has the GPU, the others read and write, which is most of a chunk job; more would wait for the GIL.
    """
    return min(max(usable_cpus() // n_gpus, 2), 8)


def usable_gpus(wanted: Any) -> list[str]:
    """What ``CUDA_VISIBLE_DEVICES`` of each worker is to be.

    Parameters
    ----------
    wanted : "all" or int
        How many GPUs of those that this process may see.

    Raises
    ------
    ValueError
        For another value, or more GPUs than there are.
    OSError
        When no GPU is usable here, with what the trial said.
    """
    most = None if wanted == "all" else whole("gpus", wanted, of='GPUs, or "all"')
    count, said = _tried()
    if not count:
        raise OSError(
            f"gpus={wanted!r}: no GPU is usable here ({said}); on a host with one, install insar-dask[gpu12] or "
            "[gpu13] for its driver, else give workers=..."
        )
    if most is not None and most > count:
        raise ValueError(f"gpus is {most}; wanted at most {count}, which are usable here")
    return _names(count)[:most]


def _tried() -> tuple[int, str]:
    """GPUs on which a kernel ran, and the last line of what was said where none did."""
    try:
        done = subprocess.run([sys.executable, "-c", TRIAL], capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return 0, f"the driver did not answer within {PATIENCE} s"
    if done.returncode:
        return 0, (done.stderr.strip().splitlines() or [f"the trial ended with {done.returncode}"])[-1]
    return int(done.stdout), "CuPy finds none"


def _names(count: int) -> list[str]:
    """Devices as the driver names them: where this process may see some only, by the names it was given."""
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return visible[:count] if len(visible) >= count else [str(index) for index in range(count)]
