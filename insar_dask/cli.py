"""The command line: one verb a function; heavy imports wait until a verb runs."""

from __future__ import annotations

import json
import sys
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from insar_dask.config import Config

__all__ = ["main"]

app = typer.Typer(
    name="insar-dask",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

TOLD_WHOLE = 12
"""Of more products than these, each is told in a line."""

SOURCES = "EGMS zip or csv files, MintPy series, NetCDF, folders of GeoTIFFs, or globs in quotes"
ConfigFile = Annotated[Path, typer.Argument(help="TOML file; `insar-dask config` prints one", metavar="CONFIG")]
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


@app.command()
def demo(
    source: Annotated[list[str] | None, typer.Argument(help=f"{SOURCES}; none: a synthetic burst")] = None,
    out: Annotated[Path, typer.Option(help="folder for everything that is written")] = Path("demo-output"),
    quiet: Quiet = False,
) -> None:
    """Run everything, with default settings: on files of yours, or a demo."""
    from insar_dask.config import parse_config

    _run(parse_config({"source": {"files": source or []}, "store": {"path": str(out / "cube.zarr")}}), quiet)


@app.command()
def run(config: ConfigFile, quiet: Quiet = False) -> None:
    """Run a configuration; what is done already is not done again."""
    from insar_dask.config import load_config

    _run(load_config(config), quiet)


@app.command()
def plan(config: ConfigFile) -> None:
    """Show the stages, bytes and memory that a run would take."""
    from insar_dask.config import load_config
    from insar_dask.planning import plan_run

    typer.echo(plan_run(load_config(config)))


@app.command()
def config() -> None:
    """Print the default configuration: run as it is, it is the demo."""
    from insar_dask.config import Config, to_toml

    typer.echo(to_toml(Config()), nl=False)


@app.command()
def ingest(
    source: Annotated[list[str], typer.Argument(help=SOURCES)],
    store: StorePath,
    quiet: Quiet = False,
) -> None:
    """Read product files into a store, one group each."""
    from insar_dask.pipeline import opened

    settings = _settings(store)
    files = settings.source.model_copy(update={"files": source})
    with opened(settings.model_copy(update={"source": files}), quiet=quiet) as bench:
        for path in bench.sources():
            typer.echo(f"{store}/{bench.ingest(path)}/raw")


@app.command()
def products(store: StorePath, quiet: Quiet = False) -> None:
    """Make regular dates, smoothed series, motion parameters, and trend, season and residual."""

    def step(bench: Any, product: str) -> None:
        bench.prepare(product)
        bench.decompose(product)

    _each(store, quiet, step)


@app.command()
def cluster(store: StorePath, quiet: Quiet = False) -> None:
    """Find deformation patterns, and label every point."""
    _each(store, quiet, lambda bench, product: bench.find_patterns(product))


@app.command()
def tiles(
    source: Annotated[list[str], typer.Argument(help=f"stores, STORE/PRODUCT, or {SOURCES}, which go into STORE")],
    store: StorePath,
    pixels: Annotated[int, typer.Option(help="pixels a side that points are interpolated to")] = 256,
    cells: Annotated[int, typer.Option(help="cells a side, each a mean of pixels")] = 64,
    extent: Annotated[
        list[str] | None, typer.Option(metavar="TILE=W,S,E,N", help="square [m] of a tile that is not mapped whole")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Map points onto the cells of tiles: one cube of maps for all that is named, in a store."""
    from insar_dask.jobs.tile_jobs import is_stored, store_tiles, tile_sources
    from insar_dask.objects import child_address
    from insar_dask.pipeline import opened

    extents = _extents(extent or [])
    settings, stores = _settings(store), [one for one in source if is_stored(one)]
    files = settings.source.model_copy(update={"files": [one for one in source if one not in stores]})
    with opened(settings.model_copy(update={"source": files}), quiet=quiet) as bench:
        read = [child_address(store, bench.ingest(path)) for path in bench.sources()] if files.files else []
        found = dict.fromkeys(cube for one in [*stores, *read] for cube in tile_sources(one))
        report = store_tiles(bench.engine, list(found), pixels=pixels, cells=cells, extents=extents)
    typer.echo(f"{store}/{report.stage}: {report.shards} tiles, {report.computed} made now")


@app.command()
def evaluate(store: StorePath, quiet: Quiet = False) -> None:
    """Score all forecasters over rolling origins; print the table."""
    from insar_dask.forecast.scores import Scores

    def step(bench: Any, product: str) -> None:
        scores = Scores.from_json(json.dumps(bench.evaluate(product)))
        typer.echo("\n\n".join(scores.table(protocol) for protocol in scores.tables))

    _each(store, quiet, step)


@app.command()
def train(
    store: StorePath,
    model: Annotated[Path | None, typer.Option(help="folder for the forecaster; default: PRODUCT-METHOD there")] = None,
    method: Annotated[str, typer.Option(help="a forecaster, or best: kriging, or what is surely better")] = "best",
    context: Annotated[int | None, typer.Option(help="dates that are read; unset: 24, of maps 10")] = None,
    horizon: Annotated[int | None, typer.Option(help="dates ahead; unset: 6, of maps 10")] = None,
    steps: Annotated[int | None, typer.Option(help="most steps that a network is trained; unset: its usual")] = None,
    ranks: Annotated[int | None, typer.Option(help="workers that train a network together; unset: none")] = None,
    maps: Annotated[bool, typer.Option("--maps", help="learn the store's tiles; networks of maps always do")] = False,
    quiet: Quiet = False,
) -> None:
    """Train a forecaster on a store, score it honestly, and keep it as a folder."""
    from insar_dask.forecast import Forecaster
    from insar_dask.forecast.choices import MAP_STEPS
    from insar_dask.objects import beside

    training = None if steps is None else {"max_steps": steps}
    wanted = Forecaster(method, context=context, horizon=horizon, training=training)
    if maps or wanted.maps:
        usual = MAP_STEPS[0] if context is None else context, MAP_STEPS[1] if horizon is None else horizon
        wanted.set_params(context=usual[0], horizon=usual[1])
        _train_maps(store, wanted, model or beside(store).parent / f"tiles-{method}", ranks, quiet)
        return

    def step(bench: Any, product: str) -> None:
        folder = beside(store).parent / f"{product}-{method}" if model is None else _folder(bench, product, model)
        fitted = bench.train(product, wanted, folder, ranks)
        typer.echo(f"{fitted.scores_.table()}\n{folder}")

    _each(store, quiet, step)


@app.command()
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
    _each(store, quiet, step if model is None else lambda bench, product: _predict(bench, product, store, model))


@app.command()
def report(store: StorePath, quiet: Quiet = False) -> None:
    """Write page, maps and exports beside a store that is done, and the page of its tiles, where they are wanted."""
    from insar_dask.jobs.status import existing_store
    from insar_dask.outcomes import map_outcome, publish
    from insar_dask.pipeline import opened

    with opened(_settings(existing_store(store)), quiet=quiet) as bench:
        for product in bench.products:
            typer.echo(str(publish(bench, product)))
        if bench.config.maps.method != "none":
            typer.echo(str(map_outcome(bench).report))


@app.command("synthetic-tiles")
def synthetic_tiles(
    folder: Annotated[Path, typer.Argument(help="folder for the six zip files", metavar="FOLDER")],
    points: Annotated[int, typer.Option(help="cells of each tile")] = 100_000,
    seed: Annotated[int, typer.Option(help="equal seeds give equal files")] = 0,
    quiet: Quiet = False,
) -> None:
    """Write six made-up EGMS tiles: what maps are forecast on, where no real ones are at hand."""
    from insar_dask.jobs.watch import Progress
    from insar_dask.synthetic import TILES, write_egms_tiles

    with Progress("write six tiles", len(TILES) * points, quiet=quiet) as bar:

        def tell(name: str, done: int, _: int) -> None:
            before = list(TILES).index(name) * points
            bar.show(before + done, before + done)

        for path in write_egms_tiles(folder, points, seed=seed, progress=tell):
            typer.echo(str(path))


@app.command()
def catalogue(
    source: Annotated[list[str], typer.Argument(help="EGMS zip or csv files, folders of them, or globs in quotes")],
) -> None:
    """List EGMS products by tile or burst, as their names have it; no file is opened."""
    from insar_dask.tiles import catalogue as found
    from insar_dask.tiles import catalogue_table

    typer.echo(catalogue_table(found(source)))


@app.command()
def status(
    store: StorePath,
    html: Annotated[bool, typer.Option("--html", help="write the page of a run's chunk jobs beside the store")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="show a run here until it has ended")] = False,
    run: Annotated[str | None, typer.Option(help="which run of the store's history; default: the last")] = None,
) -> None:
    """Show what is done in a store or in a folder of stores, or how a run of it goes; needs no scheduler."""
    from insar_dask.campaign import campaign_table, holds_campaign
    from insar_dask.jobs.status import status_table

    if html:
        from insar_dask.dashboard.kept import write_page

        typer.echo(str(write_page(store, run)))
    elif watch:
        from insar_dask.jobs.live_view import watch_store

        watch_store(store, run)
    else:
        typer.echo(campaign_table(store) if holds_campaign(store) else status_table(store))


@app.command()
def verify(store: StorePath) -> None:
    """Name the shards, receipts, states and notes that are damaged; the next run rebuilds them."""
    from insar_dask.jobs.status import damaged, damaged_documents

    found, documents = damaged(store), damaged_documents(store)
    for target, shards in found.items():
        typer.echo(f"{target}: damaged shards {', '.join(map(str, shards))}")
    for key in documents:
        typer.echo(f"{key}: damaged")
    if found or documents:
        raise typer.Exit(1)
    typer.echo("every shard holds the bytes of its receipt")


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


def _folder(bench: Any, product: str, model: Path) -> Path:
    """Where a product's forecaster lies: of several products each has a folder of its name."""
    return model / product if len(bench.products) > 1 and not (model / "card.json").exists() else model


def _predict(bench: Any, product: str, store: str | Path, model: Path) -> None:
    from insar_dask.forecast import Forecaster

    note = bench.predict(product, Forecaster.load(_folder(bench, product, model)))
    typer.echo(f"{store}/{product}/predicted: {note['n_points']:,} points by {note['method']}")
    if note["points_without_forecast"]:
        typer.echo(f"{note['points_without_forecast']:,} of them have too little of a history and are NaN")


def _train_maps(store: str | Path, wanted: Any, folder: Path, ranks: int | None, quiet: bool) -> None:
    from insar_dask.jobs.opening import tiles_group
    from insar_dask.pipeline import opened

    group = tiles_group(store)
    with opened(_settings(store), quiet=quiet) as bench:
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
    with opened(_settings(store), quiet=quiet) as bench:
        outcome = foresee_maps(bench, group, model, folder)
    typer.echo("\n".join([*outcome.summary, str(outcome.report)]))
    return True


def _settings(store: str | Path) -> Config:
    """The configuration kept beside a store, or the defaults."""
    from insar_dask.config import load_config, parse_config
    from insar_dask.pipeline import kept_config

    kept = kept_config(store)
    config = load_config(kept) if kept.exists() else parse_config({})
    return _placed(config.model_copy(update={"store": config.store.model_copy(update={"path": str(store)})}))


def _placed(config: Config) -> Config:
    """The configuration with the settings that were given before the verb."""
    from insar_dask.config import with_cluster

    return with_cluster(config, WHERE.get()) if WHERE.get() else config


def _each(store: str | Path, quiet: bool, step: Any) -> None:
    from insar_dask.jobs.status import existing_store
    from insar_dask.pipeline import opened

    with opened(_settings(existing_store(store)), quiet=quiet) as bench:
        for product in bench.products:
            step(bench, product)


def _run(config: Config, quiet: bool) -> None:
    from insar_dask.pipeline import run as run_pipeline

    outcomes = run_pipeline(_placed(config), quiet=quiet)
    for outcome in outcomes:
        if len(outcomes) > TOLD_WHOLE:
            typer.echo(f"{outcome.product}  {outcome.report}")
            continue
        typer.echo(outcome.product)
        for what, where in {"cube": outcome.store, "maps": outcome.report.parent, "report": outcome.report}.items():
            typer.echo(f"  {what:<8}{where}")
        for line in outcome.summary:
            typer.echo(f"  {line}")


def main() -> None:
    """Entry point: exit 0 done, 1 the data or the configuration is wrong, 2 usage."""
    try:
        app()
    except (ValueError, OSError, RuntimeError, ImportError, MemoryError) as error:
        typer.echo(f"insar-dask: {error}", err=True)
        sys.exit(1)
