"""Sections of a run that starts from interferograms: which pairs, what is taken off them, how they are inverted."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from insar_dask.config.section import Day, Section

__all__ = ["Inversion", "Pairs"]

NumberOrInf = Annotated[float, Field(gt=0, allow_inf_nan=True)]
Cell = Annotated[int, Field(ge=0)]


class Pairs(Section):
    """Interferograms: which are used, and what is taken off them before they are inverted."""

    max_days: NumberOrInf = Field(50.0, description="longest pair; inf: any")
    max_bperp: NumberOrInf = Field(
        100.0, description="largest perpendicular baseline in metres; inf: any, or none known"
    )
    min_coherence: float | None = Field(
        None, ge=0, le=1, description="leave out interferograms of a smaller mean coherence; unset: none for that"
    )
    reject: bool = Field(True, description="leave out pairs that contradict the others after a first inversion")
    closure: bool = Field(True, description="correct whole cycles by loops of three, and mask loops that stay open")
    delays: str | None = Field(None, description="NetCDF of delays (date, y, x) in mm that are taken off")
    delay_direction: Literal["zenith", "los"] | None = Field(
        None, description="along which delays are; unset: as the file says"
    )
    allow_missing_delays: bool = Field(False, description="leave pairs uncorrected of which a date has no delay")
    surface: Literal["plane", "quadratic", "height", "none"] = Field(
        "plane", description="plane, quadratic (orbits), height (stratified delays) or none is taken off each date"
    )
    stable_below: NumberOrInf = Field(
        5.0, description="mm/yr; surfaces are fitted, and a reference is sought, on slower ground; inf: on any"
    )
    reference: Literal["auto", "none"] | tuple[Cell, Cell] = Field(
        "auto", description="[row, column] of the pixel that stands still; auto: it is sought; none: it is off already"
    )
    place: tuple[float, float] | None = Field(
        None, description="[longitude, latitude] of what stands still, instead of a row and a column"
    )
    window: int = Field(5, ge=1, description="pixels a side of the area around it, odd")

    @field_validator("window")
    @classmethod
    def _is_odd(cls, window: int) -> int:
        if window % 2 == 0:
            raise ValueError("wanted an odd number of pixels")
        return window

    @model_validator(mode="after")
    def _has_a_zero_for_surfaces(self) -> Self:
        if self.surface != "none" and self.reference == "none":
            raise ValueError(
                f"surface {self.surface!r} is fitted on stable ground, and only a reference says what is: "
                'reference = "auto", or surface = "none"'
            )
        return self

    @model_validator(mode="after")
    def _has_one_reference(self) -> Self:
        if self.place is not None and self.reference != "auto":
            raise ValueError("place and reference both say what stands still: leave one of them out")
        return self

    def limits(self) -> dict[str, float | None]:
        """Keyword arguments of `insar_dask.inversion.choosing.choose_pairs`."""
        bperp = None if math.isinf(self.max_bperp) else self.max_bperp
        return {"max_days": self.max_days, "max_bperp": bperp, "min_coherence": self.min_coherence}

    def passes(self, inversion: Inversion) -> int:
        """How often all interferograms are gone over: for coherence, a median, rejection, surfaces, a reference."""
        sought = self.reference == "auto" and self.place is None
        wanted = (
            self.min_coherence is not None, self.reject or sought, self.reject, self.surface != "none", sought,
            self.delays is not None, inversion.network == "tree",
            inversion.temperature is not None and inversion.alpha == "fit", inversion.joint,
        )  # fmt: skip
        return 1 + sum(wanted)

    def corrections(self) -> dict[str, Any]:
        """What else of this section `insar_dask.jobs.pairs.inversion_jobs.store_series` takes, without the delays."""
        return {
            "reject": self.reject,
            "closure": self.closure,
            "surface": None if self.surface == "none" else self.surface,
            "stable_below": self.stable_below,
            "reference": None if self.reference == "none" else self.reference,
            "window": self.window,
            "allow_missing": self.allow_missing_delays,
        }


class Inversion(Section):
    """Displacement from interferograms."""

    method: Literal["sbas", "nsbas", "svd", "laplacian"] = Field(
        "sbas", description="sbas; nsbas: parts of a network are joined by a model; svd, laplacian: as older programmes"
    )
    network: Literal["all", "tree"] = Field("all", description="of svd and laplacian: all pairs, or a tree of them")
    weights: Literal["equal", "coherence"] = Field("equal", description="of sbas and nsbas: equal or coherence")
    looks: float = Field(1.0, gt=0, description="independent looks of the coherence that weighs")
    terms: list[Literal["linear", "quadratic", "annual", "semiannual"]] = Field(
        ["linear"], description="model of nsbas beside a constant"
    )
    fill: Literal["model"] | None = Field(None, description="of nsbas: dates without a pair get the model's value")
    min_pairs: int = Field(10, ge=1, description="points with fewer valid interferograms have no series")
    min_coherence: float = Field(0.30, ge=0, le=1, description="nor have points of a smaller mean coherence")
    disconnected: Literal["refuse", "bridge"] = Field(
        "refuse", description="a network in several parts: refuse it, or bridge the gaps by the method's assumption"
    )
    as_of: Day | None = Field(None, description="YYYY-MM-DD; the series as it was known on that day")
    joint: bool = Field(False, description="also fit velocity, season and height error to the interferograms")
    temperature: str | None = Field(
        None, description="CSV date,temperature of daily means in degrees Celsius: the season is one of frost and thaw"
    )
    alpha: float | Literal["close", "fit"] = Field(
        "close", description="weight of frost in it: a number; close: it is over by spring; fit: by the series"
    )

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        by_velocities = self.method in ("svd", "laplacian")
        for wrong, cure in (
            (self.network == "tree" and not by_velocities, 'network = "tree" goes with method svd or laplacian'),
            (self.weights == "coherence" and by_velocities, 'weights = "coherence" goes with method sbas or nsbas'),
            (self.fill is not None and self.method != "nsbas", 'fill = "model" goes with method nsbas'),
            (
                self.temperature is not None and self.method != "nsbas" and not self.joint,
                "temperature makes a season of the model of method nsbas, or of joint = true",
            ),
            (self.alpha != "close" and self.temperature is None, "alpha weighs the frost of a temperature: set both"),
        ):
            if wrong:
                raise ValueError(f"{cure}; method is {self.method}")
        return self

    def solving(self) -> dict[str, Any]:
        """Keyword arguments of `insar_dask.invert`; what one of its methods does not know is left out."""
        names = ("method", "network", "weights", "looks", "terms", "fill", "min_pairs", "min_coherence", "as_of")
        return {name: getattr(self, name) for name in names}
