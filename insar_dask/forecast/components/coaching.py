"""Training the component networks of a Forecaster on a cube, here or on the workers of a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy.typing as npt
import xarray as xr

from insar_dask.forecast.coaching import Classroom, Coach, check_sizes
from insar_dask.forecast.components.history import PARTS
from insar_dask.forecast.components.settings import GIVEN, NETWORK, Settings, Shape
from insar_dask.forecast.components.teaching import School, teach
from insar_dask.forecast.correction.network import require_torch
from insar_dask.forecast.memory import training_bytes
from insar_dask.forecast.network_memory import lesson_bytes, weight_bytes
from insar_dask.forecast.walk import Tell

__all__ = ["ComponentCoach", "settings_of"]

PER_WINDOW = 3_200_000
"""Bytes that training holds for one point of a group at the published sizes: 410 MB a batch of 16 groups of 8,
measured."""

COPIES = 9
"""Copies of the chosen points' series that are held: components, what they were made of, and what is drawn from."""


class ComponentCoach(Coach[Settings]):
    """Trains a network for each component and pattern."""

    def bytes(self, cube: xr.Dataset) -> int:
        """Predicted peak memory of training in this process."""
        shape, training = self.settings.shape, self.settings.training
        series = 4 * cube.sizes["time"] * min(cube.sizes["point"], shape.points)
        sizes = {**self.settings.sizes, "points": shape.length, "context": shape.context}
        learned = 2 * weight_bytes(NETWORK, sizes) * len(PARTS) * shape.patterns
        lesson = lesson_bytes(NETWORK, sizes, training.batch * shape.length, PER_WINDOW)
        return training_bytes(lesson + learned + COPIES * series)

    def taught(self, room: Classroom, tell: Tell) -> dict[str, npt.NDArray[Any]]:
        """Arrays of the trained networks; ``tell`` gets what their trainings say."""
        school = School(room.folder, self.device, self.client, self.ranks, tell)
        return teach(room.source, room.plan, self.settings, school)


def settings_of(
    context: int,
    group: int | None,
    n_patterns: int,
    random_state: int,
    sizes: Mapping[str, Any] | None,
    training: Mapping[str, Any] | None,
) -> Settings:
    """Settings of the networks from the parameters of a Forecaster.

    Raises
    ------
    ValueError
        For a name or a number that cannot be meant.
    """
    require_torch()
    check_sizes(NETWORK, GIVEN, sizes or {})
    default = Settings()
    length = default.shape.length if group is None else group
    return Settings(
        Shape(length=length, context=context, patterns=n_patterns),
        dict(sizes or {}),
        replace(default.training, seed=random_state, **(training or {})),
    )
