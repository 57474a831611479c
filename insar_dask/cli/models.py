"""Verbs that train forecasters, and forecast with them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from insar_dask.cli.shared import Quiet, StorePath, each, settings_of


def train(
    store: StorePath,
    model: Annotated[Path | None, typer.Option(help="folder for the forecaster; default: PRODUCT-METHOD there")] = None,
    method: Annotated[str | None, typer.Option(help="a forecaster; unset: kriging, or what is surely better")] = None,
    context: Annotated[int | None, typer.Option(help="dates that are read; unset: 24, of maps 10")] = None,
    horizon: Annotated[int | None, typer.Option(help="dates ahead; unset: 6, of maps 10")] = None,
    steps: Annotated[int | None, typer.Option(help="most steps that a network is trained; unset: its usual")] = None,
    ranks: Annotated[int | None, typer.Option(help="workers that train a network together; unset: none")] = None,
    maps: Annotated[bool, typer.Option("--maps", help="learn the store's tiles; networks of maps always do")] = False,
    quiet: Quiet = False,
) -> None:
    """Train a forecaster on a store, score it honestly, and keep it as a folder."""
    from insar_dask.addresses import beside
    from insar_dask.forecast import Forecaster
    from insar_dask.forecast.catalogue import FORECASTERS
    from insar_dask.forecast.choices import BEST, MAP_STEPS

    if method is None:
        if str(model) in FORECASTERS:
            raise typer.BadParameter(
                f"--model is the folder that the forecaster goes to, and {model} is a method: did you mean --method "
                f"{model}? For a folder of that name, give --method too"
            )
        method = BEST
    training = None if steps is None else {"max_steps": steps}
    wanted = Forecaster(method, context=context, horizon=horizon, training=training)
    if steps is not None and method in {*FORECASTERS, BEST} and not wanted.trains:
        raise typer.BadParameter(f"--steps are those of a network's training, and {method} trains none: leave them out")
    if maps or wanted.maps:
        usual = MAP_STEPS[0] if context is None else context, MAP_STEPS[1] if horizon is None else horizon
        wanted.set_params(context=usual[0], horizon=usual[1])
        _train_maps(store, wanted, model or beside(store).parent / f"tiles-{method}", ranks, quiet)
        return

    def step(bench: Any, product: str) -> None:
        folder = beside(store).parent / f"{product}-{method}" if model is None else _folder(bench, product, model)
        fitted = bench.train(product, wanted, folder, ranks)
        typer.echo(f"{fitted.scores_.table()}\n{folder}")

    each(store, quiet, step)


def forecast(
    store: StorePath,
    model: Annotated[Path | None, typer.Option(help="forecast with this trained forecaster instead")] = None,
    quiet: Quiet = False,
) -> None:
    """Forecast beyond the record by the method that the evaluation took, or with a forecaster of yours."""

    def step(bench: Any, product: str) -> None:
        bench.evaluate(product)
        bench.forecast(product)

    if model is not None and (model / "card.json").exists() and _predict_maps(store, model, quiet):
        return
    each(store, quiet, step if model is None else lambda bench, product: _predict(bench, product, store, model))


def _folder(bench: Any, product: str, model: Path) -> Path:
    """Where a product's forecaster lies: of several products each has a folder of its name."""
    return model / product if len(bench.products) > 1 and not (model / "card.json").exists() else model


def _predict(bench: Any, product: str, store: str | Path, model: Path) -> None:
    from insar_dask.forecast import Forecaster

    note = bench.predict(product, Forecaster.load(_folder(bench, product, model)))
    typer.echo(f"{store}/{product}/predicted: {note['n_points']:,} points by {note['method']}")
    if note["points_without_forecast"]:
        typer.echo(f"{note['points_without_forecast']:,} of them have too little of a history and are NaN")
    if note["points_without_interval"]:
        typer.echo(f"{note['points_without_interval']:,} others have a forecast and no interval")


def _train_maps(store: str | Path, wanted: Any, folder: Path, ranks: int | None, quiet: bool) -> None:
    from insar_dask.jobs.opening import tiles_group
    from insar_dask.pipeline import opened

    group = tiles_group(store)
    with opened(settings_of(store), quiet=quiet) as bench:
        fitted = bench.learn_maps(group, wanted, folder, ranks=ranks)
    typer.echo(f"{fitted.scores_.table()}\n{folder}")


def _predict_maps(store: str | Path, folder: Path, quiet: bool) -> bool:
    """Forecast tiles where the forecaster is one of maps; else nothing is done."""
    from insar_dask.forecast import Forecaster
    from insar_dask.jobs.opening import tiles_group
    from insar_dask.outcomes import foresee_maps
    from insar_dask.pipeline import opened

    model = Forecaster.load(folder)
    if "tiles" not in model.data_:
        return False
    group = tiles_group(store)
    with opened(settings_of(store), quiet=quiet) as bench:
        outcome = foresee_maps(bench, group, model, folder)
    typer.echo("\n".join([*outcome.summary, str(outcome.report)]))
    return True
