"""Where the bytes of an EGMS file go: a csv, or a zip of a csv and an xml, whole or not at all."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from insar_dask.readers.egms_names import EgmsName, parse_name

__all__ = ["egms_sink"]

FAST = 1
"""Deflate level: 114 MB/s to 0.375 of the size; 3 gives 39 MB/s to 0.344, 6 gives 9 MB/s to 0.315 (one core)."""


@contextmanager
def egms_sink(path: Path, attrs: dict[str, Any]) -> Iterator[Callable[[Any], object]]:
    """Open a file for the text of a product; it appears under its name only when all has been written."""
    if path.suffix not in (".csv", ".zip"):
        raise ValueError(f"an EGMS file is a .csv or a .zip, got {path.name!r}")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        if path.suffix == ".csv":
            with partial.open("wb") as file:
                yield file.write
        else:
            with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=FAST) as archive:
                # opened by name, an entry is dated 1980 on every day: equal cubes give equal bytes
                with archive.open(f"{path.stem}.xml", "w") as member:
                    member.write(_xml(path, attrs).encode())
                with archive.open(f"{path.stem}.csv", "w", force_zip64=True) as member:
                    yield member.write
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _xml(path: Path, attrs: dict[str, Any]) -> str:
    name = parse_name(path)
    root = "BURST" if attrs["component"] == "los" else "TILE"
    lines = [f"  <{tag}>{text}</{tag}>" for tag, text in _facts(attrs, name).items()]
    return "\n".join(["<?xml version='1.0' encoding='UTF-8'?>", f"<{root}>", *lines, f"</{root}>"]) + "\n"


def _facts(attrs: dict[str, Any], name: EgmsName | None) -> dict[str, str]:
    facts = {"product_level": str(attrs.get("product", "")), "production_facility": "insar_dask"}
    if name is not None and name.burst:
        facts |= {"track": name.track, "burst_id": name.burst, "sub_swath": name.swath.removeprefix("IW")}
    return facts
