"""The whole story on one screen: product files in; cubes, motion, scored forecasts, maps and a report out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from insar_dask.cluster.learning import TooFewSeriesError
from insar_dask.config import Config, Source, load_config, to_toml
from insar_dask.cube import CubeError
from insar_dask.forecast.timetable import TooShortError
from insar_dask.jobs.cube_ingest import ingest_cube, product_of
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.evaluation import evaluate, forecast
from insar_dask.jobs.ingest import ingest
from insar_dask.jobs.lock import owned
from insar_dask.jobs.patterns import fit_patterns, label_patterns
from insar_dask.jobs.pruning import prune_states
from insar_dask.jobs.recipe import Stage, Step
from insar_dask.jobs.watch import Progress
from insar_dask.readers.egms import find_egms
from insar_dask.sessions import session
from insar_dask.store import open_group, products

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Outcome", "Workbench", "kept_config", "opened", "run"]


OPTIONAL = {"patterns": "patterns", "parts": "parts", "variances": "parts"}
"""Group of a product that may not be there -> name of the reason why."""


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
    if config.report.exports:
        _check_exports()
    if config.source.files:
        _listed(config.source)
    outcomes = []
    with opened(config, client=client, quiet=quiet) as bench:
        for source in bench.sources():
            product = bench.ingest(source)
            bench.prepare(product)
            bench.find_patterns(product)
            bench.decompose(product)
            bench.foresee(product)
            page = bench.report(product)
            outcomes.append(Outcome(product, bench.store, page, bench.summary(product)))
        bench.index(outcomes)
        prune_states(bench.engine.ledger)
    return outcomes


def _listed(source: Source) -> list[Path]:
    """Sources of a configuration, one a product: EGMS files; of other readers what is named, folders and globs too."""
    return find_egms(source.files) if source.reader == "egms" else [Path(name) for name in source.files]


def _check_exports() -> None:
    """Say before the work, not after it, that GeoTIFF and GeoParquet cannot be written."""
    lacking = [name for name in ("geopandas", "pyarrow", "rasterio") if find_spec(name) is None]
    if lacking:
        raise ImportError(
            f"exports need {', '.join(lacking)}: pip install 'insar-dask[geo]', or set exports = false under [report]"
        )


@contextmanager
def opened(config: Config, *, client: Client | None = None, quiet: bool = False) -> Iterator[Workbench]:
    """Hold the configured store and cluster for a while; the configuration is kept beside the store."""
    path = Path(config.store.path).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    with owned(path), _cluster(config, client) as connected:
        kept_config(path).write_text(to_toml(config), encoding="utf-8")
        yield Workbench(config, path, Engine(path, connected, quiet=quiet))


def kept_config(store: Path) -> Path:
    """Where the configuration of a store's last run lies: beside it, under its name, so that no file of a user goes."""
    return store.with_name(f"{store.stem}-config.toml")


@contextmanager
def _cluster(config: Config, client: Client | None) -> Iterator[Client | None]:
    if client is not None or (config.cluster.workers == 0 and config.cluster.address is None):
        yield client
        return
    with session(**config.cluster.model_dump()) as started:
        yield started


