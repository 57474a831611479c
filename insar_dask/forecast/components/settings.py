"""What networks of components are trained by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from insar_dask.forecast.training.job import Training
from insar_dask.settings import whole

__all__ = ["GIVEN", "NETWORK", "Settings", "Shape"]

NETWORK = "spacetimeformer"
GIVEN = {"points", "context", "horizon", "time_features"}
"""Sizes of that network that its inputs give."""


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
class Settings:
    """What networks to train, and how; JSON-able by `to_dict`."""

    shape: Shape = field(default_factory=Shape)
    sizes: Mapping[str, Any] = field(default_factory=dict)
    """Of each network, where they are not the published ones."""
    training: Training = field(default_factory=Training)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"shape": asdict(self.shape), "sizes": dict(self.sizes), "training": asdict(self.training)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild what `to_dict` gave."""
        return cls(Shape(**data["shape"]), dict(data["sizes"]), Training(**data["training"]))
