"""Verbs that say how the ground moves: to the east and up, and in which areas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from insar_dask.cli.shared import Quiet, StorePath, called, settings_of, tell_left_out, with_motion

if TYPE_CHECKING:
    from insar_dask.config import Config
    from insar_dask.config.ground import AreaSearch
    from insar_dask.workbench import Workbench


PASSING = {"vintage": None, "before": None}
"""Settings of areas that are of one call, and not of the store: a later one may have newer dates."""


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
    from insar_dask.store import open_group

    options = Options(cell=cell, every=every, how=how, anchor=anchor, north=north)
    tracks = [track for one in source for track in track_sources(one)]  # before anything is made
    with opened(settings_of(store), quiet=quiet, one_use=True) as bench:
        report = store_east_up(bench.engine, tracks, name, options)
    typer.echo(f"{store}/{name}_E and {name}_U: {report.shards} shards of cells, {report.computed} made now")
    tell_left_out(open_group(store, f"{name}_U/raw").attrs)
    typer.echo(f"Their motion: {called('products', store)}; then areas, evaluate, report or explore")


def areas(
    store: StorePath,
    product: Annotated[
        list[str] | None,
        typer.Option(
            help="whose motion makes one map, or STORE/PRODUCT; may be repeated; default: maps of all that are alike"
        ),
    ] = None,
    method: Annotated[str | None, typer.Option(help="hysteresis, or paper: beyond 15 mm/yr, as published")] = None,
    season: Annotated[
        float | None, typer.Option(help="thaw: a season [mm] above that of still ground; unset: any motion")
    ] = None,
    sign: Annotated[
        str | None, typer.Option(help="away (sinking; default), towards (rising), or both (default of east)")
    ] = None,
    body: Annotated[float | None, typer.Option(help="an area goes out to this velocity [mm/yr]; default: 5")] = None,
    seed: Annotated[
        float | None,
        typer.Option(help="and holds 80 % of this one, on the map of medians; default: 10. Paper: is beyond it, 15"),
    ] = None,
    fewest: Annotated[int | None, typer.Option(help="cells of an area, at least; default: 5")] = None,
    scene: Annotated[
        str | None,
        typer.Option(help="what areas are named after, as in scene-up; names last over vintages; default: scene"),
    ] = None,
    vintage: Annotated[str | None, typer.Option(help="such as a date; default: the last date of the record")] = None,
    inventory: Annotated[Path | None, typer.Option(help="outlines of yours, which are judged instead of found")] = None,
    before: Annotated[Path | None, typer.Option(help="outlines of an earlier vintage, whose names go on")] = None,
    dem: Annotated[str | None, typer.Option(help="raster of heights, for slope and aspect")] = None,
    into: Annotated[
        Path | None, typer.Option(help=".geojson, .parquet or .gpkg; default: STORE-SCENE-areas.geojson beside STORE")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Find moving areas of a store whose motion is known, name them, and write their outlines with the evidence.

    What is not said is as [areas] of the store's last run has it, but for vintage and before, else the default.
    """
    from insar_dask.addresses import beside
    from insar_dask.detect.counting import told
    from insar_dask.detect.writing import check_path, write_areas
    from insar_dask.ground_steps import search_of
    from insar_dask.jobs.areas.area_jobs import store_areas
    from insar_dask.pipeline import opened

    target = None if into is None else check_path(into)
    _check_there(store, product or [])
    settings = settings_of(store)
    said = {
        "method": method, "season": season, "sign": sign, "body": body, "seed": seed, "fewest": fewest, "scene": scene,
        "vintage": vintage, "inventory": inventory and str(inventory), "before": before and str(before), "dem": dem,
    }  # fmt: skip
    wanted = _configured(settings, said)
    with opened(settings, quiet=quiet) as bench:
        maps = _scenes(bench, product, wanted.scene)
        if target is not None and len(maps) > 1:
            raise typer.BadParameter(
                f"--into names one file, and there are {len(maps)} maps, {', '.join(maps)}: name the products of one "
                "by --product"
            )
        for name, names in maps.items():
            found = store_areas(bench.engine, names, search_of(wanted, name, _attrs(bench, names)["component"], sign))
            path = write_areas(found, target or bench.folder / beside(bench.store, f"-{name}-areas.geojson").name)
            typer.echo(f"{told(found)}\n{path}")
    typer.echo(f"Their page: {called('report', store)}; on the map, with every point: {called('explore', store)}")


def _check_there(store: str, chosen: Sequence[str]) -> None:
    """Raise FileNotFoundError where there is no store, unless products of others begin one; before it is begun."""
    from insar_dask.jobs.progress.status import existing_store
    from insar_dask.jobs.steps.tile_jobs import tile_sources

    try:
        existing_store(store)
    except FileNotFoundError:
        if not chosen:
            raise
        for name in chosen:
            tile_sources(name)


def _configured(settings: Config, said: dict[str, Any]) -> AreaSearch:
    """What a configuration says of areas, but for what was said now; to ask for them is to want them found."""
    from insar_dask.config import parse_config
    from insar_dask.config.ground import OF_HYSTERESIS

    kept = settings.areas.model_dump() | PASSING
    method = {"method": "hysteresis"} if kept["method"] == "none" else {}
    if said["method"] == "paper":  # which has no use for them
        kept = {name: value for name, value in kept.items() if name not in OF_HYSTERESIS}
    return parse_config(
        {"areas": {**kept, **method, **{key: value for key, value in said.items() if value is not None}}}, "areas"
    ).areas


def _attrs(bench: Workbench, names: Sequence[str]) -> Mapping[Any, Any]:
    """What the first of some products says of itself, whichever store it is in."""
    from insar_dask.jobs.areas.scene import area_sources
    from insar_dask.store import open_group

    first = area_sources(bench.engine, names)[0]
    return open_group(first.path, first.group).attrs


def _scenes(bench: Workbench, chosen: Sequence[str] | None, name: str) -> dict[str, list[str]]:
    """Products by the scene that they make; a scene that the store has by just that name goes on."""
    from insar_dask.ground_steps import maps_of, scene_name
    from insar_dask.jobs.areas.places import scenes_of
    from insar_dask.store import newest_products

    if chosen:
        maps = {scene_name(name, _attrs(bench, chosen)): list(chosen)}
    else:
        maps = maps_of(bench, with_motion(bench, newest_products(bench.engine.store)), name)
    return {name: next(iter(maps.values()))} if len(maps) == 1 and name in scenes_of(bench.engine.store) else maps
