"""What is known of a track without its series: where its points lie, where they look, what they weigh."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import DAYS_PER_YEAR, CubeError
from insar_dask.geometry.options import Options
from insar_dask.zeros import ZERO, begin_later

__all__ = ["STATIC", "Track", "look_vectors"]

Float64 = npt.NDArray[np.float64]

STATIC = (
    "easting", "northing", "height", "los_east", "los_north", "los_up", "incidence_angle", "track_angle", ZERO,
)  # fmt: skip
"""Variables over ``point`` that a track is made of, besides those that `Options` name."""

SAME_LENGTH = 0.02
"""Vectors of components printed with three decimals are of length 1 within a thousandth."""


@dataclass(frozen=True)
class Track:
    """Points of one cube; arrays (n,), ``place`` and ``look`` with two and three columns."""

    place: Float64
    """Easting and northing [m]."""
    look: Float64
    """East, north and up of the unit vector to the satellite."""
    height: Float64
    weight: Float64
    """1 / sigma² [mm-2], or 1."""
    slope: Float64
    """Share of the north velocity in the line of sight [mm/d], to be taken off."""
    later: npt.NDArray[np.bool_]
    """Whether displacement is counted from a later date than the record's first: such points are in no cell."""

    @classmethod
    def of(cls, cube: xr.Dataset, options: Options, scheduler: str | None = None) -> Track:
        """That of a cube, or of a block of one.

        Raises
        ------
        CubeError
            When nothing tells where its points look, or an error bar is no error bar.
        """

        def values(name: str) -> Float64:
            variable = cube[name].variable.compute(scheduler=scheduler)
            return np.asarray(variable.values, np.float64)

        place = np.stack([values("easting"), values("northing")], axis=1)
        look = look_vectors(cube, scheduler)
        height = values("height") if "height" in cube.variables else np.full(len(place), np.nan)
        sigma = np.ones(len(place))
        if options.sigma is not None:
            sigma = values(_variable(cube, options.sigma, "sigma"))
            if (wrong := ~(sigma > 0)).any():
                raise CubeError(
                    f"{options.sigma!r} of {wrong.sum():,} of {wrong.size:,} points is 0 or missing, so they have no "
                    "weight: leave them out, or take another sigma= (EGMS prints *_std rounded, often as 0.0)"
                )
        north = 0.0 if options.north is None else options.north
        rate = values(_variable(cube, north, "north")) if isinstance(north, str) else np.full(len(place), float(north))
        if (wrong := ~np.isfinite(rate)).any():
            raise CubeError(
                f"{north!r} of {wrong.sum():,} of {wrong.size:,} points is missing, so nothing tells how they move to "
                "the north: leave them out, or fill it with 0"
            )
        return cls(place, look, height, sigma**-2, rate * look[:, 1] / DAYS_PER_YEAR, begin_later(cube, scheduler))

    @property
    def ascending(self) -> npt.NDArray[np.bool_]:
        """Whether each point looks to the west, up to a satellite that flies north looking right."""
        return np.asarray(self.look[:, 0] < 0)

    @property
    def is_ascending(self) -> bool:
        """By most of its points."""
        return bool(self.ascending.mean() > 0.5)

    @property
    def box(self) -> list[float]:
        """West, south, east and north of its points [m]."""
        return [*self.place.min(axis=0).tolist(), *self.place.max(axis=0).tolist()]

    def part(self, where: Any) -> Track:
        """Some of the points."""
        return replace(self, **{field.name: getattr(self, field.name)[where] for field in fields(self)})


def look_vectors(cube: xr.Dataset, scheduler: str | None = None) -> Float64:
    """(n, 3) east, north and up of the unit vector from each point to the satellite.

    From ``los_east``, ``los_north`` and ``los_up``; else from incidence i and heading h of a radar that looks right,
    (-sin i cos h, sin i sin h, cos i), each of each point (``incidence_angle``, ``track_angle``) or else of the whole
    cube (attributes ``incidence_angle``, ``heading``).

    Raises
    ------
    CubeError
        When there is none of these, or the vectors are of another length than 1.
    """

    def values(name: str) -> Float64:
        return np.asarray(cube[name].variable.compute(scheduler=scheduler).values, np.float64)

    def angle(name: str, attribute: str | None = None) -> Float64 | None:
        if name in cube.variables:
            return values(name)
        said = cube.attrs.get(attribute or name)
        return None if said is None else np.full(cube.sizes["point"], float(said))

    incidence, heading = angle("incidence_angle"), angle("track_angle", "heading")
    if {"los_east", "los_north", "los_up"} <= set(cube.variables):
        look = np.stack([values(f"los_{axis}") for axis in ("east", "north", "up")], axis=1)
    elif incidence is not None and heading is not None:
        look = _right_looking(incidence, heading)
    else:
        raise CubeError(
            f"nothing tells where the points of track {cube.attrs.get('track')} look: set los_east, los_north and "
            "los_up, or incidence_angle and track_angle, over point; or the attributes incidence_angle and heading"
        )
    wrong = ~(np.abs((look**2).sum(axis=1) - 1) <= SAME_LENGTH)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise CubeError(
            f"the look of point {at}, {look[at].round(3).tolist()}, is no unit vector, nor are those of "
            f"{wrong.sum() - 1:,} others: check los_east, los_north and los_up, or drop these points"
        )
    return look


def _right_looking(incidence: Float64, heading: Float64) -> Float64:
    i, h = np.radians(incidence), np.radians(heading)
    return np.stack([-np.sin(i) * np.cos(h), np.sin(i) * np.sin(h), np.cos(i)], axis=1)


def _variable(cube: xr.Dataset, name: str, option: str) -> str:
    if name not in cube.variables or cube[name].dims != ("point",):
        raise CubeError(f"{option}={name!r} is no variable over point of track {cube.attrs.get('track')}")
    return name
