"""The book of a campaign as anybody may read it: which products it has, and what is done of them."""

from __future__ import annotations

from pathlib import Path

from insar_dask.addresses import child_address
from insar_dask.bucket_address import is_bucket
from insar_dask.jobs.progress.job_errors import JobError
from insar_dask.jobs.receipts import Ledger
from insar_dask.objects import get_bytes, open_store

__all__ = ["BOOK", "TARGET", "campaign_table", "holds_campaign", "place_of", "product_names", "stores_done"]

BOOK = "campaign"
"""Folder of the book, beside the stores."""

TARGET = "products"
"""Where the book keeps the receipts."""


def holds_campaign(root: str | Path) -> bool:
    """Whether a folder or prefix is a campaign's."""
    return get_bytes(open_store(child_address(root, BOOK)), "jobs/catalogue.json") is not None


def stores_done(root: str | Path) -> dict[str, str | Path]:
    """Stores of the products of a campaign that are done, by name."""
    ledger = Ledger(open_store(child_address(root, BOOK)))
    done = ledger.done(TARGET)
    names = [name for number, name in enumerate(product_names(ledger, root)) if number in done]
    notes = {name: ledger.read_note(f"outcomes/{name}") for name in names}
    return {name: place_of(note["store"]) for name, note in sorted(notes.items()) if note is not None}


def campaign_table(root: str | Path) -> str:
    """What is done of a campaign, a line a product: state, points, megabytes, seconds; needs no scheduler.

    Raises
    ------
    FileNotFoundError
        When there is no campaign in that folder.
    """
    ledger = Ledger(open_store(child_address(root, BOOK)))
    names = product_names(ledger, root)
    if not names:
        raise FileNotFoundError(f"there is no campaign in {root}; `insar-dask run` begins one")
    done, failures = ledger.done(TARGET), ledger.read_note("failures") or {}
    lines = [f"{'product':<48} {'state':>8} {'points':>12} {'MB':>9} {'seconds':>9}"]
    for number, name in enumerate(names):
        if (receipt := done.get(number)) is not None:
            counts = f"{receipt.points:>12,} {receipt.size / 1e6:>9.1f} {receipt.seconds:>9.1f}"
            lines.append(f"{name:<48} {'done':>8} {counts}")
        else:
            state = "failed" if name in failures else "waiting"
            lines.append(f"{name:<48} {state:>8}   {str(failures.get(name, '')).partition(chr(10))[0]}".rstrip())
    lines.append(f"{len(done)} of {len(names)} products are done")
    return "\n".join(lines)


def product_names(ledger: Ledger, place: Path | str) -> list[str]:
    """Names of the products of a campaign, in the order of their numbers; none where there is no campaign."""
    names = (ledger.read_note("catalogue") or {"products": []}).get("products")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise JobError(f"{place}: jobs/catalogue.json names no products; remove it, and run again")
    return names


def place_of(store: str) -> Path | str:
    """A store as the book names it."""
    return store if is_bucket(store) else Path(store)
