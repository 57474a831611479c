"""Everything of a GPU in one run of less than eight minutes: kernels, a run's shards and forecasts, networks.

Run as ``PYTHONPATH=.:kernels python tests/benchmarks/gpu.py [--json FILE]`` on a host with a GPU and the
extras ``train`` and ``gpu12`` or ``gpu13``. Seconds are wall seconds between two moments at which the GPU is idle, the
median of some runs after one that compiled. What the GPU allows (copy, transfer, product in bfloat16) is measured
beside them, and each kernel is held against the processor's. The run ends with exit code 1 where a bar is missed.
Networks are compiled too, as long as there is time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

import insar_kernels as kernels
from insar_dask.tenths import NODATA, decode_tenths_on
from insar_kernels.barycentric import add_weighted, locate
from tests.benchmarks.gpu_rows import Row, guarded

POINTS, DATES, SHARD = 588_600, 166, 65_536
SAMPLE = 4_000
"""Series on which both bodies are compared."""

PATIENCE = 480
"""Seconds that everything may take."""

DAYS = 12.0 * np.delete(np.arange(DATES), [5, 23, 24, 60, 88, 119, 120, 149])
NEW_DAYS = 12.0 * np.arange(DATES)
YEARS = np.arange(DATES) * 12 / 365
CENTROIDS = np.random.default_rng(1).normal(0, 20, (8, DATES)).astype(np.float32)
UNBOUND = ("stl",)
"""Kernels that products bound, not memory; in float32 on both sides, which are 2e-5 of a residual apart."""


def main() -> int:
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--json", type=Path, help="write the table there, too")
    asked = given.parse_args()
    if (reason := lacking()) is not None:
        print(f"gpu.py measures a GPU, and none is usable here: {reason}", file=sys.stderr)
        return 2
    # before the first product on the GPU: `accelerator`, which these load, says how products are to repeat
    from tests.benchmarks.gpu_checks import check_rows
    from tests.benchmarks.gpu_forecasts import job_rows
    from tests.benchmarks.gpu_networks import Bench, network_rows
    from tests.benchmarks.gpu_shards import shard_rows

    began, limits, bench = time.perf_counter(), machine(), Bench()
    copy, product = limits["copy"]["rate"], limits["product"]["rate"]
    parts_of_it = {
        "differences": differences(),
        "kernels": kernel_rows(copy),
        "maps of points": raster_rows(copy),
        "holt_winters": holt_winters_rows(),
        "kernels of a run": run_rows(),
        "shards": shard_rows(),
        "forecasts of chunk jobs": job_rows(),
        "checks of networks": check_rows(bench),
        "networks": network_rows(product, lambda: PATIENCE - (time.perf_counter() - began), bench),
    }

    def spent() -> Iterator[Row]:
        seconds = time.perf_counter() - began
        yield {"what": "all of this", "seconds": seconds, "bar": seconds <= PATIENCE, "wanted": "<= 480 s"}

    table: list[Row] = []
    for row in chain(limits.values(), *(guarded(name, rows) for name, rows in parts_of_it.items()), spent()):
        table.append(told(row))
        if asked.json:  # after each: a machine that is lent goes when its time is over
            asked.json.write_text(json.dumps(table, indent=1) + "\n")
    return int(any(not row.get("bar", True) for row in table))


def lacking() -> str | None:
    """Why nothing can be measured here; None where it can."""
    try:
        import cupy
        import torch
    except ImportError as error:
        return f"{error}; install insar-dask[train,gpu12] or [train,gpu13]"
    if not cupy.cuda.is_available():
        return "CuPy finds no device with a driver for it"
    if not torch.cuda.is_available():
        return f"torch {torch.__version__} finds no device, or is built without CUDA"
    return None


def told(row: Row) -> Row:
    said = [f"{row['seconds']:.4g} s"] if "seconds" in row else []
    said += [row["note"]] if "note" in row else []
    said += [f"wanted {row['wanted']}: {'kept' if row['bar'] else 'MISSED'}"] if "bar" in row else []
    print(f"{row['what']}: {'; '.join(said)}", flush=True)
    return row


def timed(work: Callable[[], object], runs: int = 5) -> float:
    """Median seconds of some runs, after one that compiles."""
    import cupy

    def once() -> float:
        cupy.cuda.Device().synchronize()
        began = time.perf_counter()
        work()
        cupy.cuda.Device().synchronize()
        return time.perf_counter() - began

    once()
    return statistics.median(once() for _ in range(runs))


def machine() -> dict[str, Row]:
    """What this GPU allows: copying on it and to it, and products in bfloat16."""
    import cupy
    import cupyx
    import torch

    source = cupy.ones(POINTS * DATES, cupy.float32)
    target, name = cupy.empty_like(source), cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    copy = 2 * source.nbytes / timed(lambda: cupy.copyto(target, source))
    host = cupyx.zeros_pinned((SHARD, DATES), np.int16)
    send = host.nbytes / timed(lambda: cupy.asarray(host))
    left = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    product = 2 * 8192**3 / timed(lambda: left @ left)
    return {
        "copy": {"what": f"{name}, copy, read and written", "rate": copy, "note": f"{copy / 1e9:.0f} GB/s"},
        "send": {"what": "from pinned memory", "rate": send, "note": f"{send / 1e9:.1f} GB/s"},
        "product": {"what": "product in bfloat16", "rate": product, "note": f"{product / 1e12:.0f} TFLOP/s"},
    }


def series(n: int, share: float = 0.0, seed: int = 0) -> Any:
    """Level, trend, annual signal and noise [mm], made on the GPU; so large a share is missing."""
    import cupy

    rng, t = cupy.random.default_rng(seed), cupy.arange(DATES, dtype=cupy.float32)
    y = rng.standard_normal((n, DATES), dtype=cupy.float32)
    y += 4 * cupy.sin(np.float32(2 * np.pi / 30) * t + rng.random((n, 1), dtype=cupy.float32))
    y += rng.standard_normal((n, 1), dtype=cupy.float32) * (np.float32(0.3) * t) + np.float32(20)
    if share:
        y[rng.random(y.shape, dtype=cupy.float32) < share] = np.nan
    return y


def calls() -> dict[str, tuple[Callable[[Any], tuple[Any, ...]], Callable[..., Any], Callable[..., float]]]:
    """Kernel by name: what of the series it is given, itself, and bytes it has to read and write, each number once."""
    return {
        "savgol, window 11": (alone, lambda y: kernels.savgol(y, 11, 2), lambda y: 2 * y.nbytes),
        "moving_average of 11": (alone, lambda y: kernels.moving_average(y, 11, True), lambda y: 2 * y.nbytes),
        "regularise, 158 to 166 dates": (
            lambda y: (y[:, : len(DAYS)].copy(),),
            lambda y: kernels.regularise(y, DAYS, NEW_DAYS),
            lambda y: y.nbytes * (1 + DATES / len(DAYS)),
        ),
        "motion": (alone, lambda y: kernels.motion(y, YEARS), lambda y: y.nbytes + 36 * len(y)),
        "component_variances": (
            lambda y: (y, 2 * y, -y / 3),
            kernels.component_variances,
            lambda y, *_: 3 * y.nbytes + 16 * len(y),
        ),
        "nearest of 8": (alone, lambda y: kernels.nearest(y, CENTROIDS), lambda y: y.nbytes + 8 * len(y)),
        "lloyd_sums of 8": (alone, lambda y: kernels.lloyd_sums(y, CENTROIDS), lambda y: 2 * y.nbytes),
        "error_sums": (halves, kernels.error_sums, lambda p, o: p.nbytes + o.nbytes),
        "map_similarity, 64 x 64": (maps, lambda p, o: kernels.map_similarity(p, o, 90.0), lambda p, _: 2 * p.nbytes),
        "map_correlation, 64 x 64": (maps, kernels.map_correlation, lambda p, _: 2 * p.nbytes),
        "stl": (alone, lambda y: kernels.stl(y, 30), lambda y: 4 * y.nbytes),
    }


def alone(y: Any) -> tuple[Any, ...]:
    return (y,)


def halves(y: Any) -> tuple[Any, ...]:
    half = len(y) // 2
    return y[:half], y[half : 2 * half]


def maps(y: Any) -> tuple[Any, ...]:
    """The same numbers as two stacks of maps."""
    count = y.size // (2 * 64 * 64)
    both = y.reshape(-1)[: 2 * count * 64 * 64].reshape(2, count, 64, 64)
    return both[0], both[1]


def differences() -> Iterator[Row]:
    """Largest difference of each kernel from the processor's, as a share of its largest value."""
    for share in (0.0, 0.05):
        y = series(SAMPLE, share, 5)
        for name in calls():
            what = f"{name}, {share:.0%} missing, from the processor"
            yield from guarded(what, difference(what, name, y))


