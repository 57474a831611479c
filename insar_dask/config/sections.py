"""The sections of a configuration, checked. Every default stands here, once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, field_validator, model_validator

from insar_dask.bucket_address import is_bucket
from insar_dask.config.alarms import Alarms
from insar_dask.config.ground import AreaSearch, EastUp
from insar_dask.config.interferograms import Inversion, Pairs
from insar_dask.config.places import PRODUCT, Cluster, Cost, Store
from insar_dask.config.section import Option, Section
from insar_dask.forecast.catalogue import FORECASTERS, MAPPED, METHODS

__all__ = ["Config", "ConfigError"]


class ConfigError(ValueError):
    """A configuration is wrong; the message names the key and the cure."""


def said_by_egms(options: dict[str, Any]) -> str:
    """Why EGMS files take no options."""
    return f"EGMS files say all themselves: leave options = {options} out, or name another reader"


class Source(Section):
    """What is read."""

    files: list[str] = Field(
        [],
        description="EGMS zip or csv files (also s3://), MintPy series, NetCDF, folders, globs, interferograms; empty: "
        "the scene below",
    )
    reader: Literal["egms", "mintpy", "raster", "psi_csv", "ifgram_stack", "pairs"] | None = Field(
        None,
        description="egms, mintpy, raster (a folder or glob of GeoTIFFs is one), psi_csv; of interferograms "
        "ifgram_stack (MintPy) or pairs (GeoTIFF, GAMMA, ROI_PAC); unset: by the files",
    )
    options: dict[str, Option] = Field(
        {}, description='what files of other readers do not say, such as {track = "022", units = "mm"}'
    )
    area: str | list[float] | None = Field(
        None, description="GeoJSON/GeoPackage file of an area, or [west, south, east, north] in the cube's metres"
    )
    min_coherence: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="leave out points of a smaller temporal coherence (where the files have one)"
    )
    max_rejected: float = Field(0.01, ge=0, le=1, description="stop when a larger share of the rows cannot be read")

    @model_validator(mode="after")
    def _has_what_it_reads(self) -> Self:
        if self.options and (self.reader == "egms" or not self.files):
            raise ValueError(said_by_egms(self.options))
        if self.reader not in (None, "egms") and not self.files:
            raise ValueError(f"reader {self.reader!r} needs files")
        return self

    def known(self, reader: str) -> dict[str, Any]:
        """Keyword arguments of a reader."""
        if reader == "egms" and self.options:
            raise ConfigError(f"source: {said_by_egms(self.options)}")
        known = self.model_dump(exclude={"files", "reader", "options"})
        if reader in ("ifgram_stack", "pairs") and known.pop("min_coherence") is not None:
            raise ConfigError(
                "source.min_coherence is of displacement: for interferograms set it under [pairs], and for the points "
                "under [inversion]"
            )
        return {**known, **self.options}


class Synthetic(Section):
    """The scene that is written and read where no file is given."""

    kind: Literal["l2b", "l3u", "l3e", "chumar", "bowls", "fronts", "slopes"] = Field(
        "l2b", description="like which product"
    )
    n_points: int = Field(20_000, ge=1, description="points")
    n_dates: int = Field(210, ge=20, description="dates")
    seed: int = Field(0, ge=0, description="the same seed gives the same scene")


class Prepare(Section):
    """Regular dates and smoothing, for pictures and clusters; forecasts never see them."""

    every: str | None = Field(None, description='spacing of the regular dates; unset: "6D" for L3, "12D" else')
    max_gap: str = Field("60D", description="longer gaps stay missing")
    window: int = Field(11, ge=3, description="Savitzky-Golay window in dates, odd")
    order: int = Field(2, ge=0, description="Savitzky-Golay polynomial order")

    @field_validator("every", "max_gap")
    @classmethod
    def _is_duration(cls, text: str | None) -> str | None:
        if text is not None and not re.fullmatch(r"[1-9]\d* ?D", text):
            raise ValueError('wanted a whole number of days such as "12D"')
        return text

    @field_validator("window")
    @classmethod
    def _is_odd(cls, window: int) -> int:
        if window % 2 == 0:
            raise ValueError("wanted an odd number of dates")
        return window

    @model_validator(mode="after")
    def _fits_the_window(self) -> Self:
        if self.order >= self.window:
            raise ValueError(f"order {self.order} must be smaller than window {self.window}")
        return self

    def spacing(self, product: str) -> str:
        """Spacing of the regular dates of a product."""
        return self.every or ("6D" if product.startswith("EGMS_L3") else "12D")

    def dates_a_year(self, product: str) -> int:
        """Regular dates of a product in a year: 30 of 12 days, 61 of 6."""
        return round(365.25 / int(self.spacing(product).removesuffix("D")))


class Patterns(Section):
    """Deformation patterns: k-means of all points."""

    n_clusters: int = Field(8, ge=0, le=100, description="patterns; 0: none")
    features: list[str] = Field(
        [], description='motion parameters to cluster by, such as ["velocity", "seasonality"]; empty: smoothed series'
    )
    standardise: bool = Field(False, description="give every date or parameter the same weight")
    random_state: int = Field(0, ge=0, description="seed of the sample and of the starts")


class Decompose(Section):
    """Trend, season and residual of every series; they see the whole record."""

    method: Literal["holt_winters", "stl", "none"] = Field("holt_winters", description="holt_winters, stl or none")
    source: Literal["smooth", "regular"] = Field(
        "smooth", description="smooth: as published, hardly any residual is left; regular: the residual holds the noise"
    )
    period: int | None = Field(None, ge=2, description="regular dates in a season; unset: those of a year")


class Forecast(Section):
    """Forecast and its honest evaluation."""

    horizon: int | None = Field(None, ge=1, description="steps ahead; unset: 10 for L3, 6 else")
    methods: list[str] = Field(list(METHODS), description="are scored; kriging forecasts, or one that is surely better")
    level: float = Field(0.9, gt=0, lt=1, description="level of the prediction intervals")
    threshold: float = Field(-20.0, description="mm; the outlook says how likely it is passed (negative: from above)")
    test_fraction: float = Field(0.2, gt=0, lt=0.5, description="last part of the record that origins roll over")
    stride: int = Field(3, ge=1, description="every how many dates an origin is scored")
    as_published: bool = Field(True, description="also score with filters that see the future, named as leaking")

    @field_validator("methods")
    @classmethod
    def _are_known(cls, methods: list[str]) -> list[str]:
        if not methods or not set(methods) <= set(FORECASTERS):
            raise ValueError(f"wanted one or more of {', '.join(FORECASTERS)}")
        return methods


class Maps(Section):
    """Products as tiles of maps, and what forecasts them."""

    method: str = Field("none", description="kriging, mmstt, another forecaster, or none: no maps are made")
    learn: list[str] = Field([], description="tiles that are learned from, all are forecast; empty: all of them")
    steps: int | None = Field(None, ge=1, description="most steps that a network is trained; unset: its usual")
    pixels: int = Field(256, ge=1, description="pixels a side that points are interpolated to")
    cells: int = Field(64, ge=1, description="cells a side, each a mean of pixels")
    extents: dict[str, tuple[float, float, float, float]] = Field(
        {}, description="square of a tile that is not mapped whole: {E45N17 = [west, south, east, north]}, metres"
    )

    @field_validator("method")
    @classmethod
    def _is_known(cls, method: str) -> str:
        if method not in (*METHODS, *MAPPED, "none"):
            raise ValueError(f"wanted none, or one of {', '.join((*METHODS, *MAPPED))}")
        return method

    @model_validator(mode="after")
    def _has_a_network_for_its_steps(self) -> Self:
        if self.steps is not None and self.method not in (*MAPPED, "none"):
            raise ValueError(
                f"steps are those of a network's training, and {self.method} trains none: leave them out, or take "
                f"{' or '.join(MAPPED)}"
            )
        return self


class Report(Section):
    """Page, maps and exports."""

    title: str = Field("Ground motion", description="title of the page")
    min_coherence: float = Field(0.3, ge=0, lt=1, description="the page shows points of a higher temporal coherence")
    resolution: float | None = Field(
        None, ge=1, description="cell of the exported maps in metres; unset: a raster's own grid, else 100"
    )
    exports: bool = Field(True, description="also write GeoTIFF and GeoParquet (needs the geo extra)")


class Config(Section):
    """A whole run."""

    source: Source = Source()
    synthetic: Synthetic = Synthetic()
    store: Store = Store()
    pairs: Pairs = Pairs()
    inversion: Inversion = Inversion()
    east_up: EastUp = EastUp()
    prepare: Prepare = Prepare()
    patterns: Patterns = Patterns()
    decompose: Decompose = Decompose()
    forecast: Forecast = Forecast()
    alarms: Alarms = Alarms()
    areas: AreaSearch = AreaSearch()
    maps: Maps = Maps()
    report: Report = Report()
    cluster: Cluster = Cluster()
    cost: Cost = Cost()
    _kept_cluster: Cluster | None = PrivateAttr(None)

    def for_once(self, cluster: Cluster) -> Self:
        """The same where the work runs elsewhere, for one call: `lasting` does not know of it."""
        changed = self.model_copy(update={"cluster": cluster})
        changed._kept_cluster = self._kept_cluster or self.cluster
        return changed

    @property
    def lasting(self) -> Self:
        """What is kept beside a store."""
        return self if self._kept_cluster is None else self.model_copy(update={"cluster": self._kept_cluster})

    @model_validator(mode="after")
    def _has_products_for_its_stores(self) -> Self:
        if PRODUCT in self.store.path and not self.source.files:
            raise ValueError(f"store.path has {PRODUCT}, so source.files must name products")
        if PRODUCT in self.store.path and self.maps.method != "none":
            raise ValueError(
                f"maps are made of one store, and store.path has {PRODUCT}: run without [maps], then "
                "`insar-dask tiles STORE... TILES.zarr` and `insar-dask train TILES.zarr`"
            )
        return self

    @model_validator(mode="after")
    def _has_a_page_of_areas_for_each_store(self) -> Self:
        path, folder = self.store.path, self.store.folder
        if is_bucket(path) or PRODUCT not in path or PRODUCT in Path(path).name:
            return self
        if folder is not None and self.areas.method != "none":
            raise ValueError(
                f"pages of areas are named after their store, and all would be {Path(path).name} in {folder}: let the "
                f"last part of store.path have {PRODUCT}, or leave store.folder out"
            )
        return self

    @model_validator(mode="after")
    def _has_tracks_for_east_and_up(self) -> Self:
        if self.east_up.name is None:
            return self
        if PRODUCT in self.store.path:
            raise ValueError(
                f"east and up are made of tracks in one store, and store.path has {PRODUCT}: run without [east_up], "
                "then name the stores as tracks of a second configuration"
            )
        if not self.source.files and not self.east_up.tracks:
            raise ValueError(
                "east and up take an ascending and a descending track: name their files in [source], or stores that "
                "have them in [east_up] tracks"
            )
        return self
