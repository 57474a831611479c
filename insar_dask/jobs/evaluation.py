"""Fit, calibrate, score and forecast as chunk jobs: three passes over the shards, small reductions between them."""

from __future__ import annotations

import json
from typing import Any

from insar_dask.jobs.engine import Engine
from insar_dask.jobs.recipe import Stage, Step, plan_reference, state_reference
from insar_dask.store import open_group

__all__ = ["evaluate_and_forecast"]


def evaluate_and_forecast(engine: Engine, product: str, **settings: Any) -> dict[str, Any]:
    """Score all forecasters on a stored product over rolling origins, then forecast beyond its record.

    Parameters
    ----------
    engine : Engine
        Where tasks run; its store holds ``PRODUCT/raw``.
    product : str
        Name of the product's group.
    **settings
        Passed on to `insar_dask.forecast.protocol.plan`.

    Returns
    -------
    dict
        The scores as JSON-able values, also kept as a note of the store. The forecast of the method that validation
        prefers is in the group ``PRODUCT/forecast``.
    """
    from insar_dask.forecast import protocol

    raw = open_group(engine.store, f"{product}/raw")
    plan = protocol.plan(raw["time"].values, observed=raw["observed"].values, **settings)
    reference = plan_reference(plan.to_dict())

    partials = _pass(engine, product, "fit", [Step("fit_partial", "raw", "fits", {"plan": reference})])
    fitted = protocol.fit(partials["fits"], plan)
    params = {"plan": reference, "state": state_reference(engine.ledger.write_state(fitted))}

    steps = [Step("calibrate_partial", "raw", "errors", params), Step("score_partial", "raw", "scores", params)]
    partials = _pass(engine, product, "score", steps)
    calibrated = protocol.calibrate(partials["errors"], plan, fitted)
    about = {**raw.attrs, "product": product}
    scores: dict[str, Any] = json.loads(protocol.score(partials["scores"], plan, calibrated, about).to_json())
    engine.ledger.write_note(f"scores/{product}", scores)

    params = {"plan": reference, "state": state_reference(engine.ledger.write_state(calibrated))}
    forecast = Step("forecast_block", "raw", "forecast", params)
    engine.run(Stage(f"{product}/forecast", f"{product}/raw", (forecast,), {"forecast": f"{product}/forecast"}))
    return scores


def _pass(engine: Engine, product: str, name: str, steps: list[Step]) -> dict[str, list[dict[str, Any]]]:
    """Run steps whose results are small arrays; returns those of each result in shard order."""
    targets = {step.result: f"jobs/partials/{product}/{step.result}" for step in steps}
    engine.run(Stage(f"{product}/{name}", f"{product}/raw", tuple(steps), targets))
    return {result: engine.partials(target) for result, target in targets.items()}
