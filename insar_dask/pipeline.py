"""The whole story on one screen: product files in; cubes, motion, scored forecasts, maps and a report out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from insar_dask.config import Config, load_config, to_toml
from insar_dask.jobs.engine import Engine, owned
from insar_dask.jobs.evaluation import evaluate_and_forecast
from insar_dask.jobs.ingest import ingest
from insar_dask.jobs.recipe import Stage, Step
from insar_dask.sessions import session
from insar_dask.store import open_group

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Outcome", "run"]


@dataclass(frozen=True)
class Outcome:
    """What one product came to, and where it lies."""

    product: str
    store: Path
    report: Path
    summary: tuple[str, ...]


def run(config: Config | str | Path, *, client: Client | None = None, quiet: bool = False) -> list[Outcome]:
    """Run a configuration: ingest, prepare, forecast, score, report; what is done already is not done again.

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
        One a product file.

    Raises
    ------
    ConfigError, CubeError, JobError, OSError
        Saying what is wrong and the cure; finished shards stay finished.
    """
    if not isinstance(config, Config):
        config = load_config(config)
    folder = Path(config.store.folder).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(to_toml(config), encoding="utf-8")
    store = folder / "cube.zarr"
    with owned(store), _client(config, client) as connected:
        outcomes = []
        for source in _sources(config, folder):
            engine = Engine(store, connected, quiet=quiet)
            outcomes.append(_run_product(config, engine, source, folder))
    return outcomes


def _run_product(config: Config, engine: Engine, source: Path, folder: Path) -> Outcome:
    product = source.stem
    ingest(engine, source, product, config.source.model_dump(exclude={"files"}), config.store.shard_points)
    engine.run(_prepare(config, product))
    scores = evaluate_and_forecast(engine, product, every=_every(config, product), **_forecast(config))
    report = _report(config, engine, product, scores, folder / product)
    return Outcome(product, folder / "cube.zarr", report, _summary(engine, product, scores))


def _prepare(config: Config, product: str) -> Stage:
    """Regular dates -> smooth, and motion parameters: three results of one task a shard."""
    every = {"every": _every(config, product), "max_gap": config.prepare.max_gap}
    smooth = {"window": config.prepare.window, "order": config.prepare.order}
    steps = (
        Step("regularise", "raw", "regular", every),
        Step("savgol", "regular", "smooth", smooth),
        Step("motion", "raw", "products"),
    )
    return Stage(f"{product}/prepare", f"{product}/raw", steps, {s.result: f"{product}/{s.result}" for s in steps})


def _every(config: Config, product: str) -> str:
    return config.prepare.every or ("6D" if product.startswith("EGMS_L3") else "12D")


def _forecast(config: Config) -> dict[str, Any]:
    settings = config.forecast.model_dump(exclude={"as_published"})
    return {**settings, "protocols": ("honest", "as_published") if config.forecast.as_published else ("honest",)}


def _sources(config: Config, folder: Path) -> list[Path]:
    from insar_dask.readers.egms import find_egms

    if config.source.files:
        return find_egms(config.source.files)
    return [_synthetic(config, folder)]


def _synthetic(config: Config, folder: Path) -> Path:
    """The synthetic product, written once: its bytes follow from the configuration."""
    from insar_dask.synthetic import scene, write_egms

    drawn = scene(**config.synthetic.model_dump())
    path = folder / f"{drawn.attrs['source'].split()[0]}.zip"
    note = folder / f"{path.stem}.json"
    wanted = config.synthetic.model_dump_json()
    if not (path.exists() and note.exists() and note.read_text() == wanted):
        note.unlink(missing_ok=True)
        write_egms(path, drawn)
        note.write_text(wanted)
    return path


@contextmanager
def _client(config: Config, client: Client | None) -> Iterator[Client | None]:
    if client is not None or config.cluster.workers == 0:
        yield client
        return
    with session(**config.cluster.model_dump()) as started:
        yield started


def _report(config: Config, engine: Engine, product: str, scores: dict[str, Any], folder: Path) -> Path:
    from insar_dask.report import write_report

    stages = ("raw", "products", "regular", "smooth", "forecast")
    cubes = {stage: open_group(engine.store, f"{product}/{stage}") for stage in stages}
    return write_report(
        folder,
        raw=cubes["raw"],
        products=cubes["products"].compute(),
        smooth=cubes["smooth"],
        forecast=cubes["forecast"],
        scores=scores,
        ingest=engine.ledger.read_note(f"ingest/{product}") or {},
        timings=[report.to_dict() for report in engine.reports],
        config_text=to_toml(config),
        title=f"{config.report.title}: {product}",
    )


def _summary(engine: Engine, product: str, scores: dict[str, Any]) -> tuple[str, ...]:
    """Three lines of result."""
    ingested = engine.ledger.read_note(f"ingest/{product}") or {}
    velocity = open_group(engine.store, f"{product}/products")["velocity"].compute()
    low, middle, high = velocity.quantile([0.05, 0.5, 0.95]).values
    best, honest = scores["default"], scores["tables"]["honest"]
    table = honest[best]
    return (
        f"{ingested['n_points']:,} points read, {ingested['n_rejected']} rows rejected",
        f"velocity {middle:+.1f} mm/yr (5-95 %: {low:+.1f} .. {high:+.1f})",
        f"forecast by {best}: RMSE {table['rmse_all']:.2f} mm over {scores['horizon']} steps "
        f"(persistence {honest['persistence']['rmse_all']:.2f}), "
        f"{table['coverage_all']:.0%} of truths inside the {scores['level']:.0%} interval",
    )
