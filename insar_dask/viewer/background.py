"""Images behind the points: a map on the web, which alone of all that the page shows is asked of another host."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from insar_dask.objects import get_bytes, open_store
from insar_dask.viewer.page import origin_of

__all__ = ["MERCATOR", "check_tiles"]

MERCATOR = 3857
"""EPSG code of the projection that images of maps on the web are in."""


def check_tiles(address: str, stores: Mapping[str, str | Path]) -> None:
    """Raise where an address gives no images, or a product lies in another projection than they do.

    Parameters
    ----------
    address : str
        With ``{z}``, ``{x}`` and ``{y}``.
    stores : mapping
        Name -> store that has an overview.

    Raises
    ------
    ValueError
        Points would lie beside the places that they are at: images are never bent here.
    """
    if not all(part in address for part in ("{z}", "{x}", "{y}")):
        raise ValueError(f"{address!r} names no images: wanted such as https://example.org/{{z}}/{{x}}/{{y}}.png")
    origin_of(address)
    for store in stores.values():
        for name, epsg in _codes(store):
            if epsg != MERCATOR:
                raise ValueError(
                    f"{name} is in {f'EPSG:{epsg}' if epsg else 'a CRS without a code'}, and images of maps on the web "
                    f"in EPSG:{MERCATOR}: leave --tiles out, or read the source with a crs of EPSG:{MERCATOR}"
                )


def _codes(store: str | Path) -> Iterator[tuple[str, int | None]]:
    """Products of a store and their EPSG codes."""
    opened = open_store(store)
    index: dict[str, Any] = json.loads(get_bytes(opened, "explore/zarr.json") or b"{}")
    for one in index["attributes"]["products"]:
        told = json.loads(get_bytes(opened, f"{one['group']}/zarr.json") or b"{}")
        yield str(one["name"]), told["attributes"]["crs"]["epsg"]
