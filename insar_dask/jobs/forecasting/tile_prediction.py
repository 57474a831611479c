"""Forecasting all tiles of a stored tile cube, beyond their record and where it goes on, one job a tile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from zarr.abc.store import Store

from insar_dask.cube import CubeError
from insar_dask.forecast.timetable import Plan
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.holding.lock import owned
from insar_dask.jobs.opening import open_tiles, tiles_group
from insar_dask.jobs.recipe import Stage, Step, plan_reference, state_reference
from insar_dask.store import open_group

if TYPE_CHECKING:
    from distributed import Client

    from insar_dask.forecast.forecaster import Forecaster

__all__ = ["hindcast_group", "predict_group", "predict_tiles", "predicted_group"]


def predict_tiles(
    path: str | Path | Store,
    model: Forecaster,
    group: str | None = None,
    *,
    client: Client | None = None,
    threads: int = 1,
    quiet: bool = False,
) -> xr.Dataset:
    """Forecast the tiles of a store beyond their record; tiles that a killed call finished are kept.

    Parameters
    ----------
    path : str, Path or zarr Store
        The store.
    model : Forecaster
        Fitted, on these tiles or on others.
    group : str, optional
        The tile cube, such as ``"tiles/up"``; default: the only one.
    client : distributed.Client, optional
        Forecast there; default: in this process.
    threads : int
        Threads of this process.
    quiet : bool
        No progress bar.

    Returns
    -------
    xr.Dataset
        Lazy, over ``(tile, origin, lead, y, x)``: ``displacement``, ``lower``, ``upper`` [mm]; in the store it is
        ``predicted/up`` where the cube is ``tiles/up``.

    Raises
    ------
    ValueError
        When the model is not fitted.
    FileNotFoundError, CubeError
        When there is no such tile cube, or it does not go with what was learned.
    """
    group = tiles_group(path, group)
    with owned(path), Engine(path, client, threads=threads, quiet=quiet) as engine:
        return predict_group(engine, model, group)


def predict_group(engine: Engine, model: Forecaster, group: str) -> xr.Dataset:
    """As `predict_tiles`, where an engine works already."""
    from insar_dask.forecast.registry import computes

    plan = model.plan_to_predict(_cells(engine, group))
    target = predicted_group(group)
    network = computes(model.method_, "future", model.state_)
    step = Step("forecast_tiles", group, "predicted", _params(engine, model, plan), network=network)
    engine.run(Stage(target, group, (step,), {"predicted": target}))
    return open_group(engine.store, target)


def predicted_group(group: str) -> str:
    """Where forecasts of a tile cube lie."""
    return f"predicted/{group.rpartition('/')[2]}"


def hindcast_group(engine: Engine, model: Forecaster, group: str) -> tuple[Plan, Iterator[dict[str, Any]]]:
    """What the model and the methods beside it had said at test origins.

    Returns
    -------
    Plan
        Its test origins are these.
    iterator of dict
        Of each tile, in their order, what `insar_dask.forecast.maps.hindcasts.hindcast_tile` makes.

    Raises
    ------
    CubeError
        When the model has learned from dates after the first of these origins.
    """
    from insar_dask.forecast.registry import computes

    plan = model.plan_to_fit(_cells(engine, group))
    first, learned = (np.datetime64(one.date(one.test[0]), "D") for one in (plan, model.plan_))
    if first < learned:
        raise CubeError(
            f"scores of this record begin on {first}, and the forecaster has learned from dates up to {learned}: "
            "what it says there would not be a forecast"
        )
    target = f"jobs/partials/{group}/hindcast"
    network = any(computes(method, "test", model.state_) for method in plan.methods)
    step = Step("hindcast_tile", group, "hindcast", _params(engine, model, plan), network=network)
    engine.run(Stage(f"{group}/hindcast", group, (step,), {"hindcast": target}))
    return plan, engine.partials(target)


def _cells(engine: Engine, group: str) -> xr.Dataset:
    from insar_dask.forecast.maps.lattice import as_points

    return as_points(open_tiles(engine.store, group))


def _params(engine: Engine, model: Forecaster, plan: Plan) -> dict[str, Any]:
    states = model.states_for(plan)
    references = {name: state_reference(engine.ledger.write_state(arrays)) for name, arrays in states.items()}
    return {"plan": plan_reference(plan.to_dict()), **references}
