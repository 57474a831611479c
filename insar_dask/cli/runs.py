"""Verbs that run everything, and what a run takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from insar_dask.cli.shared import SOURCES, Quiet, called, placed

if TYPE_CHECKING:
    from insar_dask.config import Config

TOLD_WHOLE = 12
"""Of more products than these, each is told in a line."""

ConfigFile = Annotated[Path, typer.Argument(help="TOML file; `insar-dask config` prints one", metavar="CONFIG")]


def demo(
    source: Annotated[
        list[str] | None, typer.Argument(help=f"{SOURCES}; none: a synthetic burst", metavar="SOURCE")
    ] = None,
    out: Annotated[
        str, typer.Option(help="folder for everything that is written; to s3://bucket/prefix goes the cube alone")
    ] = "demo-output",
    quiet: Quiet = False,
) -> None:
    """Run everything, with default settings: on files of yours, or a demo."""
    from insar_dask.addresses import child_address
    from insar_dask.config import parse_config

    path = str(child_address(out, "cube.zarr"))
    _run(parse_config({"source": {"files": source or []}, "store": {"path": path}}), quiet)


def run(config: ConfigFile, quiet: Quiet = False) -> None:
    """Run a configuration; what is done already is not done again."""
    from insar_dask.config import load_config

    _run(load_config(config), quiet)


def plan(
    config: ConfigFile,
    like: Annotated[
        str | None, typer.Option(metavar="STORE", help="reckon with the speed of the machine that made this store")
    ] = None,
) -> None:
    """Show the stages, bytes, memory, seconds and price that a run would take."""
    from insar_dask.config import load_config
    from insar_dask.planning import plan_run

    typer.echo(plan_run(placed(load_config(config)), like))


def config() -> None:
    """Print the default configuration: run as it is, it is the demo."""
    from insar_dask.config import Config, to_toml

    typer.echo(to_toml(Config()), nl=False)


def _run(config: Config, quiet: bool) -> None:
    from insar_dask.pipeline import run as run_pipeline

    outcomes = run_pipeline(placed(config), quiet=quiet)
    for outcome in outcomes:
        if len(outcomes) > TOLD_WHOLE:
            typer.echo(f"{outcome.product}  {outcome.report}")
            continue
        typer.echo(outcome.product)
        for what, where in {"cube": outcome.store, "maps": outcome.report.parent, "report": outcome.report}.items():
            typer.echo(f"  {what:<8}{where}")
        for line in outcome.summary:
            typer.echo(f"  {line}")
    if len(stores := {str(outcome.store) for outcome in outcomes}) == 1:
        typer.echo(f"Every point in the browser: {called('explore', stores.pop())}")
