"""Training the correcting network of a Forecaster on a cube, here or on the workers of a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.forecast.coaching import PLACES, SERIES, STATE, Classroom, Coach
from insar_dask.forecast.correction.teaching import Lesson, Settings, teach
from insar_dask.forecast.memory import training_bytes
from insar_dask.forecast.network_memory import lesson_bytes
from insar_dask.forecast.series.point_source import ArrayPoints
from insar_dask.forecast.timetable import Plan
from insar_dask.forecast.training.anywhere import train_anywhere
from insar_dask.forecast.walk import Tell

if TYPE_CHECKING:
    from insar_dask.forecast.correction.footing import Footing
    from insar_dask.forecast.training.job import Job, Trained

__all__ = ["CorrectionCoach", "job_from_folder"]

CHECKPOINTS = "checkpoints"

PER_WINDOW = 350_000
"""Bytes that training holds for one point of a group at the sizes of the preset: 90 MB a batch of 16 groups of 16."""


class CorrectionCoach(Coach[Settings]):
    """Trains the network that corrects linear forecasts."""

    def bytes(self, cube: xr.Dataset) -> int:
        """Predicted peak memory of training in this process."""
        shape = self.settings.shape
        sizes = {**self.settings.all_sizes, "context": shape.context}
        return training_bytes(
            lesson_bytes(self.settings.network, sizes, self.settings.training.batch * shape.length, PER_WINDOW)
        )

    def taught(self, room: Classroom, tell: Tell) -> dict[str, npt.NDArray[Any]]:
        """Arrays of the trained network; ``tell`` gets what its training says."""
        lesson = Lesson(room.source, room.plan, room.state, room.shard, self.settings, room.identity)
        return teach(lesson, lambda lesson, footing: self._run(lesson, footing, room.folder, tell))

    def _run(self, lesson: Lesson, footing: Footing, folder: Path, tell: Tell) -> Trained:
        if self.client is not None:
            np.savez(folder / STATE, allow_pickle=False, **lesson.state)
        params = {
            "folder": str(folder.absolute()),
            "plan": lesson.plan.to_dict(),
            "shard": lesson.shard,
            "settings": lesson.settings.to_dict(),
            "footing": {"weights": footing.weights.tolist(), "scale": footing.scale},
            "identity": lesson.identity,
        }
        return train_anywhere(
            lambda: lesson.job(footing),
            f"{__name__}:job_from_folder",
            params,
            folder / CHECKPOINTS,
            client=self.client,
            ranks=self.ranks,
            device=self.device,
            tell=tell,
        )


def job_from_folder(
    folder: str,
    plan: Mapping[str, Any],
    shard: int,
    settings: Mapping[str, Any],
    footing: Mapping[str, Any],
    identity: str,
) -> Job:
    """The job of one rank, made in its own process from what lies in the folder of the training."""
    from insar_dask.forecast.correction.footing import Footing

    place, schedule = Path(folder), Plan.from_dict(plan)
    with np.load(place / STATE, allow_pickle=False) as arrays:
        state = {name: arrays[name] for name in arrays.files}
    lesson = Lesson(_source(place, schedule), schedule, state, shard, Settings.from_dict(settings), identity)
    return lesson.job(Footing(np.asarray(footing["weights"], np.float64), footing["scale"]))


def _source(folder: Path, plan: Plan) -> ArrayPoints:
    series = np.load(folder / SERIES, mmap_mode="r")
    times = np.asarray(plan.days, "datetime64[D]")
    return ArrayPoints.of(series, np.load(folder / PLACES), times, observed=np.array(plan.observed))