@dataclass(frozen=True)
class Workbench:
    """The steps of a run on one store, each of which does only what is not done."""

    config: Config
    store: Path
    engine: Engine

    @property
    def products(self) -> list[str]:
        """Products in the store."""
        return products(self.store)

    def sources(self) -> list[Path]:
        """Product files of the configuration; the synthetic one is written where none is named."""
        if not self.config.source.files:
            return [self._synthetic()]
        found = _listed(self.config.source)
        files = {product_of(source): source for source in found}
        if twice := [source for source in found if files[product_of(source)] != source]:
            raise CubeError(f"{twice[0]} and {files[product_of(twice[0])]} would be one product: name only one of them")
        return found

    def ingest(self, source: Path) -> str:
        """Read a product file into the store; returns the product's name."""
        known, shard_points = self.config.source.known, self.config.store.shard_points
        if self.config.source.reader == "egms":
            ingest(self.engine, source, source.stem, known, shard_points)
            return source.stem
        product = product_of(source)
        ingest_cube(self.engine, source, product, self.config.source.reader, known, shard_points)
        return product

    def prepare(self, product: str) -> None:
        """Regular dates -> smooth, and motion parameters: three results of one task a shard."""
        prepare = self.config.prepare
        every = {"every": self._every(product), "max_gap": prepare.max_gap}
        smooth = {"window": prepare.window, "order": prepare.order}
        steps = (
            Step("regularise", "raw", "regular", every),
            Step("savgol", "regular", "smooth", smooth),
            Step("motion", "raw", "products"),
        )
        saves = {step.result: f"{product}/{step.result}" for step in steps}
        self.engine.run(Stage(f"{product}/prepare", f"{product}/raw", steps, saves))

    def find_patterns(self, product: str) -> None:
        """Cluster all points, and label each; of too few complete series, keep why there are no patterns."""
        wanted = self.config.patterns.model_dump()
        if not wanted["n_clusters"]:
            return
        source = "products" if wanted["features"] else "smooth"
        try:
            fit_patterns(self.engine, product, source, **wanted | {"features": wanted["features"] or None})
        except TooFewSeriesError as error:
            self.engine.ledger.write_note(f"patterns/{product}", {"absent": str(error)})
            return
        label_patterns(self.engine, product)

    def decompose(self, product: str) -> None:
        """Trend, season and residual of the smoothed series, what they come to, and the displacement in all."""
        steps = [Step("cumulative_displacement", "smooth", "cumulative")]
        if not self._reasons(product).get("parts"):
            period = self._period(product)
            steps.append(Step(self.config.decompose.method, "smooth", "parts", {"period": period}))
            steps.append(Step("component_variances", "parts", "variances"))
        saves = {step.result: f"{product}/{step.result}" for step in steps}
        self.engine.run(Stage(f"{product}/decompose", f"{product}/smooth", tuple(steps), saves))

    def evaluate(self, product: str) -> dict[str, Any]:
        """Score all forecasters over rolling origins."""
        return evaluate(self.engine, product, **self._forecasting(product))

    def forecast(self, product: str) -> None:
        """Forecast beyond the record with the method that validation prefers."""
        forecast(self.engine, product, self.config.forecast.threshold, **self._forecasting(product))

    def foresee(self, product: str) -> None:
        """Score and forecast; of a record that is too short, keep why there is neither."""
        try:
            self.evaluate(product)
        except TooShortError as error:
            self.engine.ledger.write_note(f"scores/{product}", {"absent": str(error)})
            return
        self.forecast(product)

    def report(self, product: str) -> Path:
        """Write the page, its figures and the exports into a folder beside the store."""
        from insar_dask.report import write_geoparquet, write_geotiff

        folder = self.store.parent / product
        folder.mkdir(exist_ok=True)
        motion = self._group(product, "products").compute()
        files = {"cube": self.store}
        if self.config.report.exports:
            files["map for GIS"] = write_geotiff(
                motion, folder / "motion.tif", resolution=self.config.report.resolution
            )
            files["points for GIS"] = write_geoparquet(self._with_outlook(product, motion), folder / "motion.parquet")
        with Progress(f"{product}/report", None, quiet=self.engine.quiet):
            return self._write_report(folder, product, motion, files)

    def _with_outlook(self, product: str, motion: Any) -> Any:
        """Motion parameters beside what the Gaussian process says, at its last lead, where it was asked."""
        if "gaussian_process" not in self.config.forecast.methods or not self._scores(product)[0]:
            return motion
        last = self._group(product, "outlook")[["velocity", "velocity_std", "exceedance"]].isel(lead=-1).compute()
        return motion.assign(
            {f"{name}_outlook": (values.dims, values.values, values.attrs) for name, values in last.items()}
        )

    def _write_report(self, folder: Path, product: str, motion: Any, files: dict[str, Path]) -> Path:
        from insar_dask.report import write_report

        scores, _ = self._scores(product)
        reasons = self._reasons(product)
        found = [name for name, of in OPTIONAL.items() if of not in reasons]
        return write_report(
            folder,
            raw=self._group(product, "raw"),
            products=motion,
            regular=self._group(product, "regular"),
            smooth=self._group(product, "smooth"),
            cumulative=self._group(product, "cumulative"),
            **{name: self._group(product, name) for name in found},
            forecast=self._group(product, "forecast") if scores else None,
            scores=scores,
            reasons=reasons,
            ingest={k: v for k, v in self._ingested(product).items() if k != "key"},
            timings=[report.to_dict() for report in self.engine.reports if report.stage.startswith(f"{product}/")],
            config_text=to_toml(self.config),
            title=f"{self.config.report.title if self.config.source.files else 'Synthetic scene'}: {product}",
            files=files,
        )

    def index(self, outcomes: list[Outcome]) -> None:
        """Write a page that leads to the reports, where there are several."""
        from insar_dask.report import write_index

        if len(outcomes) > 1:
            entries = [{"title": o.product, "path": o.report, "results": list(o.summary)} for o in outcomes]
            write_index(self.store.parent, entries, title=self.config.report.title)

    def summary(self, product: str) -> tuple[str, ...]:
        """Three lines of result, after what a user has to know first."""
        from insar_dask.report.alarms import alarms

        ingested, velocity = self._ingested(product), self._group(product, "products")["velocity"].values
        read = f"{ingested['n_points']:,} points read, {ingested['n_rejected']:,} rows rejected"
        lines = [read + (f", see {ingested['rejected']}" if ingested["n_rejected"] else "")]
        if np.isfinite(velocity).any():
            low, middle, high = np.nanquantile(velocity, [0.05, 0.5, 0.95])
            lines.append(
                f"velocity {middle:+.1f} mm/yr in the middle, {low:+.1f} to {high:+.1f} for 90 % of the points"
            )
        return (*(f"LOOK HERE: {alarm}" for alarm in alarms(velocity, ingested)), *lines, self._forecast_line(product))

    def _forecast_line(self, product: str) -> str:
        scores, absent = self._scores(product)
        if not scores:
            return f"no forecast: {absent}"
        best, table = scores["default"], scores["tables"]["honest"]
        return (
            f"forecast by {best}: RMSE {table[best]['rmse_all']:.2f} mm over {scores['horizon']} steps of "
            f"{scores['every_days']} days (persistence {table['persistence']['rmse_all']:.2f}); "
            f"{table[best]['coverage_all']:.0%} of what came lay in the {scores['level']:.0%} interval"
        )

    def _reasons(self, product: str) -> dict[str, str]:
        """Why a part of the results is not there, by its name in the report."""
        reasons, method = {}, self.config.decompose.method
        patterns = self.engine.ledger.read_note(f"patterns/{product}") or {}
        if not self.config.patterns.n_clusters:
            reasons["patterns"] = "patterns are switched off: [patterns] n_clusters = 0"
        elif "absent" in patterns:
            reasons["patterns"] = f"no patterns: {patterns['absent']}"
        n_dates, period = self._group(product, "smooth").sizes["time"], self._period(product)
        if method == "none":
            reasons["parts"] = 'decomposition is switched off: [decompose] method = "none"'
        elif self.config.decompose.period is None and n_dates < 2 * period:
            reasons["parts"] = f"not decomposed: {n_dates} regular dates are fewer than two years of {period}"
        scores, absent = self._scores(product)
        if scores is None:
            reasons["scores"] = absent
        return reasons

    def _period(self, product: str) -> int:
        return self.config.decompose.period or self.config.prepare.dates_a_year(product)

    def _scores(self, product: str) -> tuple[dict[str, Any] | None, str]:
        """The scores, or None and why."""
        note = self.engine.ledger.read_note(f"scores/{product}")
        if note is None or "absent" in note:
            return None, (note or {}).get("absent", "it was not evaluated; run `insar-dask evaluate`")
        return note, ""

    def _group(self, product: str, stage: str) -> Any:
        self.engine.require(f"{product}/{stage}")
        return open_group(self.engine.store, f"{product}/{stage}")

    def _ingested(self, product: str) -> dict[str, Any]:
        return self.engine.ledger.read_note(f"ingest/{product}") or {}

    def _every(self, product: str) -> str:
        return self.config.prepare.spacing(product)

    def _forecasting(self, product: str) -> dict[str, Any]:
        settings = self.config.forecast.model_dump(exclude={"as_published", "threshold"})
        protocols = ("honest", "as_published") if self.config.forecast.as_published else ("honest",)
        return {**settings, "every": self._every(product), "protocols": protocols}

    def _synthetic(self) -> Path:
        """The synthetic product beside the store, written once: its bytes follow from the configuration."""
        from insar_dask.synthetic import scene, write_egms

        wanted = self.config.synthetic.model_dump_json()
        drawn = scene(**self.config.synthetic.model_dump())
        path = self.store.parent / f"{drawn.attrs['source'].split()[0]}.zip"
        note = path.with_suffix(".json")
        if not (path.exists() and note.exists() and note.read_text() == wanted):
            note.unlink(missing_ok=True)
            with Progress("write synthetic product", drawn.sizes["point"], quiet=self.engine.quiet) as progress:
                write_egms(path, drawn, progress=lambda done, _: progress.show(done, done))
            note.write_text(wanted)
        return path
