"""One product file to the raw cube of its group: parsed once, written shard by shard, each with a receipt."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from zarr.abc.store import Store

from insar_dask.buckets import Bucket
from insar_dask.jobs.engine import Engine, JobError, StageReport, str_path
from insar_dask.jobs.groups import make_group
from insar_dask.jobs.holding.lock import check_holder, holder_of
from insar_dask.jobs.memory import check_memory, ingest_memory
from insar_dask.jobs.progress.job_errors import cure_of
from insar_dask.jobs.progress.places import box_of
from insar_dask.jobs.progress.watch import Progress, followed
from insar_dask.jobs.receipts import Ledger, Receipt
from insar_dask.jobs.recipe import STEPS, canonical_key
from insar_dask.jobs.steps.known_sources import by_content, known_checksum, seen_as
from insar_dask.jobs.steps.rejected import keep_rejected, rejected_path
from insar_dask.layout import CODEC
from insar_dask.machine import usable_cpus
from insar_dask.objects import open_store
from insar_dask.readers.bucket_file import BucketFile, SourceFile, source_file
from insar_dask.readers.csv_source import file_blake3
from insar_dask.readers.egms import peek, read_table
from insar_dask.readers.point_table import PointTable
from insar_dask.shard_store import ShardWriter
from insar_dask.shards import SHARD_POINTS, ShardPlan
from insar_dask.store_errors import StoreError

__all__ = ["ingest", "ingest_file"]

BUCKET_TICK_SECONDS = 5.0
"""From one look at the receipts in a bucket to the next: each is a request."""


def ingest(
    engine: Engine, source: str | SourceFile, product: str, options: Mapping[str, Any], shard_points: int = SHARD_POINTS
) -> StageReport:
    """Bring the group ``PRODUCT/raw`` of a store up to date with a product file.

    Parameters
    ----------
    engine : Engine
        Where tasks run and which store they write.
    source : str, Path or BucketFile
        The product file; the worker that reads it must see this path, or may read that bucket.
    product : str
        Name of the product's group.
    options : mapping
        Keyword arguments of the reader: ``area``, ``min_coherence``, ``max_rejected``; ``name`` of a renamed file.
    shard_points : int
        Most points of a shard.

    Returns
    -------
    StageReport
        How many shards were written now; 0 when all were done.

    Raises
    ------
    ValueError, OSError
        What the reader says of a bad file.
    """
    began, target, path = time.perf_counter(), f"{product}/raw", source_file(source).absolute()
    # a source that was never read is hashed while it is read
    begun = bool(engine.ledger.done(target)) and path.is_file()
    note = engine.ledger.read_note(f"ingest/{product}") or {}
    known = known_checksum(path, engine.ledger.read_note(f"sources/{product}")) if begun else None
    key = _key(known or file_blake3(path), options, shard_points) if begun else None
    if key and note.get("key") == key and not engine.stale(target, dict.fromkeys(range(note["shards"]), key)):
        return engine.report(StageReport(target, note["shards"], 0, 0, 0, time.perf_counter() - began))
    info = peek(path, name=options.get("name"))
    check_memory(f"reading {path.name}", ingest_memory(info.n_points, len(info.times)), engine.client)
    run = holder_of(engine.store)
    arguments = (str_path(engine.path), str(path), 0, product, dict(options), shard_points, run)
    with Progress(target, None, quiet=engine.quiet) as progress, followed(engine, target) as follow:
        last = 0.0

        def tick(now: float = math.inf) -> None:
            nonlocal last
            if isinstance(engine.store, Bucket) and now - last < BUCKET_TICK_SECONDS:
                return
            last = now
            receipts = [r for r in engine.ledger.done(target).values() if key in (None, r.key)]
            progress.show(len(receipts), sum(r.points for r in receipts))
            follow(receipts)

        ((_, outcome),) = engine.map(
            ingest_file, [arguments], label=f"ingest-{product}", stage=target, tick=lambda: tick(time.monotonic())
        )
        tick()
        # within, so that the stage is told to have ended of it
        if isinstance(outcome, ValueError | OSError):
            raise outcome
        if isinstance(outcome, BaseException):
            raise JobError(f"{target}: {outcome!r}") from outcome
    engine.ledger.compact(target)
    engine.ledger.write_note(f"ingest/{product}", outcome["note"])
    if isinstance(path, BucketFile):
        engine.ledger.write_note(f"sources/{product}", {"blake3": outcome["note"]["source_blake3"], **outcome["seen"]})
    shards, written, points, size = outcome["counts"]
    return engine.report(StageReport(target, shards, written, points, size, time.perf_counter() - began))


def ingest_file(
    store_path: str | Path | Store,
    source: str,
    _index: int,
    product: str,
    options: Mapping[str, Any],
    shard_points: int,
    run: str = "",
) -> dict[str, Any]:
    """Parse a product file and write the shards that lack a valid receipt: one task, a thread for each usable core.

    Parsing takes minutes: where another ``run`` holds the store by then, it is left as it is, and `SupersededError` is
    raised.
    """
    store, target = open_store(store_path), f"{product}/raw"
    quarantine = rejected_path(store_path, product)
    threads, seen = usable_cpus(), seen_as(source_file(source))
    table = read_table(source, rejected=quarantine, threads=threads, **options)
    seen = seen if seen == seen_as(source_file(source)) else {}
    key = _key(table.attrs["source_blake3"], options, shard_points)
    plan = ShardPlan.of(table.n_points, table.times.size, shard_points)
    ledger = Ledger(store)
    check_holder(store, run)
    make_group(ledger, target, table.outline(), plan, lambda _: check_holder(store, run))
    keys = dict.fromkeys(range(plan.n_shards), key)
    check_holder(store, run)
    ledger.supersede(target, keys)
    if table.n_rejected:
        keep_rejected(store_path, product)
    pending = sorted(Engine(store_path, quiet=True).stale(target, keys))
    writer = ShardWriter(store, target, plan)

    def write(index: int) -> Receipt:
        check_holder(store, run)
        claim = ledger.check_free(target, index, key)
        receipt = _write_shard(writer, table, plan.slice(index), index, key)
        ledger.write(target, receipt, claim)
        return receipt

    with ThreadPoolExecutor(threads) as pool:
        receipts = list(pool.map(write, pending))
    note = {
        "source": source_file(source).name,
        "source_blake3": table.attrs["source_blake3"],
        "source_size": table.attrs["source_size"],
        "n_points": table.n_points,
        "n_rejected": table.n_rejected,
        "rejected": str(quarantine) if table.n_rejected else None,
        "shards": plan.n_shards,
        "options": dict(options),
        "key": key,
    }
    counts = plan.n_shards, len(receipts), sum(r.points for r in receipts), sum(r.size for r in receipts)
    return {"note": note, "counts": counts, "seen": seen}


def _key(checksum: str, options: Mapping[str, Any], shard_points: int) -> str:
    reader = {"version": STEPS["ingest"][1], "options": by_content(options)}
    return canonical_key({"source": checksum, "reader": reader, "shard_points": shard_points, "codec": CODEC})


def _write_shard(writer: ShardWriter, table: PointTable, where: slice, index: int, key: str) -> Receipt:
    began = time.perf_counter()
    try:
        block = table.shard(where.start, where.stop)
        stored = writer.write(index, block)
    except StoreError:
        raise
    except OSError as error:
        message = f"cannot write shard {index} of {writer.group}: {error.strerror}{cure_of(error)}"
        raise OSError(error.errno, message, str(writer.store)) from error
    box = box_of(block["easting"], block["northing"])
    return Receipt.sign(index, key, stored, where.stop - where.start, began, box)
