"""The command line: one verb a function; heavy imports wait until a verb runs."""

from __future__ import annotations

import sys

import typer

from insar_dask.cli.ground import areas, east_up
from insar_dask.cli.inverting import invert
from insar_dask.cli.looking import catalogue, explore, report, status, synthetic_tiles, verify
from insar_dask.cli.models import forecast, train
from insar_dask.cli.runs import config, demo, plan, run
from insar_dask.cli.shared import app
from insar_dask.cli.steps import cluster, evaluate, ingest, products, tiles
from insar_dask.cli.updating import update

__all__ = ["app", "main"]

STOPPED = 130
"""What a call exits with that Ctrl-C has ended."""

for verb in (
    *(demo, run, plan, config),
    *(ingest, invert, products, cluster, tiles, evaluate, train, forecast, report),
    *(east_up, areas, update),
    *(synthetic_tiles, catalogue, status, verify, explore),
):
    app.command()(verb)


def main() -> None:
    """Entry point: exit 0 done, 1 the data or the configuration is wrong, 2 usage."""
    try:
        app()
    except (ValueError, OSError, RuntimeError, ImportError, MemoryError) as error:
        typer.echo(f"insar-dask: {error}", err=True)
        sys.exit(1)
    except SystemExit as end:
        if end.code == STOPPED:
            typer.echo("insar-dask: stopped; what is done is kept, and the same call goes on from there", err=True)
        raise