def difference(what: str, name: str, y: Any) -> Iterator[Row]:
    prepared, kernel, _ = calls()[name]
    here, there = (parts(kernel(*prepared(some))) for some in (y.get(), y))
    worst = max(apart(one, other) for one, other in zip(there, here, strict=True))
    most = 5e-5 if name in UNBOUND else 1e-5
    yield {"what": what, "note": f"{worst:.1e} of the largest", "bar": worst <= most, "wanted": f"<= {most:g}"}


def parts(found: Any) -> list[np.ndarray[Any, Any]]:
    """What a kernel gives, brought here; without the phase, which is anything where there is no season."""
    listed = found if isinstance(found, tuple) else (found,)
    kept = [one for one in listed if one is not getattr(found, "phase", None)]
    return [np.asarray(one.get() if hasattr(one, "get") else one) for one in kept]


def apart(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    if not np.array_equal(np.isnan(one), np.isnan(other)):
        return np.inf
    return float(np.nanmax(abs(one - other), initial=0.0) / max(np.nanmax(abs(other), initial=0.0), 1e-30))


def kernel_rows(copy: float) -> Iterator[Row]:
    """Each kernel on the whole scene, complete and with 5 % missing: its share of the copy's bandwidth."""
    for share in (0.0, 0.05):
        y = series(POINTS, share)
        for name in calls():
            some = y[: POINTS // 8] if name in UNBOUND and share else y
            what = f"{name}, {len(some):,} series, {share:.0%} missing"
            yield from guarded(what, kernel_row(what, name, some, copy))


def kernel_row(what: str, name: str, y: Any, copy: float) -> Iterator[Row]:
    prepared, kernel, count = calls()[name]
    given = prepared(y)
    spent = timed(partial(kernel, *given))
    bandwidth, rate = count(*given) / spent / copy, len(y) / spent
    row = {"what": what, "seconds": spent, "share": bandwidth}
    row["note"] = f"{bandwidth:.0%} of the copy, {rate:,.0f} series/s"
    yield row | ({} if name in UNBOUND else {"bar": bandwidth >= 0.6, "wanted": ">= 60 %"})


def raster_rows(copy: float) -> Iterator[Row]:
    """100,000 points onto 256 x 256 cells, three points to a cell, all dates at once."""
    import cupy
    from scipy.spatial import Delaunay

    rng, cells = np.random.default_rng(0), 256**2
    net, places = Delaunay(rng.uniform(0, 1e4, (100_000, 2))), rng.uniform(0, 1e4, (cells, 2))
    arrays = [cupy.asarray(part) for part in (places, net.points, net.simplices, net.neighbors)]
    spent = timed(partial(locate, *arrays))
    yield {"what": f"locate, {cells:,} places in {len(net.simplices):,} triangles", "seconds": spent}
    values, sums = series(100_000), cupy.zeros((cells, DATES))
    starts, columns = cupy.arange(0, 3 * cells + 1, 3), cupy.asarray(rng.integers(0, 100_000, 3 * cells, np.int32))
    spent = timed(partial(add_weighted, sums, starts, columns, cupy.full(3 * cells, 1 / 3), values))
    share = (2 * sums.nbytes + 3 * cells * DATES * 4) / spent / copy
    what = f"add_weighted, {cells:,} cells x {DATES} dates"
    yield {"what": what, "seconds": spent, "share": share, "note": f"{share:.0%} of the copy"}


def holt_winters_rows() -> Iterator[Row]:
    for share, wanted in ((0.0, 1e6), (0.05, None)):
        few = series(SAMPLE, share, 7)
        here, there = kernels.holt_winters(few.get(), 30), kernels.holt_winters(few, 30)
        ratio = there.sse.get() / here.sse
        kept, count = float((ratio <= 1.001).mean()), f"{len(ratio):,}"
        row: Row = {"what": f"holt_winters, {share:.0%} missing: squares within 1.001 of the processor's"}
        yield row | {"note": f"{kept:.2%} of {count}", "bar": kept >= 0.99, "wanted": ">= 99 %"}
        spent = timed(partial(kernels.holt_winters, series(POINTS, share), 30), runs=3)
        row = {"what": f"holt_winters, {POINTS:,} series, {share:.0%} missing", "seconds": spent}
        row["note"] = f"{POINTS / spent:,.0f} series/s"
        yield row | ({"bar": POINTS / spent >= wanted, "wanted": ">= 1,000,000 series/s"} if wanted else {})


def run_rows() -> Iterator[Row]:
    """The kernels of a run one after the other: int16 there, all steps, results back, by way of pinned memory."""
    import cupy
    import cupyx

    rng = np.random.default_rng(0)
    source = cupyx.zeros_pinned((POINTS, len(DAYS)), np.int16)
    source[:] = rng.integers(-400, 400, source.shape, np.int16)
    source[rng.random(source.shape, np.float32) < 0.05] = NODATA
    results = cupyx.zeros_pinned((4, SHARD, DATES), np.float32)

    def work() -> None:
        for first in range(0, POINTS, SHARD):
            raw = decode_tenths_on(cupy, cupy.asarray(source[first : first + SHARD]))
            kernels.motion(raw, DAYS / 365)
            smooth = kernels.savgol(kernels.regularise(raw, DAYS, NEW_DAYS), 11, 2)
            found = kernels.holt_winters(smooth, 30)
            for k, part in enumerate((smooth, found.trend, found.season, found.residual)):
                part.get(out=results[k, : len(part)])

    what = f"motion, regularise, savgol, holt_winters of {POINTS:,} x {len(DAYS)} int16, shard by shard, there and back"
    yield {"what": what, "seconds": timed(work, runs=2)}


if __name__ == "__main__":
    sys.exit(main())
