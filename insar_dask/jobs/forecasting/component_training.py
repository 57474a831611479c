"""Networks of components as a job: trained once for a product, its dates and settings, and kept as a state."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from insar_dask.jobs.engine import Engine, str_path
from insar_dask.jobs.forecasting.trained_once import Arrays, Tell, client_of, source_of, trained_once, training_key

if TYPE_CHECKING:
    from insar_dask.forecast.components.settings import Settings
    from insar_dask.forecast.timetable import Plan

__all__ = ["RESULT_VERSION", "train_components"]

RESULT_VERSION = 1
"""Of what the trainings make of the same series, dates and settings: raise it whenever their numbers change."""


def train_components(
    engine: Engine,
    product: str,
    plan: Plan,
    settings: Settings,
    ranks: int | None,
    device: Literal["cpu", "cuda"],
    name: str,
) -> str:
    """Hash of the state with the networks of a plan; arguments as of `insar_dask.jobs.forecasting.training`."""
    from insar_dask.forecast.components.teaching import School, teach

    def learn(folder: Path, tell: Tell) -> Arrays:
        school = School(folder, device, None if ranks is None else client_of(engine, ranks), ranks, tell)
        return teach(source_of(str_path(engine.path), product), plan, settings, school)

    until = plan.to_dict()["validation"][0]
    key = training_key(engine, product, RESULT_VERSION, plan, settings.to_dict(), until=until)
    return trained_once(engine, product, f"{name}component-networks", key, learn)
