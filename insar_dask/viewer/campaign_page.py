"""Many stores as one page: the products of a campaign in one menu."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from insar_dask.bucket_address import is_bucket

__all__ = ["find_stores", "joined_index"]

PLAIN = re.compile(r"[^/\\\x00-\x1f]+")
"""Names that are one part of a path."""


def find_stores(place: str | Path) -> dict[str, str | Path] | None:
    """Stores of a campaign by the names of their products, those that are done; None where there is no campaign.

    Raises
    ------
    CubeError
        When no product of it is done; when its book, which anybody may have written who could write there, names a
        store that does not lie beside it, to which nothing is written and no credentials are shown. A link there is
        followed where it and what it leads to belong to who runs this.
    """
    if not is_bucket(place) and not (Path(place) / "campaign").exists():
        return None
    from insar_dask.addresses import child_address
    from insar_dask.campaign_book import BOOK, holds_campaign, stores_done
    from insar_dask.cube import CubeError
    from insar_dask.dashboard.product_pages import own_store

    if not holds_campaign(place):
        return None
    named, book = stores_done(place), child_address(place, BOOK)
    if not named:
        raise CubeError(f"no product of the campaign in {place} is done yet; `insar-dask status {place}` tells more")
    found: dict[str, str | Path] = {}
    for name, store in named.items():
        own = own_store(str(store), book)
        if own is None or not PLAIN.fullmatch(name) or name in (".", ".."):
            raise CubeError(
                f"the campaign in {place} names {name!r} at {store}, which does not lie beside its book, nor is a link "
                "of yours to a store of yours: it was moved, or written by somebody else; explore its stores one by one"
            )
        found[name] = own if is_bucket(own) else Path(own)
    return found


def joined_index(stores: Mapping[str, str | Path]) -> str:
    """The document that names all products, as of one store whose groups lie in stores of their own."""
    listed = []
    for name, store in stores.items():
        for one in _products(store):
            group = str(one["group"])
            told = one["name"] if str(one["name"]) == name else f"{name}: {one['name']}"
            listed.append({"name": told, "group": group, "store": f"{quote(name)}/"})
    return json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {"version": 1, "products": listed}})


def _products(store: str | Path) -> list[dict[str, Any]]:
    if is_bucket(store):
        from insar_dask.objects import get_bytes, open_store

        data = get_bytes(open_store(store), "explore/zarr.json") or b"{}"
    else:
        data = (Path(store) / "explore" / "zarr.json").read_bytes()
    found: list[dict[str, Any]] = json.loads(data)["attributes"]["products"]
    return found
