"""From the page of a campaign to those of its products: which are its own, and why one was not written.

A history is bytes that anybody with the store could have written. So a product's store is looked for beside the book of
the campaign alone, in a bucket with the options by which one came there oneself: a history says neither where pages are
written, nor whom to show credentials to.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

from insar_dask.addresses import address, beside, parent_address
from insar_dask.bucket_address import address_parts, bucket_address, is_bucket
from insar_dask.dashboard.snapshot import names
from insar_dask.jobs.progress.board import Board

__all__ = ["own_store", "product_pages", "within"]

MOST_PAGES = 24
"""Of a campaign's products that failed, or ran when it was last heard of: their pages are written with its own."""

LINK_CHARACTERS = 100_000
"""Of links to pages; those that matter come first."""


def product_pages(
    board: Board, book: str | Path, folder: Path, write: Callable[[str], object]
) -> tuple[dict[str, str], dict[str, str]]:
    """Links from a folder to the pages of a campaign's products that there are, and why some are not.

    Parameters
    ----------
    board : Board
        Of a run; only a campaign's has products.
    book : str or Path
        The campaign's book, which the board was read from.
    folder : Path
        Where the campaign's own page goes.
    write : callable
        Writes the page of a store. It is called for products that failed or ran.

    Returns
    -------
    (dict, dict)
        Store, as the board names it -> link; store -> what is in the way.
    """
    links: dict[str, str] = {}
    troubles: dict[str, str] = {}
    for stage in board.stages.values():
        if not stage.stores or names(stage) is None:
            continue
        failed = [shard for shard, fault in stage.faults.items() if fault.kind != "retried"]
        first = [stage.stores[shard] for shard in [*failed, *stage.running]][:MOST_PAGES]
        for named in first:
            if trouble := _written(named, book, write):
                troubles[named] = trouble
        for named in dict.fromkeys([*first, *stage.stores]):
            store = own_store(named, book)
            if store is not None and (page := beside(store, "-jobs.html")).exists():
                links[named] = quote(os.path.relpath(page, folder))
    return within(links), troubles


def own_store(named: str, book: str | Path) -> str | None:
    """Where a product's store lies that a campaign names; None where that is not beside the campaign's book.

    >>> own_store("s3://maps/eu/a.zarr?endpoint=http://elsewhere", "s3://maps/eu/campaign?region=eu-west-1")
    's3://maps/eu/a.zarr?region=eu-west-1'
    >>> own_store("/data/eu/../../etc/a.zarr", "/data/eu/campaign") is None
    True
    """
    above, _ = parent_address(book)
    if is_bucket(named) != is_bucket(above):
        return None
    if not is_bucket(named):
        return _own_folder(Path(named), Path(above))
    try:
        bucket, prefix, _ = address_parts(named)
        own_bucket, own_prefix, options = address_parts(above)
    except ValueError:  # no address
        return None
    inside = prefix.startswith(f"{own_prefix}/" if own_prefix else "")
    return bucket_address(f"s3://{bucket}/{quote(prefix)}", options) if bucket == own_bucket and inside else None


def _own_folder(named: Path, above: Path) -> str | None:
    """A folder that lies below another, or that a link there of this user leads to, who owns what it leads to too.

    Such a link somebody made who moved a store to another disk. What others could put there leads nowhere.
    """
    store, folder = named.resolve(), above.resolve()
    if folder in store.parents:
        return str(store)
    plain = Path(os.path.normpath(named.absolute()))
    for base in (Path(os.path.normpath(above.absolute())), folder):
        if base in plain.parents:
            below = (one for one in (plain, *plain.parents) if base in one.parents)
            return str(plain) if all(map(_is_mine, (*below, store))) else None
    return None


def _is_mine(path: Path) -> bool:
    """Whether a file, folder or link belongs to who runs this."""
    try:
        return path.lstat().st_uid == os.getuid()
    except OSError:
        return False


def _written(named: str, book: str | Path, write: Callable[[str], object]) -> str:
    """Write the page of a product; what is in the way, if anything is."""
    store = own_store(named, book)
    if store is None:
        return (
            f"{named} does not lie beside {address(book)}, whose campaign names it, nor is a link of yours there: its "
            "page is not written"
        )
    try:
        write(store)
    except FileNotFoundError:  # it came to no chunk job
        return ""
    except (OSError, ValueError) as error:  # a bucket that refuses, a folder that is full: the others' are written
        return f"its page was not written: {(str(error).splitlines() or [type(error).__name__])[0]}"
    return ""


def within(links: Mapping[str, str]) -> dict[str, str]:
    """The first links, as far as a page has room for them."""
    room, kept = LINK_CHARACTERS, dict[str, str]()
    for store, link in links.items():
        room -= len(store) + len(link) + 6
        if room < 0:
            break
        kept[store] = link
    return kept
