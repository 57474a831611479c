"""Fit, calibrate, score and forecast as chunk jobs: passes over the shards, small reductions between them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy.typing as npt

from insar_dask.cube import CubeError
from insar_dask.forecast.catalogue import CORRECTING
from insar_dask.jobs.devices import DEVICES
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.forecasting.training import train_networks
from insar_dask.jobs.gpu_networks import STAGES
from insar_dask.jobs.lineage import data_of, is_of_other_data
from insar_dask.jobs.recipe import Stage, Step, canonical_key, plan_reference, state_reference
from insar_dask.store import open_group

if TYPE_CHECKING:
    import xarray as xr

    from insar_dask.forecast.components.settings import Settings as ComponentSettings
    from insar_dask.forecast.correction.teaching import Settings
    from insar_dask.forecast.scores import Scores
    from insar_dask.forecast.timetable import Plan

__all__ = ["Learned", "as_known", "counted_errors", "evaluate", "forecast", "known_cube", "learn"]


class Learned(NamedTuple):
    """What `learn` came to."""

    uncalibrated: str
    """Hash of the stored state that the errors were counted with."""
    state: dict[str, npt.NDArray[Any]]
    """The calibrated state, without the networks."""
    scores: Scores
    trained: str | None
    """Hash of the stored state that has the networks; None without any."""


COUNTED = {"errors": "calibrate_partial", "scores": "score_partial"}
"""Partial results -> the steps that count errors for them, at the validation and at the test origins."""

READS = "displacement", "easting", "northing"
"""What fits and scores look at: series, and the cells that errors are counted in."""


def evaluate(
    engine: Engine,
    product: str,
    *,
    network: Settings | ComponentSettings | None = None,
    ranks: int | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Score all forecasters on a stored product over rolling origins.

    Parameters
    ----------
    engine : Engine
        Where tasks run; its store holds ``PRODUCT/raw``.
    product : str
        Name of the product's group.
    network : Settings, optional
        How networks among the methods are trained, see `insar_dask.jobs.forecasting.training.train_networks`.
    ranks : int, optional
        Workers of the client that train together; default: this process trains.
    **settings
        Passed on to `insar_dask.forecast.protocol.plan`.

    Returns
    -------
    dict
        The scores as JSON-able values; the store keeps them as a note, and what was fitted as a state.
    """
    raw = open_group(engine.store, f"{product}/raw")
    plan = _plan(raw, settings)
    learned = learn(engine, product, plan, raw.attrs, network=network, ranks=ranks)
    scores: dict[str, Any] = json.loads(learned.scores.to_json())
    data = data_of(engine, f"{product}/raw")
    engine.ledger.write_note(f"scores/{product}", {**scores, "data": data})
    state = engine.ledger.write_state(learned.state)
    note = {"state": state, "uncalibrated": learned.uncalibrated, "plan": canonical_key(plan.to_dict()), "data": data}
    if learned.trained is not None:
        note["trained"] = learned.trained
    engine.ledger.write_note(f"forecaster/{product}", note)
    return scores


def learn(
    engine: Engine,
    product: str,
    plan: Plan,
    attrs: Mapping[Any, Any],
    name: str = "",
    *,
    network: Settings | ComponentSettings | None = None,
    ranks: int | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    most: int | None = None,
) -> Learned:
    """Fit, calibrate and score on a stored product: the numbers of `insar_dask.forecast.protocol.learn`, resumable.

    Parameters
    ----------
    engine, product, network, ranks
        As for `evaluate`.
    plan : Plan
    attrs : mapping
        The cube's attributes.
    name : str
        Begins the names of stages and partial results, so that one training does not undo another one's.
    network, ranks, device
        As for `insar_dask.jobs.forecasting.training.train_networks`.
    most : int, optional
        Points of each shard that intervals and scores come from; default: all.

    Returns
    -------
    Learned

    Raises
    ------
    ValueError
        When there are ranks and no network.
    """
    from insar_dask.forecast import protocol
    from insar_dask.forecast.registry import trained_methods

    if ranks is not None and not trained_methods(plan):
        raise ValueError(f"{ranks} ranks are asked for, and none of {', '.join(plan.methods)} is a network to train")
    steps = [Step("fit_partial", "raw", f"{name}fits", {"plan": plan_reference(plan.to_dict())}, READS)]
    partials = _pass(engine, _reduction(engine, product, f"{name}fit", steps))
    fitted = protocol.fit(partials[f"{name}fits"], plan)
    before = engine.ledger.write_state(fitted)
    trained = None
    if trained_methods(plan):
        trained = train_networks(engine, product, plan, before, settings=network, ranks=ranks, device=device, name=name)
    partials = _pass(engine, _counting(engine, product, plan, before, trained, name, most))
    calibrated = protocol.calibrate(partials[f"{name}errors"], plan, fitted)
    scores = protocol.score(partials[f"{name}scores"], plan, calibrated, {**attrs, "product": product})
    return Learned(before, calibrated, scores, trained)


def _counting(
    engine: Engine,
    product: str,
    plan: Plan,
    before: str,
    trained: str | None,
    name: str = "",
    most: int | None = None,
) -> Stage:
    """The stage that counts the errors of what was fitted (the state ``before``) and ``trained``."""
    from insar_dask.forecast.registry import computes

    params: dict[str, Any] = {"plan": plan_reference(plan.to_dict()), "state": state_reference(before)}
    networks = dict[str, bool]()
    if trained is not None:
        params["trained"] = state_reference(trained)
        learned = _gates(engine, trained, plan.methods)
        networks = {stage: any(computes(one, stage, learned) for one in plan.methods) for stage in STAGES.values()}
    if most is not None:
        params["most"] = most
    steps = [
        Step(function, "raw", f"{name}{result}", params, READS, networks.get(STAGES[function], False))
        for result, function in COUNTED.items()
    ]
    return _reduction(engine, product, f"{name}score", steps)


