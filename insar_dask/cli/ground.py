"""Verbs that say how the ground moves: to the east and up, and in which areas."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from insar_dask.cli.shared import Quiet, StorePath, called, settings_of


def east_up(
    source: Annotated[
        list[str], typer.Argument(help="stores, or STORE/PRODUCT: ascending and descending tracks", metavar="SOURCE")
    ],
    store: StorePath,
    name: Annotated[str, typer.Option(help="the products are NAME_E and NAME_U")] = "east_up",
    cell: Annotated[float, typer.Option(help="side of a cell [m]")] = 100.0,
    every: Annotated[str, typer.Option(help="spacing of the dates")] = "6D",
    how: Annotated[str, typer.Option(help="which acquisition is a date's: nearest, linear, or previous")] = "nearest",
    anchor: Annotated[str, typer.Option(help="what is zero: model (as EGMS has it), first or none")] = "model",
    north: Annotated[float | None, typer.Option(help="motion to the north [mm/yr]; unset: taken to be still")] = None,
    quiet: Quiet = False,
) -> None:
    """Turn ascending and descending tracks to east and up of cells; what is done already is not done again."""
    from insar_dask.geometry.options import Options
    from insar_dask.jobs.steps.east_up_jobs import store_east_up, track_sources
    from insar_dask.pipeline import opened

    options = Options(cell=cell, every=every, how=how, anchor=anchor, north=north)
    with opened(settings_of(store), quiet=quiet) as bench:
        tracks = [track for one in source for track in track_sources(one)]
        report = store_east_up(bench.engine, tracks, name, options)
    typer.echo(f"{store}/{name}_E and {name}_U: {report.shards} shards of cells, {report.computed} made now")
    typer.echo(f"Their motion: {called('products', store)}; then areas, evaluate, report or explore")


def areas(
    store: StorePath,
    product: Annotated[
        list[str] | None,
        typer.Option(help="whose motion makes the map, or STORE/PRODUCT; may be repeated; default: the newest of all"),
    ] = None,
    season: Annotated[
        float | None, typer.Option(help="thaw: a season [mm] above that of still ground; unset: any motion")
    ] = None,
    sign: Annotated[str, typer.Option(help="away (sinking), towards (rising), or both")] = "away",
    body: Annotated[float, typer.Option(help="an area goes out to this velocity [mm/yr]")] = 5.0,
    seed: Annotated[float, typer.Option(help="and holds this one [mm/yr]")] = 10.0,
    fewest: Annotated[int, typer.Option(help="cells of an area, at least")] = 5,
    scene: Annotated[str, typer.Option(help="what areas are named after; their names last over vintages")] = "scene",
    vintage: Annotated[str | None, typer.Option(help="such as a date; default: the last date of the record")] = None,
    inventory: Annotated[Path | None, typer.Option(help="outlines of yours, which are judged instead of found")] = None,
    before: Annotated[Path | None, typer.Option(help="GeoParquet of an earlier vintage, whose names go on")] = None,
    dem: Annotated[str | None, typer.Option(help="raster of heights, for slope and aspect")] = None,
    into: Annotated[
        Path | None, typer.Option(help=".geojson, .parquet or .gpkg; default: SCENE-areas.geojson beside the store")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Find moving areas of a store whose motion is known, name them, and write their outlines with the evidence."""
    from insar_dask.detect.counting import told
    from insar_dask.detect.given import read_areas
    from insar_dask.detect.rules import Rule
    from insar_dask.detect.writing import check_path, write_areas
    from insar_dask.jobs.areas.area_jobs import Search, store_areas
    from insar_dask.jobs.progress.status import existing_store
    from insar_dask.pipeline import opened
    from insar_dask.store import newest_products

    target = None if into is None else check_path(into)
    rule = Rule(season=season, sign=sign, body=body, seed=seed, fewest=fewest)
    given, older = (None if file is None else read_areas(file) for file in (inventory, before))
    search = Search(rule, scene, vintage, inventory=given, before=older, dem=dem)
    with opened(settings_of(store if product else existing_store(store)), quiet=quiet) as bench:
        found = store_areas(bench.engine, product or newest_products(bench.engine.store), search)
        path = write_areas(found, target or bench.folder / f"{scene}-areas.geojson")
    typer.echo(f"{told(found)}\n{path}\nOn the map, with every point: {called('explore', store)}")
