"""Covariance in space within groups of neighbours, turned into modes that are independent of each other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["BOUNDS", "GUESS", "Modes", "Seats", "modes", "modes_with_gradient", "roughness"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

BOUNDS = [(50.0, 20_000.0), (1e-3, 0.95), (5.0, 300.0)]
GUESS = np.array([300.0, 0.3, 30.0])
"""Reach of the shared motion [m]; share of a point's own noise that its surroundings have too, and how far [m]."""

FEWEST = 5
"""Dates whose both neighbours are valid, below which a point's noise is taken for the usual one."""

SMOOTHEST, ROUGHEST = 0.2, 5.0
"""Least and greatest noise of a point in units of the usual one."""


AT_ONCE = 1024
"""Points whose noise is found at a time: what is computed of them stays in the cache."""


class Seats(NamedTuple):
    """Points of G groups of L seats."""

    places: Float64
    """(G, L, 2) [m]."""
    noise: Float64
    """(G, L) standard deviation of each point's noise, in units of the usual one."""
    present: Bool
    """(G, L)."""


class Modes(NamedTuple):
    """Coordinates in which shared motion and own noise of a group are both diagonal."""

    strength: Float64
    """(G, L) variance of the shared motion in each mode; that of the noise is 1."""
    into: Float64
    """(G, L, L) from points to modes."""
    back: Float64
    """(G, L, L) from modes to points: the inverse of ``into``."""
    log_noise: Float64
    """(G,) log-determinant of the covariance of the noise."""


def roughness(values: Float32, years: Float64) -> Float64:
    """Standard deviation of each point's noise (n,) [mm]: how far its dates lie from the line through their neighbours.

    Three dates see little of any motion: 100 mm/yr that halve in a month leave 0.3 mm. NaN where fewer than 5 dates
    have both neighbours.
    """
    blocks = [_roughness(values[at : at + AT_ONCE], years) for at in range(0, len(values), AT_ONCE)]
    return np.concatenate(blocks) if blocks else np.empty(0)


def _roughness(values: Float32, years: Float64) -> Float64:
    share = (years[1:-1] - years[:-2]) / (years[2:] - years[:-2])
    left = values[:, 1:-1] - ((1 - share) * values[:, :-2] + share * values[:, 2:])
    squares = left**2 / (1 + share**2 + (1 - share) ** 2)
    seen = np.isfinite(squares)
    count = seen.sum(axis=1)
    mean = np.where(seen, squares, 0.0).sum(axis=1) / np.maximum(count, 1)
    return np.where(count >= FEWEST, np.sqrt(mean), np.nan)


def modes(seats: Seats, parameters: Float64) -> Modes:
    """Modes of each group.

    The shared motion has covariance C = e^(-d/reach), the own noise N = D R D, with D the points' standard deviations
    and R = share e^(-d/range) off the diagonal, 1 on it. With N = F Fᵀ and F⁻¹ C F⁻ᵀ = V diag(strength) Vᵀ, the modes
    are Vᵀ F⁻¹ y. An absent seat is a mode of noise alone, and of nobody.

    Parameters
    ----------
    seats : Seats
    parameters : (3,) array
        As in `GUESS`.
    """
    motion, noise, _ = _covariances(seats, parameters)
    return _diagonalised(motion, noise)


def modes_with_gradient(seats: Seats, parameters: Float64) -> tuple[Modes, Float64, Float64]:
    """Modes, and derivatives by the logarithms of the parameters: of C by the first (G, L, L), of N (2, G, L, L)."""
    reach, _, extent = parameters
    motion, noise, distance = _covariances(seats, parameters)
    off = noise * ~np.eye(noise.shape[1], dtype=bool)
    return _diagonalised(motion, noise), motion * distance / reach, np.stack([off, off * distance / extent])


def _covariances(seats: Seats, parameters: Float64) -> tuple[Float64, Float64, Float64]:
    reach, share, extent = parameters
    apart = seats.places[:, :, None] - seats.places[:, None]
    distance = np.hypot(apart[..., 0], apart[..., 1])
    both = seats.present[:, :, None] & seats.present[:, None]
    itself = np.eye(both.shape[1], dtype=bool)
    size = np.where(seats.present, seats.noise, 1.0)
    correlation = np.where(itself, 1.0, np.where(both, share * np.exp(-distance / extent), 0.0))
    motion = np.where(both, np.exp(-distance / reach), 0.0)
    return motion, correlation * size[:, :, None] * size[:, None], distance


def _diagonalised(motion: Float64, noise: Float64) -> Modes:
    factor = np.linalg.cholesky(noise)
    inverse = np.linalg.inv(factor)
    whitened = inverse @ motion @ inverse.transpose(0, 2, 1)
    strength, vectors = np.linalg.eigh((whitened + whitened.transpose(0, 2, 1)) / 2)
    log_noise = 2 * np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
    return Modes(np.maximum(strength, 0.0), vectors.transpose(0, 2, 1) @ inverse, factor @ vectors, log_noise)
