"""Drawing scenes and writing them as EGMS files; bars are wall seconds on two cores.

Run as ``python tests/benchmarks/run.py synthetic``. Needs 2 GB of disk for the largest file, which is removed again.
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

from insar_dask.synthetic import scene, write_egms, write_egms_tiles
from insar_kernels.decimal_text import format_rows
from insar_kernels.noise import correlated_noise
from tests.benchmarks.measure import QUICK, Row, gate, paired, row, size

RUNS = 1 if QUICK else 5


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        write_egms(Path(folder) / "warm.zip", scene(n_points=600))
        return [
            format_row(),
            noise_row(),
            file_row(Path(folder) / "demo.zip", "l2b", size(20_000), 3, RUNS),
            file_row(Path(folder) / "chumar.zip", "chumar", size(588_600), 40, 1),
            file_row(Path(folder) / "tile.csv", "l3u", size(1_000_000), 60, 1),
            six_row(Path(folder) / "six", size(100_000)),
        ]


def six_row(folder: Path, n_points: int) -> Row:
    """All that `insar-dask synthetic-tiles` does."""
    wall, cpu = clocked(lambda: write_egms_tiles(folder, n_points))
    bytes_written = sum(path.stat().st_size for path in folder.iterdir())
    note = f"{bytes_written / 1e6:.0f} MB; {cpu:.1f} CPU seconds"
    what = f"six tiles of {n_points:,} cells drawn and written as zip"
    return {"what": what, "ours_s": wall, "clock": "wall", "bar": "<= 60 s", "note": note}


def file_row(path: Path, kind: str, n_points: int, bar: float, runs: int) -> Row:
    """From nothing to a file, scene included."""

    def write() -> None:
        write_egms(path, scene(kind, n_points=n_points, order="file"), threads=2)

    wall, cpu = zip(*(clocked(write) for _ in range(runs)), strict=True)
    note = f"{path.stat().st_size / 1e6:.0f} MB; {statistics.median(cpu):.1f} CPU seconds"
    path.unlink()
    what = f"{n_points:,} points drawn and written as {path.suffix[1:]}"
    return {"what": what, "ours_s": statistics.median(wall), "clock": "wall", "bar": f"<= {bar} s", "note": note}


def clocked(work: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def format_row() -> Row:
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

    gates = [gate("bytes equal", ours() == theirs(), at_least=1)]
    timed = paired(ours, theirs)
    return row("16,384 x 304 tenths to text", timed[0], "polars write_csv", timed[1], gates=gates)


def noise_row() -> Row:
    n_points, n_times = 16_384, 304
    ids = np.arange(n_points)
    cells = np.stack([ids // 9, ids // 100], axis=1)

    def ours() -> Any:
        return correlated_noise(1, 0, ids, cells, np.array([0.1, 0.02]), (0.67, 0.0), n_times)

    def theirs() -> Any:
        drawn = np.random.default_rng(1).standard_normal((n_points, n_times), dtype=np.float32)
        return lfilter([1.0], [1.0, -0.67], drawn, axis=1)

    note = "the rival's depends on the block, and its points share nothing"
    timed = paired(ours, theirs)
    return row("16,384 x 304 of noise", timed[0], "NumPy normal + SciPy lfilter", timed[1], note=note)
