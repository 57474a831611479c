"""How the ground moves: places of each kind of motion, the signal they make, and what EGMS's formulas find in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from insar_kernels.noise import gaussians, uniforms

from insar_dask.synthetic.kinds import Kind

__all__ = ["REGIMES", "Ground", "Place", "signal_basis"]

Float64 = npt.NDArray[np.float64]

REGIMES = ("stable", "bowl", "seasonal", "accelerating", "coseismic", "slump")
BEGINS_AT = 0.1
"""A point belongs to a place where the place's weight is above this."""

SCATTER_STREAM, SEASON_STREAM = 1, 2


@dataclass(frozen=True)
class Place:
    """An ellipse of moving ground; lengths in metres, motion at its centre."""

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
        """Share of the motion at each point: 1 at the centre, smoothly down to 0 on the ellipse."""
        east, north = easting - self.easting, northing - self.northing
        sine, cosine = np.sin(self.azimuth), np.cos(self.azimuth)
        along, across = (east * sine + north * cosine) / self.length, (east * cosine - north * sine) / self.width
        inside = np.clip(1.0 - along**2 - across**2, 0.0, None)
        return np.asarray(inside**2 * (3.0 - 2.0 * inside) if self.step == 0 else inside * np.sign(across), np.float64)


@dataclass(frozen=True)
class Ground:
    """All that moves in a scene: regional motion, scatter and places. Pure in (seed, point)."""

    kind: Kind
    seed: int
    places: tuple[Place, ...]
    waves: Float64

    @classmethod
    def around(cls, kind: Kind, seed: int, side: float) -> Ground:
        """Draw the places of a square scene of ``side`` metres."""
        rng = np.random.Generator(np.random.Philox(key=[seed, 2]))
        n_waves = 12
        length = rng.uniform(0.1, 0.6, n_waves) * min(side, 5000.0)
        heading = rng.uniform(0, 2 * np.pi, n_waves)
        waves = np.stack([np.sin(heading) / length, np.cos(heading) / length, rng.uniform(0, 1, n_waves)])
        return cls(kind, seed, tuple(_frozen(kind, rng, side) if kind.frozen else _thawed(kind, rng, side)), waves)

    def coefficients(self, ids: npt.NDArray[np.int64], easting: Float64, northing: Float64) -> tuple[Float64, Float64]:
        """Coefficients of `signal_basis`, (N, 5), and the weight of each regime, (N, len(REGIMES))."""
        kind = self.kind
        scatter = gaussians(self.seed, SCATTER_STREAM, ids, 4).astype(np.float64)
        phase = 2 * np.pi * (easting[:, None] * self.waves[0] + northing[:, None] * self.waves[1] + self.waves[2])
        regional = np.sin(phase).sum(axis=1) * np.sqrt(2.0 / self.waves.shape[1])
        velocity = kind.velocity + kind.nugget * (0.6 * regional + scatter[:, 0])
        acceleration = 0.5 * scatter[:, 1]
        season = kind.season * np.exp(0.5 * scatter[:, 2])
        step = np.zeros_like(velocity)
        weights = np.zeros((ids.size, len(REGIMES)))
        for place in self.places:
            weight = place.weight(easting, northing)
            velocity += place.velocity * weight
            acceleration += place.acceleration * weight
            season += place.season * weight
            step += place.step * weight
            regime = REGIMES.index(place.regime)
            weights[:, regime] = np.maximum(weights[:, regime], np.abs(weight))
        peak = 2 * np.pi * (0.6 + 0.05 * scatter[:, 3])
        start = velocity - 2.5 * acceleration  # so that ``velocity`` is the mean over five years
        found = np.stack([start, acceleration, season * np.cos(peak), season * np.sin(peak), step], axis=1)
        return found, weights

    def sigma(self, ids: npt.NDArray[np.int64], levels: tuple[float, ...]) -> Float64:
        """Standard deviation of the noise of each point [mm], shape (N,)."""
        draw = uniforms(self.seed, SEASON_STREAM, ids, 1)[:, 0]
        return np.interp(draw, levels, self.kind.sigma)


def signal_basis(years: Float64) -> Float64:
    """Functions of time that the signal is made of: t, t^2/2, cos, sin and the step, shape (5, T); each 0 at t = 0."""
    angle = 2 * np.pi * years
    step = (years > 0.58 * years[-1]).astype(np.float64)
    basis = np.stack([years, years**2 / 2, np.cos(angle), np.sin(angle), step])
    return np.asarray(basis - basis[:, :1])


def _scattered(rng: np.random.Generator, kind: Kind, side: float, n: int) -> Float64:
    grid = int(np.ceil(np.sqrt(n)))
    corner = rng.permutation(grid * grid)[:n]
    place = (np.stack([corner % grid, corner // grid], axis=1) + rng.uniform(0.25, 0.75, (n, 2))) / grid - 0.5
    return np.asarray(place * side + np.array(kind.centre))


def _thawed(kind: Kind, rng: np.random.Generator, side: float) -> list[Place]:
    regimes = ["bowl"] * 5 + ["seasonal"] * 5 + ["accelerating"] * 5 + ["coseismic"]
    centres = _scattered(rng, kind, side, len(regimes))
    places = []
    for regime, (easting, northing) in zip(regimes, centres, strict=True):
        length = side * rng.uniform(0.07, 0.12)
        motion = {
            "bowl": {"velocity": -rng.uniform(10, 40)},
            "seasonal": {"season": rng.uniform(5, 15)},
            "accelerating": {"velocity": -rng.uniform(5, 15), "acceleration": -rng.uniform(3, 8)},
            "coseismic": {"step": rng.uniform(20, 40)},
        }[regime]
        places.append(
            Place(regime, easting, northing, length, length * rng.uniform(0.6, 1), rng.uniform(0, np.pi), **motion)
        )
    return places


def _frozen(kind: Kind, rng: np.random.Generator, side: float) -> list[Place]:
    places = []
    for number, (easting, northing) in enumerate(_scattered(rng, kind, side, 81)):
        if number < 72:
            length = side * rng.uniform(0.012, 0.035)
            motion = {
                "velocity": -rng.uniform(10, 35), "acceleration": -rng.uniform(0, 4), "season": rng.uniform(8, 18)
            }  # fmt: skip
            regime = "slump"
        else:
            length, motion, regime = side * rng.uniform(0.04, 0.05), {"season": rng.uniform(15, 25)}, "seasonal"
        places.append(
            Place(regime, easting, northing, length, length * rng.uniform(0.5, 0.9), rng.uniform(0, np.pi), **motion)
        )
    return places
