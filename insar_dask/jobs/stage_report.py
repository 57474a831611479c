"""What running a stage came to, for the table of timings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["StageReport"]


@dataclass(frozen=True)
class StageReport:
    """What running a stage came to."""

    stage: str
    shards: int
    computed: int
    points: int
    bytes: int
    seconds: float
    steps: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Names of steps by what they ran on, ``gpu`` and ``cpu``, of a run on GPUs."""

    def to_dict(self) -> dict[str, Any]:
        """For the table of timings."""
        rate = self.points / self.seconds if self.seconds > 0 else 0.0
        return {
            "stage": self.stage,
            "seconds": round(self.seconds, 2),
            "shards": self.shards,
            "computed": self.computed,
            "points_per_second": round(rate),
            "megabytes": round(self.bytes / 1e6, 2),
            **({"steps": {device: list(names) for device, names in self.steps.items()}} if self.steps else {}),
        }
