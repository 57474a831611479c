"""How the ground moves: regional motion, scatter from point to point, and places of each kind of deformation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from insar_dask.synthetic.basins import draw_tile_motions
from insar_dask.synthetic.earthquake import Earthquake
from insar_dask.synthetic.kinds import Kind
from insar_dask.synthetic.neighbours import Motion, draw_motions
from insar_kernels.noise import gaussians

__all__ = ["REGIMES", "Ground", "Place", "signal_basis"]

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

REGIMES = ("stable", "bowl", "seasonal", "accelerating", "coseismic", "slump")
BELONGS = 0.1
"""A point belongs to a place where it moves with more than this share of the motion at the centre."""

STEP_AT = 0.58
"""When the earthquake comes, as a share of the record."""

MOVED = 5.0
"""A point belongs to a shared motion where that moves it by more [mm] within the record."""

PLACES_STREAM, SCATTER_STREAM, RESPONSE_STREAM = 2, 20, 25
N_WAVES = 12


@dataclass(frozen=True)
class Place:
    """An ellipse of moving ground: place and half axes [m], and the motion at its centre."""

    regime: str
    easting: float
    northing: float
    length: float
    width: float
    azimuth: float
    velocity: float = 0.0
    acceleration: float = 0.0
    season: float = 0.0
    step: float = 0.0

    def weight(self, easting: Float64, northing: Float64) -> Float64:
        """Share of the motion, (N,): 1 at the centre, smoothly 0 on the ellipse; -1 beyond the fault of a step."""
        east, north = easting - self.easting, northing - self.northing
        sine, cosine = np.sin(self.azimuth), np.cos(self.azimuth)
        along, across = east * sine + north * cosine, east * cosine - north * sine
        inside = np.clip(1.0 - (along / self.length) ** 2 - (across / self.width) ** 2, 0.0, None)
        smooth = inside**2 * (3.0 - 2.0 * inside)
        return np.asarray(np.copysign(smooth, across) if self.step else smooth)


@dataclass(frozen=True)
class Ground:
    """All that moves in a scene; what a point does depends on the seed, its identity and its place alone.

    ``waves`` are the wave numbers east and north [1/m] and the phase of the regional motion, (3, W); ``half`` is half
    the length of the record [yr].
    """

    kind: Kind
    seed: int
    half: float
    places: tuple[Place, ...]
    waves: Float64
    motions: tuple[Motion, ...] = ()

    @classmethod
    def around(cls, kind: Kind, seed: int, side: float, years: float) -> Ground:
        """Draw the ground of a square scene of ``side`` metres, watched for some years."""
        rng = np.random.Generator(np.random.Philox(key=[seed, PLACES_STREAM]))
        length = rng.uniform(0.1, 0.6, N_WAVES) * min(side, kind.region)
        heading = rng.uniform(0, 2 * np.pi, N_WAVES)
        waves = np.stack([np.sin(heading) / length, np.cos(heading) / length, rng.uniform(0, 1, N_WAVES)])
        if kind.shared:
            drawn = draw_tile_motions(kind, seed, side) if kind.whole else draw_motions(kind.shared, seed, side, years)
            return cls(kind, seed, years / 2, (), waves, drawn)
        motions = list(_frozen(rng) if kind.frozen else _thawed(rng, years / 2))
        return cls(kind, seed, years / 2, tuple(_placed(motions, kind, side, rng)), waves)

    def coefficients(self, ids: Int64, easting: Float64, northing: Float64) -> tuple[Float64, npt.NDArray[np.int8]]:
        """Coefficients of `signal_basis`, (N, 5), and the regime of each point, (N,)."""
        kind = self.kind
        scatter = gaussians(self.seed, kind.streams + SCATTER_STREAM, ids, 4).astype(np.float64)
        velocity = kind.velocity + kind.scatter * (0.6 * self._regional(easting, northing) + scatter[:, 0])
        acceleration = 1.1 * kind.scatter * scatter[:, 1]
        season = kind.season * np.exp(0.6 * scatter[:, 2])
        step, belongs = np.zeros(ids.size), np.full(ids.size, BELONGS)
        regime = np.zeros(ids.size, np.int8)
        for place in self._places_near(easting, northing):
            weight = place.weight(easting, northing)
            velocity += place.velocity * weight
            acceleration += place.acceleration * weight
            season += place.season * weight
            step += place.step * weight
            regime[np.abs(weight) > belongs] = REGIMES.index(place.regime)
            belongs = np.maximum(belongs, np.abs(weight))
        peak = 2 * np.pi * (kind.peak + 0.06 * scatter[:, 3])
        start = velocity - self.half * acceleration  # velocity is the mean over the record
        columns = [start, acceleration, season * np.cos(peak), season * np.sin(peak), step]
        return np.stack(columns, axis=1), regime

    def shared(self, ids: Int64, easting: Float64, northing: Float64, years: Float64) -> Float64:
        """Displacement (N, T) [mm] that neighbours share, 0 at the first date; (N, 0) where nothing is shared."""
        if not self.motions:
            return np.empty((ids.size, 0))
        east, north = easting - self.kind.centre[0], northing - self.kind.centre[1]
        total = np.zeros((ids.size, years.size))
        for motion in self.motions:
            total += motion.displacement(east, north, years)
        total -= total[:, :1].copy()
        return np.asarray(total * self._response(ids))

    def step(self, ids: Int64, easting: Float64, northing: Float64) -> Float64:
        """Step (N,) [mm] of the earthquakes among the shared motions."""
        east, north = easting - self.kind.centre[0], northing - self.kind.centre[1]
        steps = [motion.step(east, north) for motion in self.motions if isinstance(motion, Earthquake)]
        return np.asarray(sum(steps, np.zeros(ids.size)) * self._response(ids)[:, 0])

    def _response(self, ids: Int64) -> Float64:
        """How much of a shared motion each point answers with, (N, 1)."""
        own = gaussians(self.seed, self.kind.streams + RESPONSE_STREAM, ids, 1)
        return np.asarray(1.0 + self.kind.response * own)

    def _places_near(self, easting: Float64, northing: Float64) -> list[Place]:
        """Places that a block may touch: of the plateau's 81, a block in Hilbert order meets a few."""
        return [
            place
            for place in self.places
            if easting.min() - place.length < place.easting < easting.max() + place.length
            and northing.min() - place.length < place.northing < northing.max() + place.length
        ]

    def _regional(self, easting: Float64, northing: Float64) -> Float64:
        total = np.zeros(easting.size)
        for east, north, phase in self.waves.T:
            total += np.sin(2 * np.pi * (easting * east + northing * north + phase))
        return np.asarray(total * np.sqrt(2 / self.waves.shape[1]))


