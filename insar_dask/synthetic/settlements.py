"""Where a tile of 100 km has cells: dense in towns, thin in the country, hardly any on mountains, none in the sea."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["dry", "settled_cells"]

Float64 = npt.NDArray[np.float64]

TOWNS, VILLAGES = 70, 500
LARGEST_TOWN, VILLAGE = 0.05, 0.006
"""Radius as a share of the tile's side; the k-th town has that of the largest over the square root of k."""

COUNTRY = 0.01
"""How much rarer cells are outside of towns; on mountains that much again."""

ALPINE = 0.9
"""Height of the relief, in standard deviations, above which ground is mountains: a fifth of it."""

BAYS = 0.02
"""How far the coast swings, as a share of the side."""


def settled_cells(aside: int, n_points: int, sea: tuple[float, float], rng: np.random.Generator) -> Float64:
    """Draw ``n_points`` different cells of a tile with ``aside`` cells a side: column and row, (N, 2)."""
    density = _density(aside, sea, rng)
    # the largest of log-weight plus Gumbel noise are a weighted draw without replacement (Efraimidis & Spirakis 2006)
    ranks = np.log(density, out=np.full(density.shape, -np.inf), where=density > 0)
    ranks += rng.gumbel(size=density.shape)
    n_dry = int(np.count_nonzero(density))
    if n_points > n_dry:
        raise ValueError(f"wanted {n_points:,} cells of a tile whose land has {n_dry:,}; take fewer")
    kept = np.sort(np.argpartition(-ranks.ravel(), n_points - 1)[:n_points])
    row, column = np.divmod(kept, aside)
    return np.stack([column, row], axis=1).astype(np.float64)


def dry(
    easting: Float64 | float, northing: Float64 | float, sea: tuple[float, float], bays: Float64 | float = 0.0
) -> Float64:
    """How far inland a place is, as a share of the side; places are shares from the middle, -0.5 to 0.5."""
    share, towards = sea[0], np.radians(sea[1])
    return np.asarray(0.5 - share + bays - (easting * np.sin(towards) + northing * np.cos(towards)))


def _density(aside: int, sea: tuple[float, float], rng: np.random.Generator) -> Float64:
    """How likely each cell is to hold points, (row, column), 0 in the sea."""
    middles = (np.arange(aside) + 0.5) / aside - 0.5
    column, row = middles[None, :], middles[:, None]
    relief = np.sqrt(2 / 6) * _waves(6, (0.25, 0.8), column, row, rng)
    density = np.asarray(COUNTRY * np.exp(1.5 * _waves(8, (0.02, 0.15), column, row, rng) / np.sqrt(8)), np.float64)
    density[relief > ALPINE] *= COUNTRY
    for place in range(TOWNS + VILLAGES):
        east, north = rng.uniform(-0.5, 0.5, 2)
        radius = LARGEST_TOWN / np.sqrt(place + 1) if place < TOWNS else VILLAGE * rng.uniform(0.5, 1.5)
        _build(density, middles, east, north, radius, relief)
    if sea[0]:
        density[dry(column, row, sea, BAYS * _waves(4, (0.1, 0.5), column, row, rng) / 2) < 0] = 0.0
    return density


def _build(density: Float64, middles: Float64, east: float, north: float, radius: float, relief: Float64) -> None:
    """Add a town or a village, in place; not on a mountain."""
    aside = middles.size
    if relief[int((north + 0.5) * aside), int((east + 0.5) * aside)] > ALPINE:
        return
    rows, columns = (slice(*np.searchsorted(middles, [at - 5 * radius, at + 5 * radius])) for at in (north, east))
    distance = np.hypot(middles[None, columns] - east, middles[rows, None] - north)
    density[rows, columns] += np.exp(-distance / radius)


def _waves(
    number: int, lengths: tuple[float, float], column: Float64, row: Float64, rng: np.random.Generator
) -> Float64:
    """Sum of plane waves of amplitude 1 whose lengths are shares of the side."""
    total = np.zeros((row.size, column.size))
    for _ in range(number):
        length, heading, phase = rng.uniform([lengths[0], 0, 0], [lengths[1], 2 * np.pi, 2 * np.pi])
        east, north = (2 * np.pi / length * axis for axis in (column * np.sin(heading) + phase, row * np.cos(heading)))
        # sin(a + b) taken apart: a sine of every cell would be nine tenths of the second that a tile takes
        total += np.sin(east) * np.cos(north) + np.cos(east) * np.sin(north)
    return total
