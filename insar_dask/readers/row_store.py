"""Rows of a file as they come, band after band, in memory that grows without a second copy of the values."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.readers.csv_rows import Rows

__all__ = ["RowStore"]

EXACT = frozenset(("easting", "northing", "longitude", "latitude"))
"""Columns kept as float64; float32 moves a point by half a metre."""

WHOLE = frozenset(("mp_type", "cluster_label", "line", "pixel"))
"""Columns that count or label: int32 where none is missing."""


class RowStore:
    """Collect rows in file order.

    Parameters
    ----------
    names : list of str
        Names of the numbers of a row.
    n_dates : int
        Values of a row.
    dtype : dtype
        Of the values.
    """

    def __init__(self, names: list[str], n_dates: int, dtype: npt.DTypeLike) -> None:
        self.values: npt.NDArray[Any] = np.empty((0, n_dates), dtype)
        self.rejected: list[tuple[int, str]] = []
        self.reach: tuple[float, ...] = (np.inf, np.inf, -np.inf, -np.inf)
        self.n_rows = self.n_careful = 0
        self._parts: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in names}
        self._point_ids: list[npt.NDArray[np.bytes_]] = []
        self._lines: list[npt.NDArray[np.int64]] = []

    def append(self, rows: Rows) -> None:
        """Add the rows of the next band."""
        n = len(self.values)
        # in place: the allocator moves pages instead of copying them, so the values never exist twice
        self.values.resize((n + len(rows.values), self.values.shape[1]), refcheck=False)
        self.values[n:] = rows.values
        for k, (name, parts) in enumerate(self._parts.items()):
            parts.append(rows.numbers[:, k].astype(np.float64 if name in EXACT | WHOLE else np.float32))
        self._point_ids.append(rows.point_ids)
        self._lines.append(rows.lines)
        self.rejected += rows.rejected
        self.n_rows += rows.n_rows
        self.n_careful += rows.n_careful
        low, high = np.minimum(self.reach, rows.reach)[:2], np.maximum(self.reach, rows.reach)[2:]
        self.reach = (*map(float, low), *map(float, high))

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """The columns, (rows,) each; hands them over, so call it once."""
        columns: dict[str, npt.NDArray[Any]] = {"point_id": np.concatenate(self._point_ids)}
        for name in list(self._parts):
            column = np.concatenate(self._parts.pop(name))
            whole = name in WHOLE and bool((column == np.trunc(column)).all()) and bool((np.abs(column) < 2**31).all())
            columns[name] = column.astype(np.int32) if whole else column
        return columns

    def lines(self) -> npt.NDArray[np.int64]:
        """Line of the file of each row."""
        return np.concatenate(self._lines)
