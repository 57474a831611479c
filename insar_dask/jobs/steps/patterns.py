"""Deformation patterns as chunk jobs: sample, sums of each exact step, labels; small reductions between the passes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from insar_dask.cluster.estimator import Clusters
from insar_dask.cluster.learning import Arrays
from insar_dask.cluster.rows import PLACE, axis_of, check_rows, names_of
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.recipe import Stage, Step, state_reference
from insar_dask.store import open_group

__all__ = ["fit_patterns", "label_patterns", "stored_patterns"]


def fit_patterns(
    engine: Engine, product: str, source: str = "smooth", *, until: str | None = None, **parameters: Any
) -> dict[str, Any]:
    """Learn the patterns of a stored product: the numbers of `insar_dask.Clusters.fit`, resumable.

    Parameters
    ----------
    engine : Engine
        Where tasks run; its store holds ``PRODUCT/SOURCE``.
    product, source : str
        Names of the product's group and of the stage that is clustered: smoothed series, or ``products`` with
        ``features``.
    until : str, optional
        Date from which on nothing may be known.
    **parameters
        Of `insar_dask.Clusters`.

    Returns
    -------
    dict
        What the store keeps as a note: ``state``, the hash of what was learned; ``source``, ``until``, ``parameters``;
        ``inertia`` [mm²] and ``sizes`` of the clusters, ``n_points`` and ``unlabelled``.
    """
    model, group = Clusters(**parameters), f"{product}/{source}"
    engine.require(group)
    cube = open_group(engine.store, group)
    check_rows(cube, model.features, until)
    n_points, steps_done = cube.sizes["point"], 0
    values = names_of(cube, model.features)

    def passes(state: Arrays | None) -> Iterable[Arrays]:
        nonlocal steps_done
        if state is None:
            step = Step("sample_patterns", source, "pattern-sample", model.draw(n_points, until), (*values, *PLACE))
        else:
            reference = state_reference(engine.ledger.write_state(state))
            # a target for each pass: else every run would find in it what the last pass of the one before left
            step = Step("sum_patterns", source, f"pattern-sums-{steps_done}", {"state": reference}, values)
            steps_done += 1
        target = f"jobs/partials/{product}/{step.result}"
        engine.run(Stage(f"{product}/{step.result}", group, (step,), {step.result: target}))
        return engine.partials(target)

    model.learn(axis_of(cube, model.features, until), passes, until)
    note = {
        "state": engine.ledger.write_state(model.state()),
        "source": source,
        "until": until,
        "parameters": model.parameters(),
        "inertia": model.inertia_,
        "sizes": model.sizes_.tolist(),
        "n_points": n_points,
        "unlabelled": n_points - int(model.sizes_.sum()),
    }
    engine.ledger.write_note(f"patterns/{product}", note)
    return note


def label_patterns(engine: Engine, product: str) -> None:
    """Label every point of a product by what `fit_patterns` learned, into ``PRODUCT/patterns``.

    Raises
    ------
    FileNotFoundError
        When nothing was learned.
    """
    note = _note(engine, product)
    params = {"state": state_reference(note["state"]), "until": note["until"]}
    step = Step("label_patterns", note["source"], "patterns", params)
    engine.run(
        Stage(f"{product}/patterns", f"{product}/{note['source']}", (step,), {"patterns": f"{product}/patterns"})
    )


def stored_patterns(engine: Engine, product: str) -> Clusters:
    """The clusters that `fit_patterns` learned.

    Raises
    ------
    FileNotFoundError
        When nothing was learned.
    """
    note = _note(engine, product)
    return Clusters(**note["parameters"]).learned(engine.ledger.read_state(note["state"]), note["until"])


def _note(engine: Engine, product: str) -> dict[str, Any]:
    note = engine.ledger.read_note(f"patterns/{product}")
    if note is None:
        raise FileNotFoundError(f"{product} has no patterns yet; run fit_patterns first")
    return note
