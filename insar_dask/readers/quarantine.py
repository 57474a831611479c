"""Rows that were not understood: counted, written beside the cube, and too many of them stop the run."""

from __future__ import annotations

import contextlib
import csv
import os
from collections.abc import Sequence
from pathlib import Path

from insar_dask.cube import CubeError

__all__ = ["check_share", "write_rejected"]

EXAMPLES = 3


def check_share(
    source: str, rejected: Sequence[tuple[int, str]], n_rows: float, most: float, where: Path | None
) -> None:
    """Raise CubeError when more than the share ``most`` of ``n_rows`` rows was rejected, with examples and the cure."""
    if len(rejected) <= most * n_rows:
        return
    examples = "; ".join(f"line {line}: {reason}" for line, reason in rejected[:EXAMPLES])
    listed = f" (all in {where})" if where else ""
    raise CubeError(
        f"{source}: {len(rejected)} of {n_rows:.0f} rows rejected, more than {most:.2%}: {examples}{listed}. "
        f"Mend the file, or allow it with max_rejected={min(1.0, len(rejected) / max(n_rows, 1) * 1.01 + 1e-4):.4f}"
    )


def write_rejected(path: Path, rejected: Sequence[tuple[int, str]], what: str = "line") -> None:
    """Write ``line,reason`` rows in the order of the file; all of them or, when the disk is full, no file at all.

    Of a raster ``what`` is a "pixel": its place, row by row, the first being 0.

    Raises
    ------
    OSError
        Naming the file and the cure.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with draft.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow((what, "reason"))
            writer.writerows(sorted(rejected))
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        message = (
            f"cannot write {len(rejected)} rejected {what}s: {error.strerror}; free space or pass another rejected="
        )
        raise OSError(error.errno, message, str(path)) from error
