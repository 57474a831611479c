"""Sections that say how the ground moves: to the east and up, and in which areas."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from insar_dask.config.section import Day, Section, said_plainly

__all__ = ["OF_HYSTERESIS", "AreaSearch", "EastUp"]

PLAIN = re.compile(r"\w[\w.-]*")

OF_HYSTERESIS = ("body", "sigmas", "season", "peak", "peak_within")
"""Settings of areas that the published method does not look at."""


class EastUp(Section):
    """Ascending and descending tracks to east and up of cells, on which the steps that follow run."""

    name: str | None = Field(None, description='the products are NAME_E and NAME_U, such as "east_up"; unset: none')
    tracks: list[str] = Field(
        [], description="stored tracks besides those of [source]: stores, or STORE/PRODUCT; made by an earlier run"
    )
    alone: bool = Field(True, description="steps that follow run on east and up alone; false: on each track too")
    cell: float = Field(100.0, gt=0, description="side of a cell [m]")
    every: str = Field("6D", description="spacing of the dates")
    how: Literal["nearest", "linear", "previous"] = Field("nearest", description="which acquisition is a date's")
    anchor: Literal["model", "first", "none"] = Field("model", description="what is zero: model as EGMS has it")
    max_distance: float = Field(90.0, ge=0, description="days from an acquisition to a date that it may serve")
    north: float | str | None = Field(
        None, description="motion to the north [mm/yr], or the variable that has it; unset: taken to be still"
    )
    sigma: str | None = Field(None, description="variable with the error of the displacement; unset: all weigh alike")
    max_condition: float = Field(30.0, gt=0, description="cells are left without values from this condition number on")
    min_angle: float = Field(10.0, ge=0, description="and where the two looks are less apart [degree]")
    extent: tuple[float, float, float, float] | None = Field(
        None, description="[west, south, east, north] in metres: points outside do not count"
    )
    start: Day | None = Field(None, description="first date; unset: of the time that both ways cover")
    end: Day | None = Field(None, description="day that no date is after")

    @field_validator("name")
    @classmethod
    def _is_plain(cls, name: str | None) -> str | None:
        if name is not None and not PLAIN.fullmatch(name):
            raise ValueError("wanted letters, digits, dots, dashes and underscores")
        return name

    @field_validator("every")
    @classmethod
    def _is_duration(cls, text: str) -> str:
        if not re.fullmatch(r"[1-9]\d* ?D", text):
            raise ValueError('wanted a whole number of days such as "6D"')
        return text

    @model_validator(mode="after")
    def _is_wanted(self) -> Self:
        if self.tracks and self.name is None:
            raise ValueError('tracks are named, and no name of what is made of them: name = "east_up"')
        return self

    @property
    def options(self) -> dict[str, Any]:
        """Of `insar_dask.geometry.options.Options`."""
        return self.model_dump(exclude={"name", "tracks", "alone"}, exclude_none=True)


class AreaSearch(Section):
    """Moving areas: outlines of ground that moves, named for good, with the evidence for each."""

    method: Literal["hysteresis", "paper", "none"] = Field(
        "none", description="hysteresis, paper (all beyond 15 mm/yr, as published), or none: no areas are looked for"
    )
    body: float | None = Field(None, gt=0, description="an area goes out to this velocity [mm/yr]; unset: 5")
    seed: float | None = Field(
        None,
        gt=0,
        description="and holds 80 % of this one, on the map of medians; unset: 10. Paper: is beyond it; unset: 15",
    )
    sigmas: float = Field(2.5, ge=0, description="and is beyond so many standard errors")
    sign: Literal["away", "towards", "both"] = Field(
        "away", description="away (sinking), towards (rising), or both; of east always both"
    )
    season: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="thaw: a season [mm] above that of still ground; unset: motion of any kind",
    )
    peak: float | None = Field(None, ge=1, le=366, description="day of the year at which the season is highest")
    peak_within: float = Field(60.0, ge=0, description="days from it")
    fewest: int = Field(5, ge=1, description="cells of an area")
    cell: float | None = Field(None, gt=0, description="side of a cell [m]; unset: the product's own, or 2.5 spacings")
    inventory: str | None = Field(None, description="file of outlines of yours, which are judged instead of found")
    scene: str = Field("scene", description="what areas are named after; their names last over vintages")
    vintage: Annotated[str, BeforeValidator(said_plainly)] | None = Field(
        None, description="such as a date; unset: the last date of the record"
    )
    before: str | None = Field(
        None, description="outlines of an earlier vintage, whose names go on; unset: the latest in the store"
    )
    rate_years: float = Field(2.0, gt=0, description="years before the vintage that its rate is taken over")
    dem: str | None = Field(
        None, description="raster of heights [m], for slope and aspect; unset: heights of the points"
    )
    worst: int = Field(3, ge=1, le=4, description="areas of a lower quality class are told and left off the map")
    cards: int = Field(6, ge=0, description="areas whose evidence the page shows, the largest first")

    @field_validator("scene", "vintage")
    @classmethod
    def _is_plain(cls, text: str | None) -> str | None:
        if text is not None and not PLAIN.fullmatch(text):
            raise ValueError("wanted letters, digits, dots, dashes and underscores")
        return text

    @model_validator(mode="after")
    def _goes_out_from_what_is_fast(self) -> Self:
        body, seed = self.body or 5.0, self.seed or 10.0
        if self.method != "paper" and body > seed:
            raise ValueError(f"body {body:g} is above seed {seed:g} mm/yr")
        return self

    @model_validator(mode="after")
    def _judges_what_it_looks_at(self) -> Self:
        fields = type(self).model_fields
        idle = [name for name in OF_HYSTERESIS if getattr(self, name) != fields[name].default]
        if self.method == "paper" and idle:
            raise ValueError(
                f"method paper looks at velocities beyond its seed alone, as published: {', '.join(idle)} "
                f"{'goes' if len(idle) == 1 else 'go'} with hysteresis"
            )
        return self

    @property
    def rule(self) -> dict[str, Any]:
        """Of `insar_dask.detect.rules.Rule`."""
        names = {"method", "body", "seed", "sigmas", "sign", "season", "peak", "peak_within", "fewest"}
        return self.model_dump(include=names)
