"""The application: what its verbs share, and where they find the settings of a store."""

from __future__ import annotations

import shlex
import shutil
import sys
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from insar_dask.config import Config

__all__ = ["SOURCES", "Quiet", "StorePath", "app", "called", "each", "placed", "settings_of"]

app = typer.Typer(
    name="insar-dask",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

SOURCES = "EGMS zip or csv files, MintPy series, NetCDF, folders of GeoTIFFs, interferograms, or globs in quotes"
StorePath = Annotated[
    str, typer.Argument(help="a store, such as demo-output/cube.zarr or s3://bucket/cube.zarr", metavar="STORE")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="no progress bars")]

WHERE: ContextVar[tuple[str, ...]] = ContextVar("WHERE", default=())
"""Settings of [cluster] that were given before the verb."""


@app.callback()
def settings(
    cluster: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="a key of [cluster], such as workers=4, address=...; may be repeated"),
    ] = None,
) -> None:
    """Ground-motion time series: EGMS products to cubes, motion parameters, honest forecasts and a report."""
    WHERE.set(tuple(cluster or ()))


def settings_of(store: str | Path) -> Config:
    """The configuration kept beside a store, or the defaults."""
    from insar_dask.config import load_config, parse_config
    from insar_dask.pipeline import kept_config

    kept = kept_config(store)
    config = load_config(kept) if kept.exists() else parse_config({})
    return placed(config.model_copy(update={"store": config.store.model_copy(update={"path": str(store)})}))


def placed(config: Config) -> Config:
    """The configuration with the settings that were given before the verb."""
    from insar_dask.config import with_cluster

    return with_cluster(config, WHERE.get()) if WHERE.get() else config


def each(store: str | Path, quiet: bool, step: Any) -> None:
    """Take a step, ``step(workbench, product)``, of every product in a store."""
    from insar_dask.jobs.progress.status import existing_store
    from insar_dask.pipeline import opened

    with opened(settings_of(existing_store(store)), quiet=quiet) as bench:
        for product in bench.products:
            step(bench, product)


def called(verb: str, store: str | Path) -> str:
    """What to type for a verb of this program on a store, from here."""
    return f"{_program()} {verb} {shlex.quote(str(store))}"


def _program() -> str:
    if shutil.which("insar-dask"):
        return "insar-dask"
    python = Path(sys.executable)
    return f"{python.relative_to(Path.cwd()) if python.is_relative_to(Path.cwd()) else python} -m insar_dask"
