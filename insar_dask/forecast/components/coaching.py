"""Training the component networks of a Forecaster on a cube, here or on the workers of a cluster."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import xarray as xr

from insar_dask.forecast.coaching import Classroom, Coach
from insar_dask.forecast.components.history import PARTS
from insar_dask.forecast.components.settings import NETWORK, Settings
from insar_dask.forecast.components.teaching import School, teach
from insar_dask.forecast.memory import training_bytes
from insar_dask.forecast.network_memory import lesson_bytes, weight_bytes
from insar_dask.forecast.walk import Tell

__all__ = ["ComponentCoach"]

PER_WINDOW = 3_200_000
"""Bytes that training holds for one point of a group at the published sizes: 410 MB a batch of 16 groups of 8,
measured."""

COPIES = 9
"""Copies of the chosen points' series that are held: components, what they were made of, and what is drawn from."""


class ComponentCoach(Coach[Settings]):
    """Trains a network for each component and pattern."""

    def bytes(self, cube: xr.Dataset) -> int:
        """Predicted peak memory of training in this process."""
        shape = self.settings.shape
        series = 4 * cube.sizes["time"] * min(cube.sizes["point"], shape.points)
        windows = self.settings.training.batch * shape.length
        lesson = lesson_bytes(NETWORK, self._sizes, windows, PER_WINDOW)
        return training_bytes(lesson + self._learned + COPIES * series)

    def rank_bytes(self, cube: xr.Dataset, groups: int) -> int:
        """Predicted peak memory of a rank, which holds one network."""
        return super().rank_bytes(cube, groups) - self._learned

    @property
    def _sizes(self) -> dict[str, Any]:
        shape = self.settings.shape
        return {**self.settings.sizes, "points": shape.length, "context": shape.context}

    @property
    def _learned(self) -> int:
        """Bytes of all trained networks, and of what is kept of them."""
        return 2 * weight_bytes(NETWORK, self._sizes) * len(PARTS) * self.settings.shape.patterns

    def taught(self, room: Classroom, tell: Tell) -> dict[str, npt.NDArray[Any]]:
        """Arrays of the trained networks; ``tell`` gets what their trainings say."""
        school = School(room.folder, self.device, self.client, self.ranks, tell)
        return teach(room.source, room.plan, self.settings, school)
