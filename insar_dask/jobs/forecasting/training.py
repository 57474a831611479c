"""Networks of an evaluation as a job: trained once for a product, its dates and settings, and kept as a state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from zarr.abc.store import Store

from insar_dask.forecast.catalogue import COMPONENTS, CORRECTED, CORRECTING
from insar_dask.forecast.training.anywhere import train_anywhere
from insar_dask.jobs.engine import Engine, str_path
from insar_dask.jobs.forecasting.component_training import train_components
from insar_dask.jobs.forecasting.trained_once import Arrays, Tell, client_of, source_of, trained_once, training_key
from insar_dask.jobs.receipts import Ledger
from insar_dask.objects import open_store
from insar_dask.store import shard_plan

if TYPE_CHECKING:
    from insar_dask.forecast.components.settings import Settings as ComponentSettings
    from insar_dask.forecast.correction.footing import Footing
    from insar_dask.forecast.correction.teaching import Lesson, Settings
    from insar_dask.forecast.timetable import Plan
    from insar_dask.forecast.training.job import Job, Trained

__all__ = ["RESULT_VERSION", "build_job", "train_networks"]

RESULT_VERSION = 2
"""Of what a training makes of the same series, dates and settings: raise it whenever its numbers change."""


def train_networks(
    engine: Engine,
    product: str,
    plan: Plan,
    fitted: str,
    *,
    settings: Settings | ComponentSettings | None = None,
    ranks: int | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    name: str = "",
) -> str:
    """Train the networks of a plan; where that is done already for the same data and settings, nothing is done.

    A training that is killed goes on from its last checkpoint. Checkpoints lie beside the store until the weights are
    in it.

    Parameters
    ----------
    engine : Engine
    product : str
    plan : Plan
    fitted : str
        Hash of the state that `insar_dask.forecast.protocol.fit` returned.
    settings : Settings or ComponentSettings, optional
        Of the network that corrects, or of those of components; default: what these are taught by.
    ranks : int, optional
        Processes that train together on as many of the client's workers; default: this process trains.
    device : {"cpu", "cuda"}
        What to train on.
    name : str
        Begins the name of the note, so that one training does not undo another one's.

    Returns
    -------
    str
        Hash of the state with what was learned, under the names of the fitted state.

    Raises
    ------
    ImportError
        When torch is not installed.
    ValueError
        When ranks are asked for without a client, or the store cannot be named to other processes.
    """
    from insar_dask.forecast.components.settings import Settings as ComponentSettings
    from insar_dask.forecast.correction.network import require_torch
    from insar_dask.forecast.correction.teaching import Settings

    require_torch()
    states = []
    if CORRECTING in plan.methods:
        chosen = settings if isinstance(settings, Settings) else Settings()
        states.append(_train_correction(engine, product, plan, fitted, chosen, ranks, device, name))
    if COMPONENTS in plan.methods:
        parts = settings if isinstance(settings, ComponentSettings) else ComponentSettings()
        states.append(train_components(engine, product, plan, parts, ranks, device, name))
    if len(states) == 1:
        return states[0]
    both = [engine.ledger.read_state(state) for state in states]
    return engine.ledger.write_state(both[0] | both[1])


def _train_correction(
    engine: Engine,
    product: str,
    plan: Plan,
    fitted: str,
    settings: Settings,
    ranks: int | None,
    device: Literal["cpu", "cuda"],
    name: str,
) -> str:
    from insar_dask.forecast.correction.teaching import teach

    lesson = _lesson(str_path(engine.path), engine.store, product, plan, fitted, settings)
    origins = plan.to_dict()["validation"]
    key = training_key(
        engine, product, RESULT_VERSION, plan, settings.to_dict(), validation=origins, linear=_linear(lesson)
    )
    lesson = replace(lesson, identity=key)

    def learn(folder: Path, tell: Tell) -> Arrays:
        def run(lesson: Lesson, footing: Footing) -> Trained:
            params = {
                "path": str_path(engine.path),
                "product": product,
                "plan": lesson.plan.to_dict(),
                "fitted": fitted,
                "settings": lesson.settings.to_dict(),
                "weights": footing.weights.tolist(),
                "scale": footing.scale,
                "identity": lesson.identity,
            }
            return train_anywhere(
                lambda: lesson.job(footing),
                f"{__name__}:build_job",
                params,
                folder,
                client=None if ranks is None else client_of(engine, ranks),
                ranks=ranks,
                device=device,
                tell=tell,
            )

        return teach(lesson, run)

    return trained_once(engine, product, f"{name}networks", key, learn)


def build_job(
    path: str,
    product: str,
    plan: Mapping[str, Any],
    fitted: str,
    settings: Mapping[str, Any],
    weights: list[list[float]],
    scale: float,
    identity: str,
) -> Job:
    """The job of one rank, made in its own process from what can travel there."""
    from insar_dask.forecast.correction.footing import Footing
    from insar_dask.forecast.correction.teaching import Settings
    from insar_dask.forecast.timetable import Plan

    made = _lesson(path, open_store(path), product, Plan.from_dict(plan), fitted, Settings.from_dict(settings))
    return replace(made, identity=identity).job(Footing(np.array(weights, np.float64), scale))


def _lesson(path: str | Store, store: Store, product: str, plan: Plan, fitted: str, settings: Settings) -> Lesson:
    from insar_dask.forecast.correction.teaching import Lesson

    shard = shard_plan(store, f"{product}/raw").shard
    return Lesson(source_of(path, product), plan, Ledger(store).read_state(fitted), shard, settings)


def _linear(lesson: Lesson) -> dict[str, Any]:
    """Linear forecasters that a network corrects, as plain values; those of later stages decide on its gate."""
    from insar_dask.forecast.correction.teaching import STAGES

    names = tuple(f"honest.{stage}.{method}." for stage in STAGES for method in CORRECTED)
    return {name: array.tolist() for name, array in lesson.state.items() if name.startswith(names)}
