"""The built page, and what it is told where the store or a background lies elsewhere: as `meta` elements and policy."""

from __future__ import annotations

import html
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["PAGE", "POLICY", "STORE", "origin_of", "page_folder", "page_text"]

POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""No text of a store can become a script, and none of it goes anywhere else."""

PAGE = ("index.html", "app.js", "app.css", "LICENSES.txt")
STORE = "data.zarr"

STRANGE = set(" ;,'\"<>\\")
"""What would end one part of a policy and begin another."""


def page_folder() -> Path:
    """Where the built page lies."""
    return Path(str(files("insar_dask.viewer").joinpath("static")))


def page_text(store: str | None = None, tiles: str | None = None) -> str:
    """The page, told where its store and its background lie.

    Parameters
    ----------
    store : str, optional
        Address of the store on a web server; default: beside the page.
    tiles : str, optional
        Address of background images, as `insar_dask.viewer.background.check_tiles` wants it.

    Raises
    ------
    ValueError
        When one is no address; when the page was not built.
    """
    text = (page_folder() / "index.html").read_text(encoding="utf-8")
    if "connect-src 'self'" not in text or "img-src 'self'" not in text or "<title>" not in text:
        raise ValueError("the built page has no policy to write an address into: build it anew with `make viewer`")
    told = {"store": store, "tiles": tiles}
    for name, kind in (("store", "connect-src"), ("tiles", "img-src")):
        if (address := told[name]) is not None:
            meta = f'<meta name="{name}" content="{html.escape(address)}">\n'
            text = text.replace(f"{kind} 'self'", f"{kind} 'self' {origin_of(address)}", 1)
            text = text.replace("<title>", f"{meta}<title>", 1)
    return text


def origin_of(address: str) -> str:
    """Scheme, host and port of an address on the web.

    Raises
    ------
    ValueError
        When it is none.

    >>> origin_of("https://example.org:8443/a/site.zarr")
    'https://example.org:8443'
    """
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or not STRANGE.isdisjoint(address):
        raise ValueError(f"{address!r} is no address on a web server, such as https://example.org/site.zarr")
    return f"{parts.scheme}://{parts.netloc}"
