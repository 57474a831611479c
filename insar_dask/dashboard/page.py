"""The page itself, one file of HTML: alive it asks the scheduler for its state, dead it holds it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files as package_files
from typing import Any

__all__ = ["dead_page", "live_page"]

HOLDER = '<script type="application/json" id="kept">null</script>'


@cache
def live_page() -> str:
    """The page that asks the server it came from."""
    return (package_files("insar_dask.dashboard") / "page.html").read_text(encoding="utf-8")


def dead_page(kept: Mapping[str, Any]) -> str:
    """The page that holds all it shows, and opens from a disk."""
    # a "<" could end the script, whatever an error message says
    text = json.dumps(kept, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return live_page().replace(HOLDER, HOLDER.replace("null", text))
