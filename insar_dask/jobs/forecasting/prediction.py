"""A Forecaster on a stored cube, fitted and predicting: one task a shard, with receipts, resumable."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from zarr.abc.store import Store

from insar_dask.cube import CubeError
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.forecasting.evaluation import as_known, known_cube, learn
from insar_dask.jobs.holding.lock import owned
from insar_dask.jobs.opening import open_cube
from insar_dask.jobs.recipe import Stage, Step, plan_reference, state_reference
from insar_dask.machine import usable_cpus
from insar_dask.objects import open_store
from insar_dask.settings import whole
from insar_dask.shards import SHARD_POINTS
from insar_dask.store import open_group, products, shard_plan

if TYPE_CHECKING:
    from distributed import Client

    from insar_dask.forecast.forecaster import Forecaster

__all__ = ["count_forecasts", "fit_product", "fit_stored", "predict_product", "predict_stored"]

LACKING = "points_without_forecast", "points_without_interval"


def predict_stored(
    path: str | Path | Store,
    model: Forecaster | str | Path,
    product: str | None = None,
    *,
    client: Client | None = None,
    threads: int | None = None,
    memory: int | None = None,
    quiet: bool = False,
) -> xr.Dataset:
    """Forecast every point of a stored raw cube beyond its record, into the group ``PRODUCT/predicted``.

    The numbers are those of `insar_dask.forecast.Forecaster.predict` of the cube as it is stored: methods that look at
    neighbours see those of a shard. A run that is killed goes on where it was, and what is up to date is not made
    again.

    Parameters
    ----------
    path : str, Path or zarr Store
        The store.
    model : Forecaster, str or Path
        Fitted, or the folder that one was saved to.
    product : str, optional
        Name of the product; default: the only one in the store.
    client : distributed.Client, optional
        Where tasks run; default: ``threads`` threads of this process.
    threads : int, optional
        Default: one a core.
    memory : int, optional
        Bytes that this process may take where it has no client; default: what is free. Workers have limits.
    quiet : bool
        No progress bar.

    Returns
    -------
    xr.Dataset
        Forecast cube ``(origin, point, lead)``, lazy; ``attrs["points_without_forecast"]`` counts the points with too
        little of a history, which are NaN, ``attrs["points_without_interval"]`` others that lack ``lower`` and
        ``upper``.

    Raises
    ------
    FileNotFoundError
        When there is no such store.
    CubeError
        When the cube does not go with what the model has learned, a worker is too small, or the store holds several
        products and none was named.
    """
    from insar_dask.forecast import Forecaster
    from insar_dask.forecast.memory import predicting_bytes

    cube = open_cube(path, None if product is None else f"{product}/raw")
    fitted = model if isinstance(model, Forecaster) else Forecaster.load(model)
    plan, name, threads = fitted.plan_to_predict(known_cube(cube)), product or products(path)[0], _threads(threads)
    if client is None:
        shard = shard_plan(open_store(path), f"{name}/raw").shard
        part = cube.isel(point=slice(0, shard))
        one = predicting_bytes(part, shard, plan.horizon, network=fitted.forecasting_bytes())
        _check_threads(one, threads, memory, fitted.trained_bytes())
    with owned(path), Engine(path, client, threads=threads, quiet=quiet) as engine:
        note = predict_product(engine, name, fitted)
    made = open_cube(path, f"{name}/predicted")
    return made.assign_attrs({name: note[name] for name in LACKING})


def fit_stored(
    path: str | Path | Store,
    model: Forecaster,
    product: str | None = None,
    *,
    client: Client | None = None,
    ranks: int | None = None,
    threads: int | None = None,
    memory: int | None = None,
    quiet: bool = False,
) -> Forecaster:
    """Fit a Forecaster on a stored raw cube by chunk jobs; returns it.

    The numbers are those of `insar_dask.forecast.Forecaster.fit`. A run that is killed goes on where it was.

    Parameters
    ----------
    path, product, client, threads, quiet
        As for `predict_stored`.
    memory : int, optional
        Bytes that training may take in this process; default: what is free. Workers of ranks have limits.
    model : Forecaster
        Its parameters say what to fit.
    ranks : int, optional
        Workers of the client that train a network together; default: this process trains.

    Raises
    ------
    FileNotFoundError, CubeError, ValueError
        When there is no such store, or its cube or the parameters will not do.
    """
    from insar_dask.forecast import Forecaster

    if not isinstance(model, Forecaster):
        raise ValueError(f"model is {model!r}; wanted a Forecaster, whose parameters say what to fit")
    threads = _threads(threads)
    cube = open_cube(path, None if product is None else f"{product}/raw")
    model.plan_to_fit(known_cube(cube))
    with owned(path), Engine(path, client, threads=threads, quiet=quiet) as engine:
        return fit_product(engine, product or products(path)[0], model, ranks=ranks, memory=memory)


def fit_product(
    engine: Engine, product: str, model: Forecaster, *, ranks: int | None = None, memory: int | None = None
) -> Forecaster:
    """As `fit_stored`, where an engine works already."""
    from insar_dask.forecast.card import describe_data
    from insar_dask.forecast.walk import Walk, fingerprint

    cube = open_group(engine.store, f"{product}/raw")
    plan = model.plan_to_fit(known_cube(cube))
    # without ranks this process trains, whoever does all else
    coach = model.coach(client=None if ranks is None else engine.client, ranks=ranks)
    if coach is not None:
        coach.check_memory(cube, memory)
    settings = None if coach is None else coach.settings
    device = "cpu" if coach is None else coach.device
    most = model.counted(shard_plan(engine.store, f"{product}/raw"))
    learned = learn(
        engine, product, plan, cube.attrs, "train-", network=settings, ranks=ranks, device=device, most=most
    )
    networks = {} if learned.trained is None else engine.ledger.read_state(learned.trained)
    state = {**learned.state, **networks}
    return model.learned(plan, state, learned.scores, describe_data(cube, fingerprint(Walk(cube, SHARD_POINTS))))


def predict_product(engine: Engine, product: str, model: Forecaster) -> dict[str, Any]:
    """As `predict_stored`, where an engine works already; returns what the store keeps as a note.

    Its items: ``state`` and ``trained``, the hashes of what was learned; ``method``; ``n_points``,
    ``points_without_forecast`` and ``points_without_interval``; the model's ``data`` and ``leak_statement``.
    """
    from insar_dask.forecast.registry import computes

    plan = model.plan_to_predict(known_cube(open_group(engine.store, f"{product}/raw")))
    states = {name: engine.ledger.write_state(arrays) for name, arrays in model.states_for(plan).items()}
    references = {name: state_reference(state) for name, state in states.items()}
    params = {"plan": plan_reference(plan.to_dict()), **references}
    counts = f"jobs/partials/{product}/predicted-counts"
    steps = (
        Step("forecast_block", "raw", "predicted", params, network=computes(model.method_, "future", model.state_)),
        Step("count_forecasts", "predicted", "counts"),
    )
    saves = {"predicted": f"{product}/predicted", "counts": counts}
    engine.run(Stage(f"{product}/predicted", f"{product}/raw", as_known(engine, product, steps), saves))
    total = np.sum([part["points"] for part in engine.partials(counts)], axis=0)
    card = model.card()
    note = {
        **states,
        "method": model.method_,
        "n_points": int(total[0]),
        **dict(zip(LACKING, map(int, total[1:]), strict=True)),
        "data": card["data"],
        "leak_statement": card["leak_statement"],
    }
    engine.ledger.write_note(f"predicted/{product}", note)
    return note


def count_forecasts(forecast: xr.Dataset) -> dict[str, npt.NDArray[np.int64]]:
    """Points of a block, those without a forecast at any lead, and others that lack an interval, as ``points`` (3,)."""
    from insar_dask.forecast.lacking import count_lacking

    return {"points": np.array([forecast.sizes["point"], *count_lacking(forecast)], np.int64)}


def _threads(wanted: int | None) -> int:
    return usable_cpus() if wanted is None else whole("threads", wanted)


def _check_threads(one: int, threads: int, memory: int | None, weights: int) -> None:
    """Refuse more threads than there is memory for, ``one`` being the bytes of each.

    ``weights`` of networks are held three times while they are packed, and once as the threads share them.
    """
    from insar_dask.forecast.memory import free_bytes

    free, shared = free_bytes(memory), 3 * weights
    if (taken := one * threads + shared) <= free:
        return
    fits = (free - shared) // one
    cure = f"threads={fits} would fit" if fits > 0 else "store smaller shards, insar_dask.save(shard_points=...)"
    raise CubeError(
        f"forecasting takes {taken / 1e6:,.0f} MB on {threads} threads, {free / 1e6:,.0f} MB are free: {cure}"
    )
