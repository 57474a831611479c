"""Verbs that take one step of a run."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from insar_dask.cli.shared import SOURCES, Quiet, StorePath, each, settings_of, tell_left_out


def ingest(
    source: Annotated[list[str], typer.Argument(help=SOURCES, metavar="SOURCE")],
    store: StorePath,
    quiet: Quiet = False,
) -> None:
    """Read product files into a store, one group each."""
    from insar_dask.pipeline import opened
    from insar_dask.sources import listed

    settings = settings_of(store)
    files = settings.source.model_copy(update={"files": source})
    listed(files)  # before anything is made
    with opened(settings.model_copy(update={"source": files}), quiet=quiet) as bench:
        for path in bench.sources():
            typer.echo(f"{store}/{bench.read(path)}")


def products(store: StorePath, quiet: Quiet = False) -> None:
    """Make regular dates, smoothed series, motion parameters, and trend, season and residual."""

    def step(bench: Any, product: str) -> None:
        bench.prepare(product)
        bench.decompose(product)
        typer.echo(f"{store}/{product}/products")

    each(store, quiet, step)


def cluster(store: StorePath, quiet: Quiet = False) -> None:
    """Find deformation patterns, and label every point."""

    def step(bench: Any, product: str) -> None:
        bench.find_patterns(product)
        absent = bench.reasons(product).get("patterns")
        typer.echo(f"{store}/{product}/patterns" if absent is None else f"{product}: {absent}")

    each(store, quiet, step)


def tiles(
    source: Annotated[
        list[str], typer.Argument(help=f"stores, STORE/PRODUCT, or {SOURCES}, which go into STORE", metavar="SOURCE")
    ],
    store: StorePath,
    pixels: Annotated[int, typer.Option(help="pixels a side that points are interpolated to")] = 256,
    cells: Annotated[int, typer.Option(help="cells a side, each a mean of pixels")] = 64,
    extent: Annotated[
        list[str] | None, typer.Option(metavar="TILE=W,S,E,N", help="square [m] of a tile that is not mapped whole")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Map points onto the cells of tiles: one cube of maps for all that is named, in a store."""
    from insar_dask.addresses import child_address
    from insar_dask.jobs.steps.tile_jobs import is_stored, store_tiles, tile_sources
    from insar_dask.pipeline import opened
    from insar_dask.store import open_group

    extents = _extents(extent or [])
    settings, stores = settings_of(store), [one for one in source if is_stored(one)]
    files = settings.source.model_copy(update={"files": [one for one in source if one not in stores]})
    with opened(settings.model_copy(update={"source": files}), quiet=quiet) as bench:
        read = [child_address(store, bench.ingest(path)) for path in bench.sources()] if files.files else []
        found = dict.fromkeys(cube for one in [*stores, *read] for cube in tile_sources(one))
        report = store_tiles(bench.engine, list(found), pixels=pixels, cells=cells, extents=extents)
    typer.echo(f"{store}/{report.stage}: {report.shards} tiles, {report.computed} made now")
    tell_left_out(open_group(store, report.stage).attrs)


def evaluate(store: StorePath, quiet: Quiet = False) -> None:
    """Score all forecasters over rolling origins; print the table."""
    from insar_dask.forecast.scores import Scores

    def step(bench: Any, product: str) -> None:
        scores = Scores.from_json(json.dumps(bench.evaluate(product)))
        typer.echo("\n\n".join(scores.table(protocol) for protocol in scores.tables))

    each(store, quiet, step)


def _extents(given: list[str]) -> dict[str, list[float]]:
    """Squares by tile of texts such as ``E45N17=4596000,1739000,4600800,1743800``."""
    extents = {}
    for text in given:
        tile, _, edges = text.partition("=")
        try:
            extents[tile] = [float(edge) for edge in edges.split(",")]
        except ValueError:
            raise typer.BadParameter(f"{text} is no TILE=WEST,SOUTH,EAST,NORTH") from None
        if len(extents[tile]) != 4:
            raise typer.BadParameter(f"{text} has {len(extents[tile])} edges, wanted WEST,SOUTH,EAST,NORTH")
    return extents