def counted_errors(engine: Engine, product: str, plan: Plan, note: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Errors of all shards at the validation and the test origins, as the evaluation that left a note counted them.

    They are counted again where they are those of another evaluation, which was killed before it left its note, or are
    damaged; not because this run computes on another device.

    Parameters
    ----------
    engine, product, plan
        As for `learn`.
    note : mapping
        That `evaluate` keeps under ``forecaster/PRODUCT``.
    """
    stage = _counting(engine, product, plan, note["uncalibrated"], note.get("trained"))
    if not any(_stands(engine, replace(stage, device=device)) for device in DEVICES):
        engine.run(stage)
    for target in stage.saves.values():
        yield from engine.partials(target)


def _stands(engine: Engine, stage: Stage) -> bool:
    """Whether all that a stage saves is there, of its keys."""
    inputs = engine.require(stage.source)
    keys = {result: {i: stage.key(result, r.checksum) for i, r in inputs.items()} for result in stage.saves}
    return not any(engine.stale(target, keys[result]) for result, target in stage.saves.items())


def forecast(engine: Engine, product: str, threshold: float, **settings: Any) -> None:
    """Forecast a stored product beyond its record, into ``PRODUCT/forecast``, by the method that `evaluate` took.

    Where the Gaussian process is among the methods, ``PRODUCT/outlook`` has its velocities, their errors, and the
    probability of passing ``threshold`` [mm].

    Raises
    ------
    FileNotFoundError
        When the product was not evaluated.
    CubeError
        When it was evaluated with other settings or dates: intervals and weights would belong to another forecast.
    """
    from insar_dask.forecast.registry import computes

    note = engine.ledger.read_note(f"forecaster/{product}")
    if note is None:
        raise FileNotFoundError(f"{product} has no forecaster yet; evaluate it first")
    plan = _plan(open_group(engine.store, f"{product}/raw"), settings)
    if note.get("plan") != canonical_key(plan.to_dict()):
        raise CubeError(f"{product} was evaluated with other settings or dates; evaluate it again with these")
    if is_of_other_data(engine, note, product):
        raise CubeError(f"{product} was evaluated on other data than it holds now; evaluate it again")
    params = {"plan": plan_reference(plan.to_dict()), "state": state_reference(note["state"])}
    trained = {"trained": state_reference(note["trained"])} if "trained" in note else {}
    method = str(engine.ledger.read_state(note["state"])["ranking"][0])
    network = computes(method, "future", _gates(engine, note["trained"], (method,)) if trained else {})
    steps = [Step("forecast_block", "raw", "forecast", {**params, **trained}, network=network)]
    if "gaussian_process" in plan.methods:
        steps.append(Step("outlook_block", "raw", "outlook", {**params, "threshold": threshold}))
    saves = {step.result: f"{product}/{step.result}" for step in steps}
    engine.run(Stage(f"{product}/forecast", f"{product}/raw", as_known(engine, product, steps), saves))


def _gates(engine: Engine, trained: str, methods: Collection[str]) -> dict[str, npt.NDArray[Any]]:
    """The state with the gate of the network that corrects, if it is among some methods: else none is looked at."""
    return engine.ledger.read_state(trained) if CORRECTING in methods else {}


def _plan(raw: Any, settings: dict[str, Any]) -> Any:
    from insar_dask.forecast import protocol

    observed = raw["observed"].values if "observed" in raw else None
    return protocol.plan(raw["time"].values, observed=observed, **settings)


def as_known(engine: Engine, product: str, steps: Sequence[Step]) -> tuple[Step, ...]:
    """Steps on a cube that was inverted here, whose later pairs have a say in earlier dates: the scores say so."""
    if not _was_inverted(open_group(engine.store, f"{product}/raw")):
        return tuple(steps)
    first = Step("take_as_known", "raw", "known", {}, steps[0].reads)
    return first, *(replace(step, source=first.result) if step.source == "raw" else step for step in steps)


def known_cube(raw: xr.Dataset) -> xr.Dataset:
    """A stored raw cube as those steps take it."""
    from insar_dask.inversion.blocks import known_block  # whose kernels nobody else here needs

    return known_block(raw) if _was_inverted(raw) else raw


def _was_inverted(raw: xr.Dataset) -> bool:
    recipe = raw.attrs.get("recipe") or [{}]
    return recipe[-1].get("function") == "invert" and bool(raw.attrs.get("sees_future"))


def _reduction(engine: Engine, product: str, name: str, steps: list[Step]) -> Stage:
    """The stage of steps whose results are small arrays."""
    targets = {step.result: f"jobs/partials/{product}/{step.result}" for step in steps}
    return Stage(f"{product}/{name}", f"{product}/raw", as_known(engine, product, steps), targets)


def _pass(engine: Engine, stage: Stage) -> dict[str, Iterator[dict[str, Any]]]:
    """Run such a stage; yields the arrays of each result in shard order."""
    engine.run(stage)
    return {result: engine.partials(target) for result, target in stage.saves.items()}
