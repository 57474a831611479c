"""What this machine allows one thread: bandwidth of memory and disk, GEMM peak, inflate and zstd."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from isal import isal_zlib
from numcodecs.zstd import Zstd

from insar_kernels.decimal_text import format_rows
from tests.benchmarks.measure import QUICK, seconds

RUNS = 3 if QUICK else 7
BYTES = 32 << 20 if QUICK else 390 << 20  # the paper's 588,600 x 166 values
FILE = 16 << 20 if QUICK else 256 << 20


def rates() -> dict[str, float]:
    """Bytes or floating-point operations per second by kind; of CPU time, but for the disk."""
    return {**memory(), "sgemm": gemm(), **codecs(), **disk()}


def memory() -> dict[str, float]:
    """Copying counts what it reads and what it writes; all into memory in use, but for ``fresh``."""
    source = np.ones(BYTES // 4, np.float32)
    target = np.zeros_like(source)
    return {
        "copy": 2 * source.nbytes / median(lambda: np.copyto(target, source)),
        "read": source.nbytes / median(lambda: np.dot(source, source)),
        "write": source.nbytes / median(lambda: target.fill(1)),
        "fresh": source.nbytes / median(lambda: np.empty_like(source).fill(1)),
    }


def gemm(n: int = 2048) -> float:
    left = np.random.default_rng(0).random((n, n), dtype=np.float32)
    product = np.empty_like(left)
    return 2 * n**3 / median(lambda: np.matmul(left, left, out=product))


def codecs() -> dict[str, float]:
    """Bytes of plain data: inflating a product's text (of zlib level 6), packing and unpacking its int16 (zstd 1)."""
    rng = np.random.default_rng(0)
    tenths = np.cumsum(rng.normal(0, 15, (16_384, 304)), axis=1).astype(np.int16)
    names = np.array([f"{k:010d}" for k in range(len(tenths))], "S10")
    nothing = np.zeros((len(names), 0))
    text = format_rows(names, nothing, np.zeros(0, np.int64), tenths.astype(np.float32) / 10).tobytes()
    deflated, zstd = zlib.compress(text, 6), Zstd(level=1)
    blocks = [tenths[k : k + 1024] for k in range(0, len(tenths), 1024)]
    packed = [zstd.encode(block) for block in blocks]
    return {
        "inflate": len(text) / median(lambda: isal_zlib.decompress(deflated)),
        "zstd": tenths.nbytes / median(lambda: [zstd.encode(block) for block in blocks]),
        "unzstd": tenths.nbytes / median(lambda: [zstd.decode(block) for block in packed]),
    }


def disk() -> dict[str, float]:
    """Wall time: writing until the disk has it, and reading what no cache has."""
    block = np.random.default_rng(0).integers(0, 256, 4 << 20, np.uint8).tobytes()
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_FOLDER")) as folder:
        path = Path(folder, "block")
        written = statistics.median(seconds(lambda: write(path, block), time.perf_counter) for _ in range(3))
        read = statistics.median(read_uncached(path) for _ in range(3))
    return {"disk write": FILE / written, "disk read": FILE / read}


def write(path: Path, block: bytes) -> None:
    with path.open("wb", buffering=0) as file:
        for _ in range(FILE // len(block)):
            file.write(block)
        os.fsync(file.fileno())


def read_uncached(path: Path) -> float:
    buffer = bytearray(4 << 20)
    with path.open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        began = time.perf_counter()
        while file.readinto(buffer):
            pass
        return time.perf_counter() - began


def median(work: Callable[[], object]) -> float:
    work()
    return statistics.median(seconds(work) for _ in range(RUNS))
