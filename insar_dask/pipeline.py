"""The whole story on one screen: product files in; cubes, motion, scored forecasts, maps and a report out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from insar_dask.addresses import beside
from insar_dask.bucket_address import bucket_address, is_bucket
from insar_dask.campaign import Campaign, is_campaign
from insar_dask.config import Config, load_config, to_toml
from insar_dask.ground_planning import check_tracks
from insar_dask.ground_steps import area_outcomes, meet
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.holding.lock import owned, unused_gone
from insar_dask.jobs.pruning import prune_states
from insar_dask.jobs.steps.east_up_jobs import track_sources
from insar_dask.objects import keep_text
from insar_dask.outcomes import Outcome, map_outcome, publish, publish_index, summary
from insar_dask.sessions import session
from insar_dask.sources import listed
from insar_dask.workbench import Workbench

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Outcome", "kept_config", "opened", "products_of", "run"]


def run(config: Config | str | Path, *, client: Client | None = None, quiet: bool = False) -> list[Outcome]:
    """Run a configuration: ingest, invert, prepare, forecast, score, report; what is done already is not done again.

    Parameters
    ----------
    config : Config, str or Path
        Configuration, or the TOML file that holds it.
    client : distributed.Client, optional
        Cluster to use instead of the one that the configuration describes.
    quiet : bool
        No progress bars.

    Returns
    -------
    list of Outcome
        One a product file, and one of all tiles where maps are wanted.

    Raises
    ------
    ConfigError, CubeError, JobError, OSError
        Saying what is wrong and the cure; finished shards stay finished.
    """
    if not isinstance(config, Config):
        config = load_config(config)
    if config.report.exports:
        _check_exports()
    if config.source.files:
        listed(config.source)
    if not is_campaign(config):
        return _run_store(config, client, quiet=quiet)
    campaign = Campaign(config, quiet=quiet)
    with _cluster(config, client) as shared:
        outcomes = campaign.run(lambda one: _run_store(one, shared, quiet=True), shared)
    publish_index(Path(config.store.folder or beside(campaign.book).parent), outcomes, config.report.title)
    return outcomes


def _run_store(config: Config, client: Client | None, *, quiet: bool) -> list[Outcome]:
    outcomes = []
    with opened(config, client=client, quiet=quiet) as bench:
        for product in products_of(bench):
            bench.prepare(product)
            bench.find_patterns(product)
            bench.decompose(product)
            bench.foresee(product)
            page = publish(bench, product)
            outcomes.append(Outcome(product, bench.store, page, summary(bench, product)))
        if bench.config.areas.method != "none":
            outcomes += area_outcomes(bench, [outcome.product for outcome in outcomes])
        if bench.config.maps.method != "none":
            outcomes.append(map_outcome(bench))
        publish_index(bench.folder, outcomes, config.report.title)
        prune_states(bench.engine.ledger)
    return outcomes


def products_of(bench: Workbench) -> Iterator[str]:
    """Products as they are there to be worked on: of each file, and east and up of them where that is wanted."""
    wanted, tracks, sources = bench.config.east_up, [], bench.sources()
    if wanted.name is not None:
        check_tracks(len(sources), sum(len(track_sources(track)) for track in wanted.tracks))
    for source in sources:
        product = bench.ingest(source)
        bench.invert(source, product)
        tracks.append(product)
        if wanted.name is None or not wanted.alone:
            yield product
    if wanted.name is not None:
        yield from meet(bench, tracks)


def _check_exports() -> None:
    """Say before the work, not after it, that GeoTIFF and GeoParquet cannot be written."""
    lacking = [name for name in ("geopandas", "pyarrow", "rasterio") if find_spec(name) is None]
    if lacking:
        raise ImportError(
            f"exports need {', '.join(lacking)}: pip install 'insar-dask[geo]', or set exports = false under [report]"
        )


@contextmanager
def opened(
    config: Config, *, client: Client | None = None, quiet: bool = False, one_use: bool = False
) -> Iterator[Workbench]:
    """Hold the configured store and cluster for a while; the configuration is kept beside the store.

    Where a store is begun for ``one_use`` and is refused that, nothing of it is left.
    """
    for file in filter(is_bucket, config.source.files):
        bucket_address(file)  # one that holds a secret is refused before it is kept
    path = config.store.place
    beside(path).parent.mkdir(parents=True, exist_ok=True)
    kept = unused_gone(path, kept_config(path)) if one_use else nullcontext()
    with owned(path), kept, _cluster(config, client) as connected, Engine(path, connected, quiet=quiet) as engine:
        keep_text(kept_config(path), to_toml(config.lasting))
        bench = Workbench(config, path, engine)
        bench.folder.mkdir(parents=True, exist_ok=True)
        yield bench


def kept_config(store: str | Path) -> Path:
    """Where the configuration of a store's last run lies: beside it, under its name, so that no file of a user goes."""
    return beside(store, "-config.toml")


@contextmanager
def _cluster(config: Config, client: Client | None) -> Iterator[Client | None]:
    if client is not None or config.cluster.alone:
        yield client
        return
    with session(**config.cluster.model_dump()) as started:
        yield started
