"""The rows of a product that were not understood: a file beside the store, and where that is a bucket an object too.

The process that reads a product may be on another machine than whoever looks at the report.
"""

from __future__ import annotations

from pathlib import Path

from zarr.abc.store import Store

from insar_dask.addresses import beside
from insar_dask.buckets import Bucket
from insar_dask.objects import get_bytes, open_store, put_bytes

__all__ = ["fetch_rejected", "keep_rejected", "rejected_path"]


def rejected_path(store: str | Path | Store, product: str) -> Path | None:
    """Where the rejected rows go: beside the store; None where the store has no address."""
    return None if isinstance(store, Store) else beside(store, f"-{product.replace('/', '-')}-rejected.csv")


def keep_rejected(store: str | Path | Store, product: str) -> None:
    """Put the file of the rejected rows into the bucket, where the store is one."""
    opened, path = open_store(store), rejected_path(store, product)
    if isinstance(opened, Bucket) and path is not None and path.is_file():
        put_bytes(opened, _key(product), path.read_bytes())


def fetch_rejected(store: str | Path | Store, product: str) -> None:
    """Write the file of the rejected rows from the bucket, where it is not beside it yet."""
    opened, path = open_store(store), rejected_path(store, product)
    if isinstance(opened, Bucket) and path is not None and not path.is_file():
        data = get_bytes(opened, _key(product))
        if data is not None:
            path.write_bytes(data)


def _key(product: str) -> str:
    return f"jobs/rejected/{product}.csv"
