"""EGMS file to Zarr, whole process and wall time, against polars: both on 2 threads, same int16, same shards and codec.

usage: bench_ingest.py [--full]      200,000 x 304 of an L3 tile; --full: 1,000,000 x 304 (1.6 GB of CSV)

The rival reads with ``polars.read_csv`` (dates as float32), rounds to int16 and writes the displacement alone, in the
order of the file. Ours also hashes the source, sorts the points along the Hilbert curve, writes all columns and hashes
what it writes.

1,000,000 x 304 on two cores that others used too (load 4-7), three pairs, medians: ours 5.5 + 2.6 s of CPU (user +
system), 44,500 page faults, 907 MB (900 since); polars 13.1 + 4.4 s, 1,060,000 faults, 3,056 MB; wall 16.4 against 40.2
s, 2.5x (1.6 to 3.4). When the machine was quiet, before 0.6 s of CPU and 170 MB were saved: 5.8 against 8.9 s, 1.54x.
From zip 8.1 + 2.3 s of CPU, of which inflating takes 2.5. One thread's limits, quiet: read 0.30, BLAKE3 with its read
0.34, lines 0.24, point columns 0.25, dates 0.80, sort 0.19, gather 0.14, compress 1.46, SHA-256 of shards 0.43, disk
0.22: 4.0 s in all; imports and Numba's start 0.8. The rest is the kernel's: pages of the cube (0.06 s where the host
has them at hand, 1.3 where it must find them) and of the files written.
"""

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

POINTS, FULL = int(os.environ.get("BENCH_INGEST_POINTS", "200000")), 1_000_000
SHARD_POINTS, INNER, LEVEL, THREADS = 65_536, 1024, 1, 2
PAIRS = int(os.environ.get("BENCH_INGEST_PAIRS", "3"))
NAME = "EGMS_L3_E44N23_100km_U_2020_2024_1"
TWO_THREADS = dict.fromkeys(("POLARS_MAX_THREADS",), str(THREADS)) | dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)


def rows(n_points: int = POINTS) -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_FOLDER")) as folder:
        source = draw(Path(folder), n_points)
        archive = zipped(source)
        run("ours", source)  # compiles, and brings the file into the page cache
        pairs = [(run("ours", source), run("polars", source)) for _ in range(PAIRS)]
        check_equal(folder)
        packed = [run("ours", archive) for _ in range(PAIRS)]
        limits = run("limits", archive)["stages"]
        what = f"{n_points:,} x 304 CSV ({source.stat().st_size / 1e9:.2f} GB) to Zarr"
        ours, rival = (statistics.median(side["seconds"] for side in sides) for sides in zip(*pairs, strict=True))
        from_zip = statistics.median(one["seconds"] for one in packed)
        middle = min((pair[0] for pair in pairs), key=lambda one: abs(one["seconds"] - ours))
        csv, polars_csv, from_archive = (costs(runs) for runs in ([p[0] for p in pairs], [p[1] for p in pairs], packed))
        found = [
            {
                "what": what,
                "ours_s": ours,
                "rival": "polars",
                "rival_s": rival,
                "ratio": statistics.median(b["seconds"] / a["seconds"] for a, b in pairs),
                "bar": ">= 3x",
                "note": f"{csv}; polars {polars_csv}; wall {told(middle['stages'])}; load {os.getloadavg()[0]:.1f}",
            },
            {
                "what": what.replace("CSV", "zip of CSV"),
                "ours_s": from_zip,
                "note": f"{from_archive}; wall {told(packed[0]['stages'])}",
            },
        ]
        return found + [{"what": f"limit, one thread: {stage}", "ours_s": s} for stage, s in limits.items()]


def costs(runs: list[dict]) -> str:
    """Medians of what some processes cost, and the highest peak of memory."""
    user, system, faults = (statistics.median(one[name] for one in runs) for name in ("user", "system", "faults"))
    peak, libraries = max(one["peak_mb"] for one in runs), max(one["libraries_mb"] for one in runs)
    return f"cpu {user:.1f} + {system:.1f} s, {faults:,.0f} faults, peak {peak:.0f} MB ({libraries:.0f} of libraries)"


def draw(folder: Path, n_points: int) -> Path:
    from insar_dask.synthetic import scene, write_egms

    return write_egms(folder / f"{NAME}.csv", scene("l3u", n_points=n_points, n_dates=304, order="file"))


def zipped(source: Path) -> Path:
    archive = source.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.write(source, source.name, compresslevel=1)
    return archive


def run(side: str, source: Path) -> dict:
    """One whole process: its wall time, and what it tells about itself."""
    store = source.parent / f"{side}.zarr"
    shutil.rmtree(store, ignore_errors=True)
    command = [sys.executable, __file__, side, str(source), str(store)]
    began = time.perf_counter()
    done = subprocess.run(command, env=os.environ | TWO_THREADS, stdout=subprocess.PIPE, text=True, check=True)
    return {"seconds": time.perf_counter() - began, **json.loads(done.stdout.splitlines()[-1])}


def check_equal(folder: str) -> None:
    """Both stores hold the same values: sums over points of the values and of their squares, date by date."""
    import zarr

    ours = zarr.open_array(f"{folder}/ours.zarr/p/raw/displacement", mode="r")
    rival = zarr.open_array(f"{folder}/polars.zarr", mode="r")
    assert layout(ours) == layout(rival)
    for power in (1, 2):
        sums = [
            sum(
                (a[k : k + a.shards[0]].astype(np.int64) ** power).sum(axis=0)
                for k in range(0, a.shape[0], a.shards[0])
            )
            for a in (ours, rival)
        ]
        assert np.array_equal(*sums)


