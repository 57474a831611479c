"""How the points or tiles of a cube are cut into shards, the unit of storage, work, resume and monitoring."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from insar_dask.settings import whole

__all__ = ["SERIES_DATES", "SHARD_POINTS", "ShardPlan", "inner_dates", "inner_points", "shard_axis"]

SHARD_POINTS = 65_536
SMALL_CUBE_SHARDS = 16
INNER_BYTES = 640 * 1024  # one point's series is then one range request of about 0.3 MB compressed
FEWEST_INNER_POINTS = 128

AXES = ("point", "tile")
"""Dimensions that are cut into shards; a cube has one of them."""

SERIES_DATES = 292
"""Dates of an EGMS product: what has no series is cut as the cube of one is, else 65,536 points would be one task."""


@dataclass(frozen=True)
class ShardPlan:
    """How the points of a cube are cut into shards; follows from the data alone, never from the machine.

    >>> ShardPlan.of(n_points=588_600, n_dates=158)
    ShardPlan(n_points=588600, shard=34816)
    >>> ShardPlan.of(n_points=20_000, n_dates=210).n_shards
    20
    """

    n_points: int
    shard: int

    @classmethod
    def of(cls, n_points: int, n_dates: int, shard_points: int = SHARD_POINTS) -> ShardPlan:
        """Shards of at most ``shard_points``, smaller by whole inner chunks where fewer than 16 would remain."""
        inner = min(inner_points(n_dates * 2), whole("shard_points", shard_points, of="points"))
        small = n_points // SMALL_CUBE_SHARDS // inner * inner
        return cls(n_points, max(min(small, shard_points // inner * inner), inner))

    @property
    def n_shards(self) -> int:
        """Number of shards."""
        return -(-self.n_points // self.shard)

    def slice(self, index: int) -> slice:
        """Points of shard ``index``."""
        return slice(index * self.shard, min((index + 1) * self.shard, self.n_points))

    def inner(self, bytes_per_point: int) -> int:
        """Points of an inner chunk: the rule's, but a divisor of the shard."""
        return min(inner_points(bytes_per_point), self.shard & -self.shard)


def inner_points(bytes_per_point: int) -> int:
    """Largest power of two of points whose series take at most 640 KiB, at least 128.

    >>> inner_points(292 * 2), inner_points(292 * 4)
    (1024, 512)
    """
    points = max(INNER_BYTES // max(bytes_per_point, 1), 1)
    return int(min(max(1 << (points.bit_length() - 1), FEWEST_INNER_POINTS), SHARD_POINTS))


def shard_axis(dims: Collection[object]) -> str | None:
    """The dimension of a variable that is cut into shards; None where all shards share it.

    >>> shard_axis(("tile", "time", "y", "x")), shard_axis(("time",))
    ('tile', None)
    """
    return next((axis for axis in AXES if axis in dims), None)


def inner_dates(sizes: Mapping[str, int], itemsize: int) -> int:
    """Dates of an inner chunk of maps: the largest power of two whose maps take at most 640 KiB, at least 1.

    A window of 20 dates out of 304 of 64 x 64 cells then takes 3.0 ms of CPU, and a whole tile 10; with 8 dates 3.9 and
    25, with all of them 6.3 and 7, measured.

    >>> inner_dates({"tile": 6, "time": 304, "y": 64, "x": 64}, 4)
    32
    """
    of_a_date = itemsize * sizes["y"] * sizes["x"]
    return 1 << max(INNER_BYTES // of_a_date, 1).bit_length() - 1
