"""Blocks of dates to train, validate and test on, one after the other, and the windows that lie within each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError
from insar_dask.forecast.timetable import TooShortError

__all__ = ["PUBLISHED_LENGTHS", "Block", "Split", "split_by_date", "split_by_length"]

Index = npt.NDArray[np.int64]

PUBLISHED_LENGTHS = (100, 33, 33)
"""Dates of training, validation and test in Remote Sensing 2024, 16, 1891 (doi:10.3390/rs16111891)."""

NAMES = ("train", "validation", "test")


@dataclass(frozen=True)
class Block:
    """Dates ``start`` to ``stop - 1`` of a record, as columns."""

    name: str
    start: int
    stop: int

    def origins(self, context: int, horizon: int, stride: int = 1, reach_back: bool = False) -> Index:
        """Columns of the first date asked for, of every window in the block.

        Parameters
        ----------
        context, horizon : int
            Dates given and dates asked for.
        stride : int
            Dates from one window to the next.
        reach_back : bool
            Whether the context may begin before the block, as that of a rolling origin does; the dates asked for never
            leave it.

        Raises
        ------
        TooShortError
            When there is none.

        Examples
        --------
        >>> test = split_by_length(166).test
        >>> len(test.origins(24, 6)), len(test.origins(24, 6, reach_back=True))
        (4, 28)
        """
        for name, value in (("context", context), ("horizon", horizon), ("stride", stride)):
            if value < 1:
                raise ValueError(f"{name} is {value}; wanted at least 1 date")
        first = max(self.start, context) if reach_back else self.start + context
        origins = np.arange(first, self.stop - horizon + 1, stride, dtype=np.int64)
        if not origins.size:
            raise TooShortError(
                f"the {self.name} block has {self.stop - self.start} dates, from {self.start} on; a window of "
                f"{context} + {horizon} dates does not fit: make it longer, or take a shorter context or horizon"
                + ("" if reach_back else ", or let the context reach back")
            )
        return origins


@dataclass(frozen=True)
class Split:
    """Training, validation and test block of a record; no two share a date."""

    train: Block
    validation: Block
    test: Block


def split_by_length(n_dates: int, lengths: Sequence[int] | None = None) -> Split:
    """Cut ``n_dates`` dates into three blocks of these lengths; default: in the proportion 100 : 33 : 33.

    >>> split_by_length(166).validation
    Block(name='validation', start=100, stop=133)
    """
    if lengths is None:
        train, validation, _ = (round(n_dates * length / sum(PUBLISHED_LENGTHS)) for length in PUBLISHED_LENGTHS)
        lengths = train, validation, n_dates - train - validation
    if len(lengths) != len(NAMES) or sum(lengths) != n_dates:
        whole = split_by_length(n_dates)
        parts = [block.stop - block.start for block in (whole.train, whole.validation, whole.test)]
        raise ValueError(
            f"lengths are {list(lengths)}, of {sum(lengths)} dates; the record has {n_dates}: wanted three lengths "
            f"that add up to it, such as {parts}"
        )
    return _split([0, *np.cumsum(lengths).tolist()])


def split_by_date(
    times: npt.ArrayLike,
    validation: str | np.datetime64,
    test: str | np.datetime64,
    stop: str | np.datetime64 | None = None,
) -> Split:
    """Cut dates (T,) where validation and test begin, and before ``stop`` if one is given.

    Raises
    ------
    CubeError
        When a block is left without a date.
    """
    dates = np.asarray(times, "datetime64[s]")  # in nanoseconds the year 2263 would be 1678
    cuts = [int(np.searchsorted(dates, np.asarray(date, "datetime64[s]"))) for date in (validation, test)]
    end = len(dates) if stop is None else int(np.searchsorted(dates, np.asarray(stop, "datetime64[s]")))
    return _split([0, *cuts, end])


def _split(edges: list[int]) -> Split:
    blocks = [Block(name, start, stop) for name, start, stop in zip(NAMES, edges[:-1], edges[1:], strict=True)]
    for block in blocks:
        if block.stop <= block.start:
            raise CubeError(
                f"the {block.name} block has no date (columns {block.start} to {block.stop - 1}): "
                "wanted train, validation and test one after the other, each with dates of its own"
            )
    return Split(*blocks)
