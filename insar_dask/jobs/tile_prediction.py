"""Forecasting all tiles of a stored tile cube, one job a tile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr
from zarr.abc.store import Store

from insar_dask.jobs.engine import Engine
from insar_dask.jobs.lock import owned
from insar_dask.jobs.opening import open_tiles, tiles_group
from insar_dask.jobs.recipe import Stage, Step, plan_reference, state_reference
from insar_dask.store import open_group

if TYPE_CHECKING:
    from distributed import Client

    from insar_dask.forecast.forecaster import Forecaster

__all__ = ["predict_group", "predict_tiles"]


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
    with owned(path):
        return predict_group(Engine(path, client, threads=threads, quiet=quiet), model, group)


def predict_group(engine: Engine, model: Forecaster, group: str) -> xr.Dataset:
    """As `predict_tiles`, where an engine works already."""
    from insar_dask.forecast.maps.lattice import as_points

    plan = model.plan_to_predict(as_points(open_tiles(engine.store, group)))
    states = {name: state_reference(engine.ledger.write_state(arrays)) for name, arrays in model.states().items()}
    params = {"plan": plan_reference(plan.to_dict()), **states}
    target = f"predicted/{group.rpartition('/')[2]}"
    engine.run(Stage(target, group, (Step("forecast_tiles", group, "predicted", params),), {"predicted": target}))
    return open_group(engine.store, target)
