"""The application: what its verbs share, and where they find the settings of a store."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from insar_dask.config import Config
    from insar_dask.workbench import Workbench

__all__ = [
    "SOURCES",
    "Quiet",
    "StorePath",
    "app",
    "called",
    "each",
    "placed",
    "settings_of",
    "tell_left_out",
    "with_displacement",
    "with_motion",
]

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
    """Take a step, ``step(workbench, product)``, of every product in a store.

    One that lacks what the step reads, or cannot be forecast, is left and named with the reason; exit 1 where all are.
    """
    from insar_dask.forecast.timetable import TooShortError
    from insar_dask.jobs.progress.job_errors import LackingError
    from insar_dask.jobs.progress.status import existing_store
    from insar_dask.pipeline import opened
    from insar_dask.workbench import SeesFutureError

    left = []
    with opened(settings_of(existing_store(store)), quiet=quiet) as bench:
        for product in (products := with_displacement(bench)):
            try:
                step(bench, product)
            except (LackingError, TooShortError, SeesFutureError) as error:
                typer.echo(f"insar-dask: {product} is left: {error}", err=True)
                left.append(product)
    if left == products:
        raise typer.Exit(1)


def with_displacement(bench: Workbench) -> list[str]:
    """Products of a store; LackingError with the cure where it has none."""
    from insar_dask.jobs.progress.job_errors import LackingError

    if not bench.products:
        raise LackingError(
            f"{bench.store} holds no displacement: `insar-dask ingest` reads some, `insar-dask invert` makes it of "
            "interferograms, `insar-dask east-up` of tracks"
        )
    return bench.products


def with_motion(bench: Workbench, products: Sequence[str]) -> list[str]:
    """Those of some products whose motion is known; the others are named, LackingError where these are all."""
    from insar_dask.jobs.progress.job_errors import LackingError
    from insar_dask.objects import get_bytes

    without = [one for one in products if get_bytes(bench.engine.store, f"{one}/products/zarr.json") is None]
    if without:
        told = f"the motion of {', '.join(without)} is not known: {called('products', bench.config.store.path)}"
        if without == list(products):
            raise LackingError(told)
        typer.echo(f"insar-dask: left out, for {told}", err=True)
    return [one for one in products if one not in without]


def tell_left_out(attrs: Mapping[Any, Any]) -> None:
    """Say how many points a product was made without, because they begin later than their record."""
    from insar_dask.zeros import SETTINGS

    if n_later := attrs.get("n_begin_later"):
        typer.echo(
            f"{n_later:,} points are left out: they have no value at the first date of their record, and count "
            f"displacement from dates of their own ({SETTINGS})"
        )


def called(verb: str, store: str | Path) -> str:
    """What to type for a verb of this program on a store, from here."""
    return f"{_program()} {verb} {shlex.quote(str(store))}"


def _program() -> str:
    if shutil.which("insar-dask"):
        return "insar-dask"
    python = Path(sys.executable)
    return f"{python.relative_to(Path.cwd()) if python.is_relative_to(Path.cwd()) else python} -m insar_dask"
