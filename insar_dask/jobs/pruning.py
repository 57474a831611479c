"""Let go of the states that nothing refers to any more: each change of data or settings leaves some behind."""

from __future__ import annotations

import re

from insar_dask.jobs.progress.status import targets
from insar_dask.jobs.receipts import STATES, Ledger
from insar_dask.objects import delete, get_bytes, list_keys

__all__ = ["prune_states"]

NAME = re.compile(rb"[0-9a-f]{64}")


def prune_states(ledger: Ledger) -> list[str]:
    """Remove states that no note and no group's recipe names; returns their names.

    To be called by the holder of the store when its run has ended well: while it goes on, a state is stored before the
    note that names it. A run that is killed here leaves some for the next.
    """
    groups = [f"{target}/zarr.json" for target in targets(ledger) if not target.startswith("jobs/")]
    documents = [get_bytes(ledger.store, key) or b"" for key in ledger.notes() + groups]
    named = {name.decode() for document in documents for name in NAME.findall(document)}
    stored = [key.rpartition("/")[2].removesuffix(".npz") for key in list_keys(ledger.store, f"{STATES}/")]
    unnamed = [name for name in stored if name not in named]
    for name in unnamed:
        delete(ledger.store, f"{STATES}/{name}.npz")
    return unnamed
