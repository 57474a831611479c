"""Where the measurement points of a scene lie: radar targets in clusters, or the cells of a Level 3 tile."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from insar_kernels.hilbert import hilbert_index

from insar_dask.synthetic.kinds import Kind

__all__ = ["place_points", "point_ids", "scene_side"]

Float64 = npt.NDArray[np.float64]
CELL = 100.0
POINTS_PER_CELL = 15.7
"""Mean of two real bursts, whose median is 10."""

OCCUPIED = 0.7
TILE_CELLS = 1000
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def scene_side(kind: Kind, n_points: int) -> float:
    """Side of the square that holds ``n_points`` [m]."""
    return CELL * _cells_aside(kind, n_points)


def _cells_aside(kind: Kind, n_points: int) -> int:
    cells = n_points / (1.0 if kind.gridded else POINTS_PER_CELL)
    aside = int(np.ceil(np.sqrt(cells / OCCUPIED)))
    aside += aside % 2
    return min(aside, TILE_CELLS) if kind.gridded else max(aside, 6)


def place_points(kind: Kind, n_points: int, seed: int) -> tuple[Float64, Float64]:
    """Easting and northing of each point in Hilbert order [m], each (N,)."""
    rng = np.random.Generator(np.random.Philox(key=[seed, 3]))
    cells = _occupied_cells(kind, n_points, rng)
    if kind.gridded:
        easting, northing = (cells + 0.5).T * CELL
    else:
        easting, northing = _targets(cells, n_points, rng)
    corner = np.round(np.array(kind.centre) / CELL - _cells_aside(kind, n_points) / 2) * CELL
    easting, northing = easting + corner[0], northing + corner[1]
    order = np.argsort(hilbert_index(easting, northing), kind="stable")
    return np.round(easting[order], 2), np.round(northing[order], 2)


def _occupied_cells(kind: Kind, n_points: int, rng: np.random.Generator) -> Float64:
    aside = _cells_aside(kind, n_points)
    y, x = np.divmod(np.arange(aside * aside), aside)
    cover = rng.normal(0, 0.7, x.size)  # sea, forest and fields carry no points
    for _ in range(8):
        wave = rng.uniform(0.05, 0.5) * aside
        heading, phase = rng.uniform(0, 2 * np.pi, 2)
        cover += np.sin(2 * np.pi * (x * np.sin(heading) + y * np.cos(heading)) / wave + phase)
    n_cells = n_points if kind.gridded else int(x.size * OCCUPIED)
    kept = np.sort(np.argsort(cover, kind="stable")[:n_cells])
    return np.stack([x[kept], y[kept]], axis=1).astype(np.float64)


def _targets(cells: Float64, n_points: int, rng: np.random.Generator) -> tuple[Float64, Float64]:
    richness = rng.gamma(0.9, size=len(cells))
    share = np.cumsum(richness) / richness.sum()
    cell = np.minimum(np.searchsorted(share, rng.uniform(size=n_points)), len(cells) - 1)
    place = (cells[cell] + rng.uniform(size=(n_points, 2))) * CELL
    twins = rng.choice(n_points, size=n_points // 250, replace=False)  # real bursts hold 0.4 % of them
    place[twins] = place[(twins + 1) % n_points]
    return place[:, 0], place[:, 1]


def point_ids(n_points: int, seed: int) -> npt.NDArray[np.str_]:
    """Ten characters of base 62, ascending; some consist of digits, or read like 1.6e12. Shape (N,), ``<U10``."""
    rng = np.random.Generator(np.random.Philox(key=[seed, 4]))
    prefix = f"1{rng.integers(10_000):04d}"
    number = np.arange(n_points, dtype=np.int64) * 3
    letters = np.empty((n_points, 5), "U1")
    alphabet = np.array(list(DIGITS))
    for place in range(4, -1, -1):
        number, digit = np.divmod(number, 62)
        letters[:, place] = alphabet[digit]
    tails = np.ascontiguousarray(letters).view("U5")[:, 0]
    return np.char.add(prefix, tails)
