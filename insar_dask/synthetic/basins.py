"""Ground of a whole tile: basins that sink, aquifers that breathe with the seasons, an earthquake.

They are kilometres wide, so that a map of 64 cells a side sees neighbours move together. No course is a harmonic: rates
change when pumping does, and no two years are equally wet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from insar_dask.cube import years_since
from insar_dask.synthetic.earthquake import Earthquake
from insar_dask.synthetic.kinds import Kind
from insar_dask.synthetic.neighbours import ONSET, Motion
from insar_dask.synthetic.settlements import dry

__all__ = ["Aquifer", "Basin", "draw_tile_motions"]

Float64 = npt.NDArray[np.float64]

BASINS_STREAM = 7
REACH = 2.5
"""Radii beyond which a basin does not act: exp(-2.5²) is 0.002."""

SECOND = 0.25
"""Share of the half-yearly wave in an aquifer's year: it empties faster than it fills."""

PREVAILS = {
    # number, slowest and fastest rate [mm/yr] of basins; number, least and largest amplitude [mm] of aquifers
    "continuous": ((9, 4.0, 15.0), (3, 1.5, 3.0)),
    "periodic": ((2, 2.0, 4.0), (9, 3.0, 9.0)),
    "coseismic": ((3, 3.0, 8.0), (3, 1.5, 4.0)),
}


@dataclass(frozen=True)
class Basin:
    """A bowl that consolidates, and sinks faster or slower when pumping changes.

    Lengths in metres from the middle of the scene, times in years from the first date. The bowl sinks by ``rate``
    [mm/yr] at first, less by e-fold each ``fades`` years; from ``changes`` on by ``more`` in addition. That news
    spreads as a drawdown does, and is r²/(4 spreads) late at the distance r.
    """

    easting: float
    northing: float
    radius: float
    rate: float
    fades: float
    changes: float
    more: float
    spreads: float

    def displacement(self, easting: Float64, northing: Float64, years: Float64) -> Float64:
        """Displacement (N, T) [mm]."""
        squared = (easting - self.easting) ** 2 + (northing - self.northing) ** 2
        near = np.flatnonzero(squared < (REACH * self.radius) ** 2)
        share = np.exp(-squared[near] / self.radius**2)[:, None]
        since = years - self.changes - squared[near, None] / (4 * self.spreads)
        sunk = self.rate * self.fades * -np.expm1(-years / self.fades) + self.more * ONSET * np.logaddexp(
            0, since / ONSET
        )
        out = np.zeros((easting.size, years.size))
        out[near] = -share * sunk
        return out


@dataclass(frozen=True)
class Aquifer:
    """Ground that rises and sinks with the water in it, later the further from where it is fed.

    ``amplitude`` [mm] is that of an average year at the centre, ``peak`` when it stands highest (share of a year),
    ``late`` how much later [yr] one radius away; ``wet`` is how each year differs from the average, as a factor.
    """

    easting: float
    northing: float
    radius: float
    amplitude: float
    peak: float
    late: float
    wet: tuple[float, ...]

    def displacement(self, easting: Float64, northing: Float64, years: Float64) -> Float64:
        """Displacement (N, T) [mm]."""
        distance = np.hypot(easting - self.easting, northing - self.northing) / self.radius
        near = np.flatnonzero(distance < REACH)
        share = self.amplitude * np.exp(-(distance[near] ** 2))
        angle = 2 * np.pi * (years - self.peak)
        wetness = np.interp(years, np.arange(len(self.wet)), self.wet)
        out = np.zeros((easting.size, years.size))
        for times, weight in ((1, 1.0), (2, SECOND)):
            # cos(a - b) taken apart, so that no wave is drawn for each point
            lag = times * 2 * np.pi * self.late * distance[near]
            for own, course in ((np.cos(lag), np.cos(times * angle)), (np.sin(lag), np.sin(times * angle))):
                out[near] += (weight * share * own)[:, None] * (wetness * course)
        return out


def draw_tile_motions(kind: Kind, seed: int, side: float) -> tuple[Motion, ...]:
    """Draw what moves a whole tile of ``side`` metres; the earthquake is the kind's own."""
    rng = np.random.Generator(np.random.Philox(key=[seed, BASINS_STREAM]))
    basins, aquifers = PREVAILS[kind.shared]
    drawn: list[Motion] = [_basin(kind, rng, side, *basins[1:]) for _ in range(basins[0])]
    drawn += [_aquifer(kind, rng, side, *aquifers[1:]) for _ in range(aquifers[0])]
    if kind.fault is not None:
        day = np.array([np.datetime64(kind.event, "ns")])
        drawn.append(Earthquake(kind.fault, float(years_since(day, np.datetime64(kind.first_date, "ns"))[0])))
    return tuple(drawn)


def _basin(kind: Kind, rng: np.random.Generator, side: float, slowest: float, fastest: float) -> Basin:
    radius, rate = rng.uniform(0.03, 0.12) * side, rng.uniform(slowest, fastest)
    east, north = _inland(kind, rng)
    return Basin(
        easting=east * side,
        northing=north * side,
        radius=radius,
        rate=rate,
        fades=rng.uniform(4.0, 15.0),
        changes=rng.uniform(0.5, 5.0),
        more=rng.uniform(-0.6, 0.8) * rate,
        spreads=radius**2 / (4 * rng.uniform(0.1, 0.5)),
    )


def _aquifer(kind: Kind, rng: np.random.Generator, side: float, least: float, largest: float) -> Aquifer:
    east, north = _inland(kind, rng)
    return Aquifer(
        easting=east * side,
        northing=north * side,
        radius=rng.uniform(0.08, 0.2) * side,
        amplitude=rng.uniform(least, largest),
        peak=rng.uniform(0.15, 0.35),
        late=rng.uniform(0.02, 0.1),
        wet=tuple((1 + 0.25 * rng.standard_normal(8)).tolist()),
    )


def _inland(kind: Kind, rng: np.random.Generator) -> tuple[float, float]:
    """Draw a place on land, as shares of the side from the middle."""
    while True:
        east, north = rng.uniform(-0.45, 0.45, 2)
        if dry(east, north, kind.sea) > 0:
            return float(east), float(north)
