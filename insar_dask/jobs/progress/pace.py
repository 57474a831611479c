"""How fast jobs go: rates over the last few of them, the time that is left, and the whole course in a bounded list."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Course", "Pace", "thinned"]

RECENT = 64
"""Jobs that the rate of now is taken over: enough that it is calm, few enough that it follows."""

BINS = 120


@dataclass
class Pace:
    """Jobs, points and bytes per second over the last 64 jobs.

    Their time is counted to now, not to the last of them: of a stage that stands still the rate falls.
    """

    ends: deque[tuple[float, int, int]] = field(default_factory=lambda: deque(maxlen=RECENT))

    def add(self, at: float, points: int, size: int) -> None:
        """One more job is done."""
        self.ends.append((at, points, size))

    def rates(self, began: float, now: float) -> tuple[float, float, float]:
        """Jobs, points and bytes per second; ``began`` is when the first job did.

        >>> pace = Pace()
        >>> for second in (1.0, 2.0, 3.0, 4.0):
        ...     pace.add(second, 1000, 500)
        >>> pace.rates(0.0, 4.0)
        (1.0, 1000.0, 500.0)
        """
        if not self.ends:
            return 0.0, 0.0, 0.0
        # where older jobs were dropped, the first that is left only marks the beginning
        full = len(self.ends) == RECENT
        counted = list(self.ends)[1:] if full else list(self.ends)
        elapsed = max(now - (self.ends[0][0] if full else began), 1e-3)
        return (
            len(counted) / elapsed,
            sum(points for _, points, _ in counted) / elapsed,
            sum(size for _, _, size in counted) / elapsed,
        )


@dataclass
class Course:
    """Jobs, points and bytes in equal bins of time since ``began``; at most 120, twice as wide whenever they are full.

    >>> course = Course(began=0.0)
    >>> for second in range(500):
    ...     course.add(float(second), 10, 1)
    >>> course.width, sum(course.points), len(course.points) <= 120
    (8.0, 5000, True)
    """

    began: float
    width: float = 1.0
    jobs: list[int] = field(default_factory=list)
    points: list[int] = field(default_factory=list)
    bytes: list[int] = field(default_factory=list)

    def add(self, at: float, points: int, size: int) -> None:
        """One more job is done."""
        place = max(int((at - self.began) / self.width), 0)
        while place >= BINS:
            self._widen()
            place //= 2
        for column in (self.jobs, self.points, self.bytes):
            column.extend([0] * (place + 1 - len(column)))
        self.jobs[place] += 1
        self.points[place] += points
        self.bytes[place] += size

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "began": self.began,
            "width": self.width,
            "jobs": self.jobs,
            "points": self.points,
            "bytes": self.bytes,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Course:
        """The course that ``to_dict`` made plain."""
        return cls(**values)

    def _widen(self) -> None:
        self.width *= 2
        self.jobs, self.points, self.bytes = (_paired(column) for column in (self.jobs, self.points, self.bytes))


def _paired(column: list[int]) -> list[int]:
    return [sum(column[place : place + 2]) for place in range(0, len(column), 2)]


def thinned(rows: Sequence[Any], most: int) -> list[Any]:
    """At most ``most`` of some rows, evenly chosen, the first and the last among them.

    >>> thinned(range(10), 4)
    [0, 3, 6, 9]
    """
    if len(rows) <= most:
        return list(rows)
    return [rows[round(place * (len(rows) - 1) / (most - 1))] for place in range(most)]
