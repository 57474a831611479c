"""What a user has to know before any number: a product without motion, a file that was cut off."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["alarms"]

MANY = 0.5
"""Share of points without motion that is no longer ordinary: real products have next to none."""

CUT_OFF = "the file is cut off"
"""How the reader's reason against a last line begins that ends within a number."""

SHORT = re.compile(r"(\d+) columns, wanted (\d+)")
"""Its reason against a line that ends between two numbers."""


def alarms(velocity: npt.NDArray[np.floating[Any]], ingest: Mapping[str, Any]) -> list[str]:
    """Sentences, without a capital, on what makes a product suspect; none of an ordinary one.

    Parameters
    ----------
    velocity : (n,) array [mm yr-1]
    ingest : mapping
        What reading came to; ``rejected`` is the file of rejected rows.
    """
    found = []
    lacking, n_points = int(np.isnan(velocity).sum()), velocity.size
    if lacking > MANY * n_points:
        which = (
            f"none of the {n_points:,} points has"
            if lacking == n_points
            else f"{lacking:,} of {n_points:,} points lack"
        )
        found.append(f"{which} a velocity: their series hold too few values; look at the product before you use a map")
    if _cut_off(ingest):
        name = ingest.get("source", "the product file")
        found.append(f"{name} ends in the middle of a line: it was cut off, and rows are missing; fetch it again")
    return found


def _cut_off(ingest: Mapping[str, Any]) -> bool:
    """Whether the last rejected row, which the quarantine keeps in the order of the file, is half a last line."""
    rejected = ingest.get("rejected")
    if not rejected or not Path(rejected).is_file():
        return False
    with Path(rejected).open(encoding="utf-8", newline="") as file:
        ((line, reason),) = deque(csv.reader(file), maxlen=1)
    if reason.startswith(CUT_OFF):
        return True
    options = ingest.get("options", {})
    if options.get("area") or options.get("min_coherence"):  # how many lines there were is not known then
        return False
    is_last = line.isdigit() and int(line) > ingest["n_points"] + ingest["n_rejected"]
    short = SHORT.fullmatch(reason)
    return is_last and short is not None and int(short[1]) < int(short[2])
