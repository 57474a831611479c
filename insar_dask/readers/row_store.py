"""Rows of a file as they come, band after band, in memory reserved once: nothing is joined or copied at the end.

Reserved memory is not used memory: pages that no row reaches are never touched. Each column has its own array, so that
one which is done with can go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.readers.csv_rows import Rows

__all__ = ["RowStore"]

EXACT = frozenset(("easting", "northing", "longitude", "latitude", "cluster_label"))
"""Columns kept as float64; float32 moves a point by half a metre."""

WHOLE = ("mp_type", "cluster_label", "line", "pixel")
"""Columns that count or label: int32 where all are whole."""

FIRST_LINE = 2  # after the header
SPARE = 1.05  # more rows than the first band foretells


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
        self.n_kept = self.n_rows = self.n_careful = 0
        self._next_line = FIRST_LINE
        self.rejected: list[tuple[int, str]] = []
        self.reach: tuple[float, ...] = (np.inf, np.inf, -np.inf, -np.inf)
        self._names = names
        self._copies: deque[Future[None]] = deque()
        self._values: npt.NDArray[Any] = np.empty((0, n_dates), dtype)
        self._columns: dict[str, npt.NDArray[Any]] = {name: np.empty(0, _dtype(name)) for name in names}
        self._columns |= {"file_line": np.empty(0, np.int32), "point_id": np.empty(0, "S1")}

    def append(self, rows: Rows, n_expected: float, pool: ThreadPoolExecutor, done: Callable[[], None]) -> None:
        """Add the rows of the next band of a file that has about ``n_expected`` in all; ``done`` when they are copied.

        Threads of the ``pool`` copy: on fresh pages that takes as long as to parse, and one thread would hold up all.
        """
        start, stop = self.n_kept, self.n_kept + len(rows.values)
        self._reserve(stop, int(n_expected * SPARE), rows.point_ids.dtype.itemsize)
        while self._copies and self._copies[0].done():
            self._copies.popleft().result()
        self._copies.append(pool.submit(self._copy, rows, slice(start, stop), self._next_line, done))
        self.n_kept = stop
        self.n_rows += rows.n_rows
        self.n_careful += rows.n_careful
        self.rejected += [(line + self._next_line, reason) for line, reason in rows.rejected]
        self._next_line += rows.n_lines
        low, high = np.minimum(self.reach, rows.reach)[:2], np.maximum(self.reach, rows.reach)[2:]
        self.reach = (*map(float, low), *map(float, high))

    def settle(self) -> None:
        """Wait until all rows are copied."""
        for copy in self._copies:
            copy.result()
        self._copies.clear()

    def _copy(self, rows: Rows, where: slice, first_line: int, done: Callable[[], None]) -> None:
        self._values[where] = rows.values
        self._columns["point_id"][where] = rows.point_ids
        self._columns["file_line"][where] = rows.lines + first_line
        for k, name in enumerate(self._names):
            self._columns[name][where] = rows.numbers[:, k]
        done()

    @property
    def values(self) -> npt.NDArray[Any]:
        """Values of the rows, (rows, time)."""
        return self._values[: self.n_kept]

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """The other columns by name, (rows,) each; ``file_line`` is the line each row came from.

        They are handed over: the store forgets them.
        """
        columns = {name: column[: self.n_kept] for name, column in self._columns.items()}
        self._columns.clear()
        for name in WHOLE:
            if name in columns and (np.trunc(columns[name]) == columns[name]).all() and _fits_int32(columns[name]):
                columns[name] = columns[name].astype(np.int32)
        return columns

    def _reserve(self, needed: int, expected: int, id_bytes: int) -> None:
        longer = id_bytes > self._columns["point_id"].dtype.itemsize
        if longer or needed > len(self._values):
            self.settle()
        if longer:
            self._columns["point_id"] = self._columns["point_id"].astype(f"S{id_bytes}")
        if needed > len(self._values):
            capacity = max(needed, expected)
            self._values = _grown(self._values, capacity, self.n_kept)
            self._columns = {name: _grown(c, capacity, self.n_kept) for name, c in self._columns.items()}


def _dtype(name: str) -> npt.DTypeLike:
    return np.float64 if name in EXACT else np.float32


def _grown(rows: npt.NDArray[Any], capacity: int, used: int) -> npt.NDArray[Any]:
    grown = np.empty((capacity, *rows.shape[1:]), rows.dtype)
    grown[:used] = rows[:used]
    return grown


def _fits_int32(column: npt.NDArray[Any]) -> bool:
    return bool((np.abs(column) < 2**31).all())
