"""Ground where neighbours move together: mined-out panels, fronts that cross the scene, and creeping slopes.

A point's share in such a motion depends on its place alone; when it is reached may depend on the place too. Lengths are
shares of the scene's side, 4.3 km at 20,000 points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Motion", "draw_motions"]

Float64 = npt.NDArray[np.float64]

MOTIONS_STREAM = 5
PANELS = 24
"""Panels of a mining field: about half of the targets sink by more than 5 mm."""

STRIPS = 16
"""Pieces in which a panel is mined: a sixteenth of its length is 0.1 to 0.3 of the radius of influence."""

REACH = 1.6
"""Radii of influence beyond which a strip does not act: exp(-π 1.6²) is 0.0003."""

ONSET = 0.08
"""How long the ground takes to set out when a front reaches it [yr]."""


class Motion(Protocol):
    """A motion that many points share."""

    def displacement(self, easting: Float64, northing: Float64, years: Float64) -> Float64:
        """Displacement (N, T) [mm] of places in metres from the middle of the scene; years from the first date."""


@dataclass(frozen=True)
class Panel:
    """A seam mined by a face that advances: the bowl above it grows behind the face.

    Each strip lowers the surface by ``depth`` exp(-π r²/R²) δ/R, R the radius of influence, approached as
    1 - e^(-c u) with the time u since it was mined (Knothe's function).
    Source: Whittaker and Reddish (1989), Subsidence: Occurrence, Prediction and Control, chapters 5 and 8.
    """

    easting: float
    northing: float
    heading: float
    length: float
    radius: float
    depth: float
    begins: float
    speed: float
    rate: float

    def displacement(self, easting: Float64, northing: Float64, years: Float64) -> Float64:
        """Displacement (N, T) [mm]."""
        out = np.zeros((easting.size, years.size))
        step = self.length / STRIPS
        for mined in (np.arange(STRIPS) + 0.5) * step:
            east = easting - self.easting - mined * np.sin(self.heading)
            north = northing - self.northing - mined * np.cos(self.heading)
            distance = np.hypot(east, north) / self.radius
            near = np.flatnonzero(distance < REACH)
            share = self.depth * step / self.radius * np.exp(-np.pi * distance[near] ** 2)
            passed = np.maximum(years - self.begins - mined / self.speed, 0.0)
            out[near] -= share[:, None] * (1.0 - np.exp(-self.rate * passed))
        return out


@dataclass(frozen=True)
class Front:
    """Subsidence that sets in when a front arrives, and fades: d(u) = depth (1 - e^(-u/fades)), u since its arrival.

    A plane front advances at ``speed`` along ``heading``, bent by a wave; ``spreads`` [m²/yr] makes it a circle about
    its start instead, that arrives at r²/(4 spreads), as a drawdown does.
    """

    easting: float
    northing: float
    heading: float
    speed: float
    spreads: float
    begins: float
    depth: float
    fades: float
    wave: float
    bend: float

    def displacement(self, easting: Float64, northing: Float64, years: Float64) -> Float64:
        """Displacement (N, T) [mm]."""
        since = (years[None, :] - self.arrival(easting, northing)[:, None]) / ONSET
        # a ramp with a rounded foot: the ground is set in motion within weeks, not between two dates
        moved = ONSET * np.logaddexp(0.0, since)
        return np.asarray(-self.depth * (1.0 - np.exp(-moved / self.fades)))

    def arrival(self, easting: Float64, northing: Float64) -> Float64:
        """When the front arrives [yr], (N,)."""
        east, north = easting - self.easting, northing - self.northing
        if self.spreads:
            return np.asarray(self.begins + (east**2 + north**2) / (4 * self.spreads))
        sine, cosine = np.sin(self.heading), np.cos(self.heading)
        along, across = east * sine + north * cosine, east * cosine - north * sine
        return np.asarray(self.begins + (along + self.bend * np.sin(2 * np.pi * across / self.wave)) / self.speed)


@dataclass(frozen=True)
class Slope:
    """An ellipse that creeps, surges after wet seasons, and may be on its way to failure; the top follows the toe.

    Surges are logistic steps. On its way to failure the velocity is ``strain`` / (1 - t/``fails``).
    Source: Fukuzono (1985), Proc. IVth International Conference and Field Workshop on Landslides, 145-150.
    """

    easting: float
    northing: float
    length: float
    width: float
    azimuth: float
    creep: float
    surges: tuple[tuple[float, float, float], ...]
    follows: float
    strain: float
    fails: float

    def displacement(self, easting: Float64, northing: Float64, years: Float64) -> Float64:
        """Displacement (N, T) [mm]."""
        east, north = easting - self.easting, northing - self.northing
        sine, cosine = np.sin(self.azimuth), np.cos(self.azimuth)
        along, across = east * sine + north * cosine, east * cosine - north * sine
        inside = 1.0 - (along / self.length) ** 2 - (across / self.width) ** 2
        within = np.flatnonzero(inside > 0)
        share = inside[within] ** 2 * (3.0 - 2.0 * inside[within])
        own_time = years[None, :] - ((along[within] + self.length) / self.follows)[:, None]
        out = np.zeros((easting.size, years.size))
        out[within] = -share[:, None] * self._moved(own_time)
        return out

    def _moved(self, time: Float64) -> Float64:
        """Displacement of the whole slope [mm]; before the record it only crept."""
        moved = self.creep * time
        for when, size, lasts in self.surges:
            moved += size / (1.0 + np.exp(-(time - when) / lasts))
        if self.strain:
            moved -= self.strain * self.fails * np.log1p(-time / self.fails)
        return moved


def draw_motions(kind: str, seed: int, side: float, years: float) -> tuple[Motion, ...]:
    """Draw the shared motions of a square scene of ``side`` metres, watched for some years; none for other kinds."""
    rng = np.random.Generator(np.random.Philox(key=[seed, MOTIONS_STREAM]))
    if kind == "bowls":
        return tuple(_panel(rng, number, side, years) for number in range(PANELS))
    if kind == "fronts":
        return _fronts(rng, side, years)
    if kind == "slopes":
        return tuple(_slope(rng, number, side, years) for number in range(9))
    return ()


def _panel(rng: np.random.Generator, number: int, side: float, years: float) -> Panel:
    """Panels are begun one after the other, from before the record to its last months."""
    east, north = rng.uniform(-0.42, 0.42, 2) * side
    return Panel(
        easting=east,
        northing=north,
        heading=rng.uniform(0, 2 * np.pi),
        length=rng.uniform(0.15, 0.3) * side,
        radius=rng.uniform(0.07, 0.11) * side,
        depth=rng.uniform(40, 110),
        begins=years * ((number + rng.uniform(0, 1)) / PANELS * 1.15 - 0.2),
        speed=rng.uniform(0.06, 0.14) * side,
        rate=rng.uniform(1.5, 4.0),
    )


def _fronts(rng: np.random.Generator, side: float, years: float) -> tuple[Motion, ...]:
    """Two plane fronts that take most of the record to cross, and a circle about a well."""
    drawn: list[Motion] = []
    for begins, crosses, depth in ((-0.1, 1.15, 55.0), (0.35, 0.8, 35.0)):
        heading = rng.uniform(0, 2 * np.pi)
        drawn.append(
            Front(
                easting=-0.5 * side * np.sin(heading),
                northing=-0.5 * side * np.cos(heading),
                heading=heading,
                speed=side / (crosses * years),
                spreads=0.0,
                begins=begins * years,
                depth=depth * rng.uniform(0.8, 1.2),
                fades=rng.uniform(0.7, 1.4),
                wave=rng.uniform(0.4, 0.8) * side,
                bend=0.04 * side,
            )
        )
    east, north = rng.uniform(-0.25, 0.25, 2) * side
    spreads = (0.45 * side) ** 2 / (4 * years)
    drawn.append(Front(east, north, 0.0, 0.0, spreads, 0.1 * years, 45.0, rng.uniform(0.7, 1.4), side, 0.0))
    return tuple(drawn)


def _slope(rng: np.random.Generator, number: int, side: float, years: float) -> Slope:
    """One slope in each ninth of the scene; every third is on its way to failure after the record."""
    length = rng.uniform(0.14, 0.18) * side
    winters = np.arange(np.ceil(years)) + 0.1
    surges = [
        (winter + rng.normal(0, 0.1), rng.lognormal(1.8, 0.6), rng.uniform(0.03, 0.08))
        for winter in winters
        if rng.uniform() < 0.8
    ]
    failing = number % 3 == 0
    return Slope(
        easting=((number % 3 - 1) / 3 + rng.uniform(-0.03, 0.03)) * side,
        northing=((number // 3 - 1) / 3 + rng.uniform(-0.03, 0.03)) * side,
        length=length,
        width=rng.uniform(0.65, 0.95) * length,
        azimuth=rng.uniform(0, 2 * np.pi),
        creep=rng.uniform(3, 15),
        surges=tuple(surges),
        follows=length / rng.uniform(0.05, 0.15),
        strain=rng.uniform(2, 5) if failing else 0.0,
        fails=years + rng.uniform(0.2, 0.8),
    )
