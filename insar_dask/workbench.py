"""The steps of a run on one store, each of which does only what is not done."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from insar_dask.addresses import beside
from insar_dask.cluster.learning import TooFewSeriesError
from insar_dask.config import Config
from insar_dask.cube import CubeError
from insar_dask.forecast.model_folder import OlderModelError
from insar_dask.forecast.timetable import TooShortError
from insar_dask.forecast.training.hold import remove_trainings
from insar_dask.foresight import sees_future
from insar_dask.inversion.reference import pixel_at
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.forecasting.evaluation import evaluate, forecast
from insar_dask.jobs.forecasting.prediction import fit_product, predict_product
from insar_dask.jobs.lineage import data_of, require_current, scores_of
from insar_dask.jobs.opening import open_tiles
from insar_dask.jobs.pairs.inversion_jobs import store_series
from insar_dask.jobs.progress.watch import Progress
from insar_dask.jobs.recipe import Stage, Step
from insar_dask.jobs.steps.cube_ingest import INTERFEROGRAMS, ingest_cube, product_of, target_of
from insar_dask.jobs.steps.ingest import ingest
from insar_dask.jobs.steps.patterns import fit_patterns, label_patterns
from insar_dask.jobs.steps.rejected import fetch_rejected
from insar_dask.jobs.steps.tile_jobs import store_tiles, tile_sources
from insar_dask.objects import get_bytes
from insar_dask.readers.bucket_file import SourceFile
from insar_dask.readers.delays import read_delays
from insar_dask.readers.recognise import reader_of
from insar_dask.readers.temperature import read_temperature
from insar_dask.sources import named_products
from insar_dask.store import open_group, products

if TYPE_CHECKING:
    import xarray as xr

    from insar_dask.forecast.forecaster import Forecaster

__all__ = ["SeesFutureError", "Workbench"]

TO_PASS = (
    'in a configuration (`insar-dask config`) "pass" is a line under [source], for `insar-dask run`:\n'
    '[source]\nfiles = ["{source}"]\nreader = "{reader}"\noptions = {{ {options} }}'
)
"""What a reader's arguments are to one who has no Python before him."""

BY_VERB = "with `insar-dask invert`: {names}\n"


class SeesFutureError(CubeError):
    """Values of a product have seen the dates that they would be forecast for."""


