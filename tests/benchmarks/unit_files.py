"""Units of tables that several processes work off: claims, results, and what a machine can do."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

__all__ = ["calibration", "claimed", "machine", "tell", "write"]

GEMM = 1024


@contextmanager
def claimed(name: str, results: Path, scratch: Path) -> Iterator[bool]:
    """Whether the unit is not finished and nobody else is at it; then it is ours. A dead process's claim is void."""
    if (results / f"{name}.json").exists():
        yield False
        return
    scratch.mkdir(parents=True, exist_ok=True)
    lock = scratch / f"{name}.lock"
    if lock.exists() and not Path(f"/proc/{lock.read_text()}").exists():
        lock.unlink()
    try:
        with lock.open("x") as file:
            file.write(str(os.getpid()))
    except FileExistsError:
        yield False
        return
    try:
        yield True
    finally:
        lock.unlink()


def write(path: Path, result: dict[str, Any]) -> None:
    """Whole or not at all: what stands under the name is finished."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(result) + "\n")
    part.replace(path)


def calibration() -> float:
    """float32 GEMM of one thread [GFLOP/s of CPU time]."""
    left = torch.rand(GEMM, GEMM)
    times = []
    for _ in range(9):
        began = time.process_time()
        left @ left
        times.append(time.process_time() - began)
    return round(2 * GEMM**3 / statistics.median(times) / 1e9, 1)


def machine() -> dict[str, Any]:
    return {
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
        "torch": torch.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }


def tell(what: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}, load {os.getloadavg()[0]:.1f}] {what}", flush=True)