def layout(array) -> tuple:
    return array.shape, array.dtype, array.chunks, array.shards


def told(stages: dict[str, float]) -> str:
    return ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in stages.items())


class Stages(dict):
    """Wall seconds by name; each ``stage`` ends the one before."""

    def __init__(self):
        self.at = time.perf_counter()

    def stage(self, name: str) -> None:
        now = time.perf_counter()
        self[name], self.at = round(now - self.at, 4), now


def ours(source: str, store_path: str) -> dict[str, float]:
    stages = Stages()
    from insar_dask.jobs.steps import ingest

    stages.stage("import")
    ingest.usable_cpus = lambda: THREADS
    read_table = ingest.read_table

    def timed(*args, **kwargs):
        table = read_table(*args, **kwargs)
        stages.stage("read, hash, parse, sort")
        return table

    ingest.read_table = timed
    ingest.ingest_file(store_path, source, 0, "p", {}, SHARD_POINTS)
    stages.stage("compress, write")
    return stages


def polars(source: str, store_path: str) -> dict[str, float]:
    stages = Stages()
    import polars as pl
    import zarr

    from insar_dask.shards import ShardPlan

    zarr.config.set({"threading.max_workers": THREADS})
    stages.stage("import")
    names = pl.read_csv(source, n_rows=0).columns
    dates = [name for name in names if name.isdigit()]
    frame = pl.read_csv(source, schema_overrides={"pid": pl.String} | dict.fromkeys(dates, pl.Float32))
    stages.stage("parse")
    tenths = frame.select(pl.col(dates).mul(10).round().cast(pl.Int16)).to_numpy(order="c")
    stages.stage("round")
    codec = zarr.codecs.ZstdCodec(level=LEVEL)
    shard = ShardPlan.of(*tenths.shape, SHARD_POINTS).shard
    layout = {"chunks": (INNER, len(dates)), "shards": (shard, len(dates)), "compressors": codec}
    zarr.create_array(store_path, shape=tenths.shape, dtype="int16", fill_value=-32768, **layout)[:] = tenths
    stages.stage("compress, write")
    return stages


def limits(source: str, store_path: str) -> dict[str, float]:
    """What each step costs alone, on one thread, data in memory: no order of these steps can be faster."""
    from numcodecs.zstd import Zstd

    from insar_dask.readers.csv_source import file_blake3, open_csv
    from insar_dask.readers.egms import read_table
    from insar_dask.readers.point_order import hilbert_order, repeated
    from insar_kernels import decimals
    from insar_kernels.decimal_tenths import parse_tenths
    from insar_kernels.text_lines import line_starts

    buffer = bytearray(16 << 20)
    text_path = Path(source).with_suffix(".csv")
    read_table(source, threads=1)
    stages = Stages()
    with text_path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
    stages.stage("read, page cache")
    with open_csv(Path(source)) as packed:
        while packed.stream.readinto(memoryview(buffer)):
            pass
    stages.stage("inflate")
    file_blake3(text_path)
    stages.stage("blake3, with its read")
    text = np.concatenate([np.fromfile(text_path, np.uint8), np.zeros(decimals.PADDING, np.uint8)])
    used = text.size - decimals.PADDING
    stages.stage("(load)")
    starts = line_starts(text, used)
    stages.stage("find lines")
    kinds = np.array([decimals.LABEL, *range(13)])
    after, verdicts = decimals.parse_leading(text, starts, kinds, 13)[2:]
    stages.stage("parse columns")
    parse_tenths(text, starts, after, np.arange(1, starts.size - 1), 304)
    stages.stage("parse dates")
    del text
    table = read_table(text_path, threads=1)
    stages.stage("(load)")
    columns = table.columns
    repeated(columns["point_id"])
    hilbert_order(columns["easting"], columns["northing"], columns["point_id"], np.arange(table.n_points))
    stages.stage("sort")
    blocks = [table.stored(k, k + SHARD_POINTS) for k in range(0, table.n_points, SHARD_POINTS)]
    stages.stage("gather")
    packed_blocks = [Zstd(level=LEVEL).encode(b[k : k + INNER]) for b in blocks for k in range(0, len(b), INNER)]
    stages.stage("compress")
    digest = hashlib.sha256()
    for block in packed_blocks:
        digest.update(block)
    stages.stage("sha256 of shards")
    with Path(store_path).open("wb") as file:
        file.writelines(packed_blocks)
        file.flush()
        os.fsync(file.fileno())
    stages.stage("disk, with fsync")
    Path(store_path).unlink()
    assert not verdicts[1:].any()
    return {stage: seconds for stage, seconds in stages.items() if stage != "(load)"}


def child(side: str, source: str, store: str) -> None:
    import resource

    stages = {"ours": ours, "polars": polars, "limits": limits}[side](source, store)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    times = {"user": usage.ru_utime, "system": usage.ru_stime, "faults": usage.ru_minflt}
    # getrusage's peak is inherited from the parent; the kernel's own is not
    status = Path("/proc/self/status").read_text()
    peak, libraries = (int(status.split(name)[1].split()[0]) * 1024 / 1e6 for name in ("VmHWM:", "RssFile:"))
    print(json.dumps({"stages": stages, "peak_mb": peak, "libraries_mb": libraries, **times}))


if __name__ == "__main__":
    if len(sys.argv) == 4:
        child(*sys.argv[1:])
    else:
        for row in rows(FULL if "--full" in sys.argv else POINTS):
            print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()})
