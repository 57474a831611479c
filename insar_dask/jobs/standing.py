"""What of a stage still stands: shards with a receipt of the wanted key whose stored bytes are those that it is for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from insar_dask.jobs.receipts import Ledger, Receipt
from insar_dask.shard_store import checksum_block, listed_sizes

__all__ = ["damaged_shards", "lacks_any", "pending_shards", "stale_shards"]

READS_AT_ONCE = 4


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
        return set(keys) - {receipt.index for receipt in current if sizes[receipt.index] == receipt.size}
    return set(keys) - ({receipt.index for receipt in current} - set(damaged_shards(ledger, target, current)))


def damaged_shards(ledger: Ledger, target: str, receipts: Iterable[Receipt]) -> list[int]:
    """Shards whose stored bytes are not those that their receipts are for."""
    receipts = list(receipts)
    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        intact = list(pool.map(lambda receipt: _is_intact(ledger, target, receipt), receipts))
    return [receipt.index for receipt, good in zip(receipts, intact, strict=True) if not good]


def _is_intact(ledger: Ledger, target: str, receipt: Receipt) -> bool:
    if _is_partial(target):
        return ledger.checksum_partial(target, receipt.index) == receipt.checksum
    return checksum_block(ledger.store, target, receipt.index)[0] == receipt.checksum


def _is_partial(target: str) -> bool:
    return target.startswith("jobs/")