@dataclass(frozen=True)
class Workbench:
    """The steps of a run on one store, each of which does only what is not done."""

    config: Config
    store: Path | str
    """Folder, or address of a bucket."""
    engine: Engine

    @property
    def folder(self) -> Path:
        """Where pages, exports and forecasters go: beside the store, of a bucket the working directory."""
        return Path(self.config.store.folder).absolute() if self.config.store.folder else beside(self.store).parent

    @property
    def products(self) -> list[str]:
        """Products in the store."""
        return products(self.store)

    def sources(self) -> list[SourceFile]:
        """Product files of the configuration; the synthetic one is written where none is named."""
        if not self.config.source.files:
            return [] if self.config.east_up.tracks else [self._synthetic()]
        return list(named_products(self.config.source).values())

    def read(self, source: SourceFile) -> str:
        """Read a product file into the store; returns the group."""
        product = self.ingest(source)
        return target_of(product, self._reader(source))

    def ingest(self, source: SourceFile, product: str | None = None) -> str:
        """Read a product file into the store; returns the product's name. Interferograms are not inverted yet."""
        reader, shard_points = self._reader(source), self.config.store.shard_points
        known = self.config.source.known(reader)
        product = product or (source.stem if reader == "egms" else product_of(source))
        if reader == "egms":
            ingest(self.engine, source, product, known, shard_points)
            return product
        try:
            ingest_cube(self.engine, str(source), product, reader, known, shard_points)
        except CubeError as error:
            _, _, asked = str(error).partition("pass ")
            if not (names := list(dict.fromkeys(re.findall(r"\b(\w+)=", asked)))):
                raise
            verb = BY_VERB.format(names=" ".join(f"--option {name}=..." for name in names))
            options = ", ".join(f'{name} = "..."' for name in names)
            cure = TO_PASS.format(reader=reader, source=source, options=options)
            cure = verb + cure if reader in INTERFEROGRAMS else cure
            raise CubeError(f"{error}\n{cure}") from error
        return product

    def invert(self, source: SourceFile, product: str, as_of: str | None = None) -> None:
        """Interferograms to displacement, as it is or was known on a day; what was read as such is left as it is."""
        if self._reader(source) not in INTERFEROGRAMS:
            return
        pairs, inversion = self.config.pairs, self.config.inversion
        options: dict[str, Any] = {"limits": pairs.limits(), **pairs.corrections(), **inversion.solving()}
        options |= {"disconnected": inversion.disconnected, "motion": {} if inversion.joint else None}
        if as_of is not None:
            options["as_of"] = as_of
        if pairs.place is not None:
            options["reference"] = pixel_at(self.group(product, "pairs"), *pairs.place)
        if pairs.delays is not None:
            options["delays"] = read_delays(pairs.delays, direction=pairs.delay_direction)
        if inversion.temperature is not None:
            options |= {"temperature": read_temperature(inversion.temperature), "alpha": inversion.alpha}
        store_series(self.engine, product, **options)

    def prepare(self, product: str) -> None:
        """Regular dates -> smooth -> displacement in all, and motion parameters: the results of one task a shard."""
        prepare = self.config.prepare
        every = {"every": self._every(product), "max_gap": prepare.max_gap}
        smooth = {"window": prepare.window, "order": prepare.order}
        steps = (
            Step("regularise", "raw", "regular", every),
            Step("savgol", "regular", "smooth", smooth),
            Step("cumulative_displacement", "smooth", "cumulative"),
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
        require_current(self.engine, f"{product}/{source}")
        try:
            fit_patterns(self.engine, product, source, **wanted | {"features": wanted["features"] or None})
        except TooFewSeriesError as error:
            self.engine.ledger.write_note(f"patterns/{product}", {"absent": str(error)})
            return
        label_patterns(self.engine, product)

    def decompose(self, product: str) -> None:
        """Trend, season and residual of every series, and what they come to, where they are wanted and can be had."""
        if "parts" in self.reasons(product):
            return
        wanted, source = self.config.decompose, f"{product}/{self.config.decompose.source}"
        steps = (
            Step(wanted.method, wanted.source, "parts", {"period": self._period(product)}),
            Step("component_variances", "parts", "variances"),
        )
        saves = {step.result: f"{product}/{step.result}" for step in steps}
        self.engine.run(Stage(f"{product}/decompose", source, steps, saves))

    def evaluate(self, product: str) -> dict[str, Any]:
        """Score all forecasters over rolling origins; SeesFutureError of east and up that cannot be told honestly."""
        self._check_unseen(product)
        return evaluate(self.engine, product, **self._forecasting(product))

    def forecast(self, product: str) -> None:
        """Forecast beyond the record with the first method of the ranking."""
        forecast(self.engine, product, self.config.forecast.threshold, **self._forecasting(product))

    def train(self, product: str, model: Forecaster, folder: Path, ranks: int | None = None) -> Forecaster:
        """Fit a forecaster on all points, and keep it in a folder; SeesFutureError as of `evaluate`."""
        self._check_unseen(product)
        fitted = fit_product(self.engine, product, model, ranks=ranks)
        fitted.save(folder)
        return fitted

    def predict(self, product: str, model: Forecaster) -> dict[str, Any]:
        """Forecast beyond the record with a fitted forecaster, into ``PRODUCT/predicted``; returns what it came to."""
        return predict_product(self.engine, product, model)

    def map_tiles(self) -> str:
        """Map all products onto the cells of tiles; returns the group of their cube."""
        maps, sources = self.config.maps, tile_sources(self.store)
        sizes: dict[str, Any] = {"pixels": maps.pixels, "cells": maps.cells, "extents": maps.extents}
        return store_tiles(self.engine, sources, **sizes).stage

    def learn_maps(
        self, group: str, wanted: Forecaster, folder: Path, learn: Sequence[str] = (), ranks: int | None = None
    ) -> Forecaster:
        """Train a forecaster of maps on the tiles named, or on all, unless its folder holds what came of just that.

        Until it is saved, checkpoints lie in a folder beside, which ends in ``-training``.
        """
        tiles = open_tiles(self.store, group)
        if strange := set(learn) - set(tiles["tile"].values.tolist()):
            names = ", ".join(map(str, tiles["tile"].values))
            raise CubeError(f"[maps] learn names {', '.join(sorted(strange))}, and the tiles are {names}")
        chosen = tiles.sel(tile=list(learn)) if learn else tiles
        checkpoints = beside(folder.resolve(), "-training")
        fitted = _learned_before(folder, chosen, wanted)
        if fitted is None:
            fitted = wanted.fit(
                chosen,
                client=None if ranks is None else self.engine.client,
                ranks=ranks,
                checkpoints=checkpoints if wanted.trains else None,
                progress=(lambda _: None) if self.engine.quiet else None,
            )
            fitted.save(folder)
        if wanted.trains:
            remove_trainings(checkpoints)
        return fitted

    def foresee(self, product: str) -> None:
        """Score and forecast; of a record that is too short, or has seen its future, keep why there is neither."""
        try:
            self.evaluate(product)
        except (TooShortError, SeesFutureError) as error:
            note = {"absent": str(error), "data": data_of(self.engine, f"{product}/raw")}
            self.engine.ledger.write_note(f"scores/{product}", note)
            return
        self.forecast(product)

    def reasons(self, product: str) -> dict[str, str]:
        """Why a part of the results is not there, by its name in the report."""
        reasons, method = {}, self.config.decompose.method
        patterns = self.engine.ledger.read_note(f"patterns/{product}") or {}
        if not self.config.patterns.n_clusters:
            reasons["patterns"] = "patterns are switched off: [patterns] n_clusters = 0"
        elif "absent" in patterns:
            reasons["patterns"] = f"no patterns: {patterns['absent']}"
        elif get_bytes(self.engine.store, f"{product}/patterns/zarr.json") is None:
            reasons["patterns"] = "no patterns: they were not looked for; run `insar-dask cluster`"
        n_dates, period = self.group(product, "smooth").sizes["time"], self._period(product)
        if method == "none":
            reasons["parts"] = 'decomposition is switched off: [decompose] method = "none"'
        elif self.config.decompose.period is None and n_dates < 2 * period:
            reasons["parts"] = f"not decomposed: {n_dates} regular dates are fewer than two years of {period}"
        scores, absent = self.scores(product)
        if scores is None:
            reasons["scores"] = absent
        return reasons

    def _period(self, product: str) -> int:
        return self.config.decompose.period or self.config.prepare.dates_a_year(product)

    def scores(self, product: str) -> tuple[dict[str, Any] | None, str]:
        """The scores, or None and why."""
        return scores_of(self.engine, product)

    def group(self, product: str, stage: str) -> Any:
        """A stage of a product, whole and lazy; LackingError where it was made of other displacement than there is."""
        require_current(self.engine, f"{product}/{stage}")
        return open_group(self.engine.store, f"{product}/{stage}")

    def ingested(self, product: str) -> dict[str, Any]:
        """What ingestion noted of a product."""
        fetch_rejected(self.store, product)
        return self.engine.ledger.read_note(f"ingest/{product}") or {}

    def _check_unseen(self, product: str) -> None:
        """Refuse east and up of tracks that cannot be forecast honestly."""
        raw = open_group(self.engine.store, f"{product}/raw")
        if raw.attrs.get("product") != "east_up" or not sees_future(raw):
            return
        days = sees_future(raw)
        seen = "the whole series" if days < 0 else f"{days} days of the future"
        raise SeesFutureError(
            f"each value of {product} has seen {seen}, as the official recipe has it; an honest forecast takes "
            '[east_up] how = "previous" and anchor = "first", after `insar-dask east-up` --how previous --anchor '
            "first, and tracks that were not inverted from interferograms, whose values have seen all of these"
        )

    def _reader(self, source: SourceFile) -> str:
        return self.config.source.reader or reader_of(source)

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
        path = self.folder / f"{drawn.attrs['source'].split()[0]}.zip"
        note = path.with_suffix(".json")
        if not (path.exists() and note.exists() and note.read_text() == wanted):
            note.unlink(missing_ok=True)
            with Progress("write synthetic product", drawn.sizes["point"], quiet=self.engine.quiet) as progress:
                write_egms(path, drawn, progress=lambda done, _: progress.show(done, done))
            note.write_text(wanted)
        return path


def _learned_before(folder: Path, tiles: xr.Dataset, wanted: Forecaster) -> Forecaster | None:
    """What the folder holds, if that came of these tiles and is what is wanted; older networks learned otherwise."""
    if not (folder / "card.json").exists():
        return None
    with suppress(OlderModelError):
        kept = type(wanted).load(folder)
        if kept.learned_from(tiles, wanted):
            return kept
    return None
