"""What to type for a group of a store that is not there, or not whole."""

from __future__ import annotations

import shlex

from zarr.abc.store import Store

from insar_dask.addresses import address
from insar_dask.objects import get_bytes
from insar_dask.store import open_group

__all__ = ["maker_of"]

CALLS = {
    "raw": "ingest SOURCE... {}",
    "pairs": "invert SOURCE... {}",
    "east_up": "east-up TRACK... {}",
    **dict.fromkeys(("regular", "smooth", "cumulative", "products", "parts", "variances"), "products {}"),
    "patterns": "cluster {}",
    **dict.fromkeys(("forecast", "outlook"), "forecast {}"),
    "predicted": "forecast {} --model FOLDER",
    "errors": "areas {}",
    **dict.fromkeys(("update", "overlap", "departures", "judged", "alarms"), "update {} NEWER"),
    "tiles": "tiles SOURCE... {}",
}
"""Stage of a product -> the verb that makes it, and what else is typed; {} is the store."""


def maker_of(store: Store, group: str) -> str:
    """The call that makes a group of a store, or goes on with it; what it cannot know stands in capitals.

    >>> from zarr.storage import MemoryStore
    >>> maker_of(MemoryStore(), "site/smooth").partition(" memory:")[0]
    '`insar-dask products'
    """
    product, _, stage = group.rpartition("/")
    if group.startswith("tiles/"):
        stage = "tiles"
    elif product.startswith("incoming/"):
        stage = "update"
    elif stage == "raw":
        stage = _source(store, product)
    call = CALLS.get(stage, "status {}").format(shlex.quote(address(store)))
    return f"`insar-dask {call}`"


def _source(store: Store, product: str) -> str:
    """What a product's raw cube is made of, as it says itself where it is there in part."""
    if get_bytes(store, f"{product}/pairs/zarr.json") is not None:
        return "pairs"
    if get_bytes(store, f"{product}/raw/zarr.json") is None:
        return "raw"
    attrs = open_group(store, f"{product}/raw").attrs
    return "update" if "follows" in attrs else "east_up" if attrs.get("product") == "east_up" else "raw"