def signal_basis(years: Float64) -> Float64:
    """Functions of time that signals are made of: t, t^2/2, cos, sin, the earthquake; (5, T), all 0 at the start."""
    angle = 2 * np.pi * years
    step = years > STEP_AT * years[-1]
    basis = np.stack([years, years**2 / 2, np.cos(angle), np.sin(angle), step.astype(np.float64)])
    return np.asarray(basis - basis[:, :1])


def _placed(
    motions: list[tuple[str, float, dict[str, float]]], kind: Kind, side: float, rng: np.random.Generator
) -> Iterator[Place]:
    """Give each motion (regime, radius as a share of the side, motion at the centre) a square of its own, whole."""
    aside = int(np.ceil(np.sqrt(len(motions))))
    squares = rng.permutation(aside * aside)
    for square, (regime, radius, motion) in zip(squares, motions, strict=False):
        margin = min(0.5, radius * aside)
        within = rng.uniform(margin, 1 - margin, 2)
        east = ((square % aside + within[0]) / aside - 0.5) * side + kind.centre[0]
        north = ((square // aside + within[1]) / aside - 0.5) * side + kind.centre[1]
        length, narrow, azimuth = radius * side, rng.uniform(0.6, 1.0), rng.uniform(0, np.pi)
        yield Place(regime, east, north, length, narrow * length, azimuth, **motion)


def _thawed(rng: np.random.Generator, half: float) -> Iterator[tuple[str, float, dict[str, float]]]:
    """Sinking and rising bowls, seasonal aquifers, slopes that set out from rest, and one earthquake."""
    for number in range(5):
        velocity = rng.uniform(10, 20) if number == 4 else -rng.uniform(15, 45)
        yield "bowl", rng.uniform(0.08, 0.12), {"velocity": velocity}
    for _ in range(5):
        yield "seasonal", rng.uniform(0.08, 0.12), {"season": rng.uniform(6, 15)}
    for _ in range(5):
        acceleration = -rng.uniform(4, 9)
        velocity = acceleration * half * rng.uniform(1.0, 1.3)
        yield "accelerating", rng.uniform(0.08, 0.12), {"velocity": velocity, "acceleration": acceleration}
    yield "coseismic", 0.125, {"step": rng.uniform(25, 40)}


def _frozen(rng: np.random.Generator) -> Iterator[tuple[str, float, dict[str, float]]]:
    """72 thaw slumps, as many as were mapped around Chumar, and nine flats that freeze and thaw."""
    for _ in range(72):
        motion = {
            "velocity": -rng.uniform(10, 35), "acceleration": -rng.uniform(0, 4), "season": rng.uniform(8, 18),
        }  # fmt: skip
        yield "slump", rng.uniform(0.015, 0.04), motion
    for _ in range(9):
        yield "seasonal", rng.uniform(0.04, 0.05), {"season": rng.uniform(15, 25)}
