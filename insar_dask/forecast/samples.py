"""Samples of a cube's series that are the same however its points are cut into blocks: those with the smallest keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.forecast.timetable import TooShortError

__all__ = ["merged", "pooled", "series_hashes"]

Arrays = Mapping[str, npt.NDArray[Any]]


def series_hashes(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint64]:
    """Multilinear hash of every row's bits: a pseudo-random priority that belongs to the series, not to its place."""
    keys = np.random.default_rng(0).integers(0, 2**63, size=values.shape[1], dtype=np.uint64)
    bits = np.where(np.isnan(values), np.float32(np.inf), values).view(np.uint32)
    hashes: npt.NDArray[np.uint64] = np.einsum("nt,t->n", bits, keys)
    return hashes


def merged(one: Arrays, other: Arrays, key: str, most: int) -> dict[str, npt.NDArray[Any]]:
    """Sample of two blocks together: the rows with the smallest keys; of equal keys the former's come first."""
    both = {name: np.concatenate([one[name], other[name]]) for name in one}
    chosen = np.argsort(both[key], kind="stable")[:most]
    return {name: array[chosen] for name, array in both.items()}


def pooled(
    partials: Sequence[Arrays], merge: Callable[[Arrays, Arrays], Arrays], method: str, wanted: str
) -> dict[str, npt.NDArray[Any]]:
    """Sample of all blocks.

    Raises
    ------
    TooShortError
        When there is nothing in it: no point has what is ``wanted``.
    """
    sample: Arrays = reduce(merge, partials)
    if not len(sample["values"]):
        raise TooShortError(
            f"no point has {wanted} of a history that {method} is fitted on, which has nothing to learn from: take "
            "points with more dates, leave out dates without values, take a longer record, or another method"
        )
    return dict(sample)
