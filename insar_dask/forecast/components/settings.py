"""What networks of components are trained by."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import ClassVar

from insar_dask.forecast.network_settings import NetworkSettings
from insar_dask.settings import whole

__all__ = ["NETWORK", "Settings", "Shape"]

NETWORK = "spacetimeformer"


@dataclass(frozen=True)
class Shape:
    """How series are told apart and cut.

    Parameters
    ----------
    length : int
        Points of a group, L.
    context : int
        Steps of the recent past, k.
    reach : float
        Longest step [m] from one point of a group to the next.
    patterns : int
        Patterns of motion to tell apart, at most.
    points : int
        Points to learn from, about; as many of each pattern, as far as there are. 4,096 of a pattern have more windows
        than 1,000 steps of 16 groups of 8 show.
    """

    length: int = 8
    context: int = 24
    reach: float = 1000.0
    patterns: int = 8
    points: int = 32_768

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        object.__setattr__(self, "patterns", whole("n_patterns", self.patterns))
        object.__setattr__(self, "points", whole("points", self.points))


@dataclass(frozen=True)
class Settings(NetworkSettings[Shape]):
    """What networks to train, and how: sizes and training are the published ones where nothing else is said."""

    network: ClassVar[str] = NETWORK
    given: ClassVar[Collection[str]] = {"points", "context", "horizon", "time_features"}

    shape: Shape = field(default_factory=Shape)
