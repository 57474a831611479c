"""A figure in its place: the PNG file beside the page, the inline SVG in it, what it shows and what it has seen."""

from __future__ import annotations

from html import escape
from pathlib import Path

import xarray as xr
from matplotlib.figure import Figure

from insar_dask.foresight import sees_future
from insar_dask.report.style import png_bytes, svg_text

__all__ = ["place_figure", "seen", "sentence", "sight", "unbroken"]


def place_figure(folder: Path, figure: Figure, name: str, alt: str, caption: str) -> str:
    """Save a figure as ``figures/<name>.png`` and return it as inline SVG with its caption (HTML)."""
    (folder / "figures" / f"{name}.png").write_bytes(png_bytes(figure))
    return f"<figure id='{name}'><figcaption>{caption}</figcaption>{svg_text(figure, name + '-svg', alt)}</figure>"


def seen(data: xr.Dataset) -> str:
    """What the values of a data set know of later dates.

    >>> seen(xr.Dataset(attrs={"sees_future": -1}))
    'every value has seen the whole series'
    """
    days = sees_future(data)
    return {0: "no value has seen a later date", -1: "every value has seen the whole series"}.get(
        days, f"every value has seen up to {days} days beyond its date"
    )


def sight(data: xr.Dataset) -> str:
    """The same in few words, for a caption.

    >>> sight(xr.Dataset(attrs={"sees_future": 30}))
    'sees 30 d ahead'
    """
    days = sees_future(data)
    return {0: "sees no later date", -1: "sees the whole series"}.get(days, f"sees {days} d ahead")


def sentence(text: str) -> str:
    """Escaped, with a capital and a full stop."""
    text = text.strip()
    return escape(text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", ":")) or not text else "."))


def unbroken(text: str) -> str:
    """Escaped; lines break between the parts, never within."""
    first, *others = (escape(part) for part in reversed(text.split(" · ")))
    parts = [f"<span class=whole>{part} ·</span>" for part in reversed(others)]
    return " ".join([*parts, f"<span class=whole>{first}</span>"])
