"""What is done in a store, read off its receipts: no scheduler, no driver, no lock."""

from __future__ import annotations

from pathlib import Path

from insar_dask.cube import CubeError
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.opening import TILES
from insar_dask.jobs.receipts import ROOT, Ledger
from insar_dask.objects import get_bytes, list_keys, open_store
from insar_dask.store import shard_plan

__all__ = ["damaged", "damaged_documents", "existing_store", "status_table", "targets"]


def targets(ledger: Ledger) -> list[str]:
    """Targets that have receipts: groups of the store, and ``jobs/partials/...``."""
    keys = list_keys(ledger.store, f"{ROOT}/")
    return sorted({key[len(ROOT) + 1 :].rpartition("/")[0] for key in keys})


def damaged(path: str | Path) -> dict[str, list[int]]:
    """Shards whose stored bytes are not those of their receipt, by target; empty when all is well."""
    engine = Engine(existing_store(path), quiet=True)
    found = {target: engine.verify(target) for target in targets(engine.ledger)}
    return {target: shards for target, shards in found.items() if shards}


def damaged_documents(path: str | Path) -> list[str]:
    """Receipt books, receipts, states and notes of a store that are not what was written; empty when all is well."""
    return Ledger(open_store(existing_store(path))).damaged()


def status_table(path: str | Path) -> str:
    """A line a target: shards done of all, points, megabytes, seconds of work.

    Of a group that cannot be opened no shard is done, of nobody knows how many: its documents are damaged, or a run was
    killed as it made it anew.
    """
    ledger = Ledger(open_store(existing_store(path)))
    lines = [f"{'target':<56} {'shards':>13} {'points':>12} {'MB':>9} {'seconds':>9}"]
    for target in targets(ledger):
        done = list(ledger.done(target).values())
        try:
            total = _total(ledger, target)
            counted = f"{len(done)}" if total is None else f"{len(done)} of {total}"
        except CubeError:
            done = done if target.startswith("jobs/") else []
            counted = f"{len(done)} of ?"
        lines.append(
            f"{target:<56} {counted:>13} {sum(r.points for r in done):>12,} "
            f"{sum(r.size for r in done) / 1e6:>9.1f} {sum(r.seconds for r in done):>9.1f}"
        )
    return "\n".join(lines)


def _total(ledger: Ledger, target: str) -> int | None:
    """Shards of a target; None where its parts are those of a scene or of several stores, and of no one group."""
    partials = "jobs/partials/"
    group = target
    if target.startswith(partials):  # of the raw cube of a product, or of a tile cube
        first, second, *_ = f"{target.removeprefix(partials)}/".split("/")
        group = f"{TILES}/{second}" if first == TILES else f"{first}/raw"
        if get_bytes(ledger.store, f"{group}/zarr.json") is None:
            return None
    return shard_plan(ledger.store, group).n_shards


def existing_store(path: str | Path) -> str | Path:
    """The path of a store; FileNotFoundError with the cure where there is none."""
    if get_bytes(open_store(path), "zarr.json") is None:
        raise FileNotFoundError(f"there is no store at {path}; make one with `insar-dask ingest`")
    return path
