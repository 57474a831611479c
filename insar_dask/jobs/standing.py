"""What of a stage still stands: shards with a receipt of the wanted key whose stored bytes are those that it is for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from insar_dask.jobs.receipts import Ledger, Receipt
from insar_dask.objects import delete, get_bytes
from insar_dask.shard_store import checksum_block, listed_sizes, shard_sizes

__all__ = ["damaged_shards", "is_whole", "lacks_any", "mark_damaged", "pending_shards", "stale_shards"]

READS_AT_ONCE = 4

MARK = "damaged"
"""Note of what `insar-dask verify` found damaged: runs that do not read all they take for done look there again."""


def pending_shards(
    ledger: Ledger, saves: Mapping[str, str], keys: Mapping[int, Mapping[str, str]]
) -> dict[int, dict[str, str]]:
    """Shards that are to be made, with the results that they lack and the keys of these; others are superseded.

    Parameters
    ----------
    ledger : Ledger
    saves : mapping
        Result -> target.
    keys : mapping
        Shard -> result -> wanted key.
    """
    pending: dict[int, dict[str, str]] = {}
    for result, target in saves.items():
        of_target = {i: wanted[result] for i, wanted in keys.items()}
        ledger.supersede(target, of_target)
        for index in stale_shards(ledger, target, of_target):
            pending.setdefault(index, {})[result] = keys[index][result]
    return dict(sorted(pending.items()))


def lacks_any(ledger: Ledger, saves: Mapping[str, str], keys: Mapping[int, Mapping[str, str]]) -> bool:
    """Whether a shard has no receipt of the wanted key, as far as receipts tell; nothing is read but these."""
    done = {result: ledger.done(target) for result, target in saves.items()}
    return any(
        index not in done[result] or done[result][index].key != key
        for index, wanted in keys.items()
        for result, key in wanted.items()
    )


def stale_shards(ledger: Ledger, target: str, keys: Mapping[int, str]) -> set[int]:
    """Shards of a target without a receipt of the wanted key, or whose bytes are not those it was written for."""
    current = [r for i, r in ledger.done(target).items() if keys.get(i) == r.key]
    sizes = None if _is_partial(target) else listed_sizes(ledger.store, target, keys)
    if sizes is not None:
        marked = _mark(ledger)["shards"].get(target, ())
        suspect = damaged_shards(ledger, target, (receipt for receipt in current if receipt.index in marked))
        return set(keys) - ({r.index for r in current if sizes[r.index] == r.size} - set(suspect))
    return set(keys) - ({receipt.index for receipt in current} - set(damaged_shards(ledger, target, current)))


def damaged_shards(ledger: Ledger, target: str, receipts: Iterable[Receipt]) -> list[int]:
    """Shards whose stored bytes are not those that their receipts are for."""
    receipts = list(receipts)
    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        intact = list(pool.map(lambda receipt: _is_intact(ledger, target, receipt), receipts))
    return [receipt.index for receipt, good in zip(receipts, intact, strict=True) if not good]


def mark_damaged(ledger: Ledger, shards: Mapping[str, list[int]], documents: Collection[str]) -> None:
    """Keep what was found damaged for the runs to come, or that nothing is any more."""
    if shards or documents:
        ledger.write_note(MARK, {"shards": shards, "documents": len(documents)})
    elif get_bytes(ledger.store, f"jobs/{MARK}.json") is not None:  # else nothing is asked of who may only read
        delete(ledger.store, f"jobs/{MARK}.json")


def is_whole(ledger: Ledger, done: Mapping[str, Iterable[Receipt]]) -> bool:
    """Whether a store holds what receipts, by target, say of it: by sizes in a folder; what is marked is read."""
    for target, receipts in done.items():
        sized = {receipt.index: receipt.size for receipt in receipts}
        stored = {} if _is_partial(target) else shard_sizes(ledger.store, target, sized)
        if any(size != sized[index] for index, size in stored.items()):
            return False
    mark = _mark(ledger)
    for target, indices in mark["shards"].items():
        if damaged_shards(ledger, target, (receipt for receipt in done.get(target, ()) if receipt.index in indices)):
            return False
    return not (mark["documents"] and ledger.damaged())


def _mark(ledger: Ledger) -> dict[str, Any]:
    return ledger.read_note(MARK) or {"shards": {}, "documents": 0}


def _is_intact(ledger: Ledger, target: str, receipt: Receipt) -> bool:
    if _is_partial(target):
        return ledger.checksum_partial(target, receipt.index) == receipt.checksum
    return checksum_block(ledger.store, target, receipt.index)[0] == receipt.checksum


def _is_partial(target: str) -> bool:
    return target.startswith("jobs/")
