"""Verbs that look at what there is, publish it, and make files to try everything on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from insar_dask.cli.shared import Quiet, StorePath, settings_of, with_displacement, with_motion

if TYPE_CHECKING:
    from insar_dask.workbench import Workbench


def report(store: StorePath, quiet: Quiet = False) -> None:
    """Write page, maps and exports of each product whose motion is known, and the pages of areas and of tiles.

    What was made of other displacement than is stored now has no page: its product is left and named with the cure.
    """
    from insar_dask.jobs.progress.job_errors import LackingError
    from insar_dask.jobs.progress.status import existing_store
    from insar_dask.outcomes import map_outcome, publish
    from insar_dask.pipeline import opened

    with opened(settings_of(existing_store(store)), quiet=quiet) as bench:
        maps = bench.config.maps.method != "none"
        names, left = with_motion(bench, bench.products if maps else with_displacement(bench)), []
        for product in names:
            try:
                typer.echo(str(publish(bench, product)))
            except LackingError as error:
                typer.echo(f"insar-dask: {product} is left: {error}", err=True)
                left.append(product)
        _report_areas(bench)
        if maps:
            typer.echo(str(map_outcome(bench).report))
    if left and left == names:
        raise typer.Exit(1)


def _report_areas(bench: Workbench) -> None:
    """Pages of the areas that a store keeps; what cannot be drawn is named and left."""
    from insar_dask.ground_steps import draw_areas
    from insar_dask.jobs.areas.places import scenes_of

    for scene in scenes_of(bench.engine.store):
        try:
            typer.echo(str(draw_areas(bench, scene)))
        except (ValueError, OSError, RuntimeError) as error:
            typer.echo(f"insar-dask: areas of {scene} are left: {error}", err=True)


def synthetic_tiles(
    folder: Annotated[Path, typer.Argument(help="folder for the six zip files", metavar="FOLDER")],
    points: Annotated[int, typer.Option(help="cells of each tile")] = 100_000,
    seed: Annotated[int, typer.Option(help="equal seeds give equal files")] = 0,
    quiet: Quiet = False,
) -> None:
    """Write six made-up EGMS tiles: what maps are forecast on, where no real ones are at hand."""
    from insar_dask.jobs.progress.watch import Progress
    from insar_dask.synthetic import TILES, write_egms_tiles

    with Progress("write six tiles", len(TILES) * points, quiet=quiet) as bar:

        def tell(name: str, done: int, _: int) -> None:
            before = list(TILES).index(name) * points
            bar.show(before + done, before + done)

        for path in write_egms_tiles(folder, points, seed=seed, progress=tell):
            typer.echo(str(path))


def catalogue(
    source: Annotated[
        list[str], typer.Argument(help="EGMS zip or csv files, folders of them, or globs in quotes", metavar="SOURCE")
    ],
) -> None:
    """List EGMS products by tile or burst, as their names have it; no file is opened."""
    from insar_dask.tiles import catalogue as found
    from insar_dask.tiles import catalogue_table

    typer.echo(catalogue_table(found(source)))


def status(
    store: StorePath,
    html: Annotated[bool, typer.Option("--html", help="write the page of a run's chunk jobs beside the store")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="show a run here until it has ended")] = False,
    run: Annotated[str | None, typer.Option(help="which run of the store's history; default: the last")] = None,
) -> None:
    """Show what is done in a store or in a folder of stores, or how a run of it goes; needs no scheduler."""
    from insar_dask.addresses import child_address
    from insar_dask.campaign_book import BOOK, campaign_table, holds_campaign
    from insar_dask.jobs.progress.status import status_table

    if run is not None and not (html or watch):
        raise typer.BadParameter("--run says which run is shown: give --html or --watch too")
    many = holds_campaign(store)
    place = child_address(store, BOOK) if many else store
    if html:
        from insar_dask.dashboard.kept import write_page

        typer.echo(str(write_page(place, run)))
    elif watch:
        from insar_dask.jobs.progress.live_view import watch_store

        watch_store(place, run)
    else:
        typer.echo(campaign_table(store) if many else status_table(store))


def verify(store: StorePath) -> None:
    """Name the shards, receipts, states and notes that are damaged; the next run rebuilds them."""
    from insar_dask.jobs.progress.status import damaged, damaged_documents
    from insar_dask.jobs.receipts import Ledger
    from insar_dask.jobs.standing import mark_damaged
    from insar_dask.objects import open_store

    found, documents = damaged(store), damaged_documents(store)
    try:
        mark_damaged(Ledger(open_store(store)), found, documents)
    except OSError as error:
        typer.echo(f"insar-dask: {store} cannot be written, so no run is told of it: {error}", err=True)
    for target, shards in found.items():
        typer.echo(f"{target}: damaged shards {', '.join(map(str, shards))}")
    for key in documents:
        typer.echo(f"{key}: damaged")
    if found or documents:
        raise typer.Exit(1)
    typer.echo("every shard holds the bytes of its receipt")


def explore(
    store: StorePath,
    export: Annotated[
        Path | None, typer.Option(help="write the page and what it reads into this folder instead, for any web server")
    ] = None,
    address: Annotated[
        str | None, typer.Option("--store", help="with --export: where the store is on the web, so nothing is copied")
    ] = None,
    tiles: Annotated[
        str | None,
        typer.Option(help="address of background images, .../{z}/{x}/{y}.png; of stores in EPSG:3857 alone"),
    ] = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="open no browser")] = False,
    port: Annotated[int, typer.Option(help="of this machine; 0: one that is free", min=0, max=65535)] = 0,
    quiet: Quiet = False,
) -> None:
    """Explore a store, or a folder of stores, in the browser: map, series, fit, parts and forecast of each point."""
    from insar_dask.viewer.campaign_page import find_stores

    if address is not None and export is None:
        raise typer.BadParameter("--store says where an exported page finds the store: give --export DIR too")
    many = find_stores(store)
    if address is not None and many is not None:
        raise typer.BadParameter("--store names one store, and this is a folder of many: export it with its data")
    ready = _explorable(many or {"": store}, quiet)
    stores = ready if many else store
    if tiles is not None:
        from insar_dask.viewer.background import check_tiles

        check_tiles(tiles, ready)
    if export is not None:
        from insar_dask.viewer.export import export_page

        page = export_page(stores, export, address, tiles)
        typer.echo(str(page))
        if not quiet:
            typer.echo(
                "a web server shows it, which answers byte ranges; `insar-dask explore` is one of the store itself",
                err=True,
            )
    else:
        from insar_dask.viewer.serve import serve

        serve(stores, port, tiles=tiles, show=not no_open, told=lambda at: typer.echo(f"{at}  (Ctrl-C ends it)"))


def _explorable(stores: Mapping[str, str | Path], quiet: bool) -> dict[str, str | Path]:
    """Bring overviews up to date; of many stores those that cannot be shown are named and left out."""
    from insar_dask.viewer.fresh import bring_up

    found = {}
    for name, store in stores.items():
        try:
            earlier = bring_up(store, quiet=quiet)
        except (ValueError, OSError, RuntimeError) as error:
            if len(stores) == 1:
                raise
            typer.echo(f"insar-dask: {name} is left out: {error}", err=True)
            continue
        if earlier:
            typer.echo(f"insar-dask: {earlier}", err=True)
        found[name] = store
    if not found:
        raise FileNotFoundError("none of the stores can be shown; `insar-dask status` tells what each of them lacks")
    return found
