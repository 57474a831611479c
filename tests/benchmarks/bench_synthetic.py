"""Drawing scenes and writing them as EGMS files; bars are wall seconds on two cores.

Run as ``OMP_NUM_THREADS=1 python tests/benchmarks/bench_synthetic.py``. Needs 2 GB of disk for the largest file, which
is removed again.
"""

from __future__ import annotations

import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import lfilter

from insar_dask.synthetic import scene, write_egms
from insar_kernels.decimal_text import format_rows
from insar_kernels.noise import correlated_noise

RUNS = 5


def rows() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        write_egms(Path(folder) / "warm.zip", scene(n_points=600))
        return [
            format_row(),
            noise_row(),
            file_row(Path(folder) / "demo.zip", "l2b", 20_000, 3, RUNS),
            file_row(Path(folder) / "chumar.zip", "chumar", 588_600, 40, 1),
            file_row(Path(folder) / "tile.csv", "l3u", 1_000_000, 60, 1),
        ]


def file_row(path: Path, kind: str, n_points: int, bar: float, runs: int) -> dict[str, Any]:
    """From nothing to a file, scene included."""

    def write() -> None:
        write_egms(path, scene(kind, n_points=n_points, order="file"), threads=2)

    wall, cpu = zip(*(clocked(write) for _ in range(runs)), strict=True)
    note = f"{path.stat().st_size / 1e6:.0f} MB; {statistics.median(cpu):.1f} CPU seconds"
    path.unlink()
    what = f"{n_points:,} points drawn and written as {path.suffix[1:]}"
    return {"what": what, "ours_s": statistics.median(wall), "bar": f"<= {bar} s", "note": note}


def clocked(work: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def compared(
    what: str, rival: str, ours: Callable[[], object], theirs: Callable[[], object], note: str
) -> dict[str, Any]:
    """Paired and interleaved, CPU seconds of one thread."""
    ours(), theirs()
    pairs = [(clocked(ours)[1], clocked(theirs)[1]) for _ in range(RUNS)]
    return {
        "what": what,
        "ours_s": statistics.median(a for a, _ in pairs),
        "rival": rival,
        "rival_s": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(b / a for a, b in pairs),
        "note": note,
    }


def format_row() -> dict[str, Any]:
    import polars as pl

    series = scene("l3u", n_points=16_384)["displacement"].values
    names = np.array([f"{number:010d}" for number in range(len(series))])
    table = pl.DataFrame({"pid": names, **{f"{day}": column for day, column in enumerate(series.T)}})
    nothing, none = np.zeros((len(series), 0)), np.zeros(0, np.int64)
    codes = names.astype(np.bytes_)

    def ours() -> bytes:
        return format_rows(codes, nothing, none, series).tobytes()

    def theirs() -> bytes:
        text = io.BytesIO()
        table.write_csv(text, float_precision=1, include_header=False)
        return text.getvalue()

    equal = "equal bytes" if ours() == theirs() else "bytes differ"
    return compared("16,384 x 304 tenths to text", "polars write_csv", ours, theirs, equal)


def noise_row() -> dict[str, Any]:
    n_points, n_times = 16_384, 304
    ids = np.arange(n_points)
    cells = np.stack([ids // 9, ids // 100], axis=1)

    def ours() -> Any:
        return correlated_noise(1, 0, ids, cells, np.array([0.1, 0.02]), (0.67, 0.0), n_times)

    def theirs() -> Any:
        drawn = np.random.default_rng(1).standard_normal((n_points, n_times), dtype=np.float32)
        return lfilter([1.0], [1.0, -0.67], drawn, axis=1)

    note = "the rival's depends on the block, and its points share nothing"
    return compared("16,384 x 304 of noise", "NumPy normal + SciPy lfilter", ours, theirs, note)


if __name__ == "__main__":
    for row in rows():
        print(row)
