"""The command line: one verb a function; heavy imports wait until a verb runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["main"]

app = typer.Typer(
    name="insar-dask",
    help="Ground-motion time series: EGMS products to cubes, motion parameters, honest forecasts and a report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

ConfigFile = Annotated[
    Path, typer.Argument(help="TOML file; `insar-dask config` prints one to start from", metavar="CONFIG")
]
StorePath = Annotated[Path, typer.Argument(help="a store, such as out/cube.zarr", metavar="STORE")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="no progress bars")]


@app.command()
def demo(
    source: Annotated[list[str] | None, typer.Argument(help="EGMS files; none: a synthetic burst")] = None,
    folder: Annotated[str, typer.Option("--out", help="folder for everything that is written")] = "demo-output",
    quiet: Quiet = False,
) -> None:
    """Run the whole pipeline on a synthetic burst, or on EGMS files, with default settings."""
    from insar_dask.config import parse_config

    _run(parse_config({"source": {"files": source or []}, "store": {"folder": folder}}), quiet)


@app.command()
def run(config: ConfigFile, quiet: Quiet = False) -> None:
    """Run a configuration; what is done already is not done again."""
    from insar_dask.config import load_config

    _run(load_config(config), quiet)


@app.command()
def config() -> None:
    """Print the commented default configuration; run as it is, it is the demo."""
    from insar_dask.config import Config, to_toml

    typer.echo(to_toml(Config()), nl=False)


def _run(config: Any, quiet: bool) -> None:
    from insar_dask.pipeline import run as run_pipeline

    for outcome in run_pipeline(config, quiet=quiet):
        places = {"cube": outcome.store, "report": outcome.report, "maps": outcome.report.parent}
        typer.echo(outcome.product)
        for what, where in places.items():
            typer.echo(f"  {what:<8}{where}")
        for line in outcome.summary:
            typer.echo(f"  {line}")


def main() -> None:
    """Entry point: exit 0 done, 1 the data or the configuration is wrong, 2 usage."""
    try:
        app()
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        typer.echo(f"insar-dask: {error}", err=True)
        sys.exit(1)
