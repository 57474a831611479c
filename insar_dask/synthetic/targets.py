"""Where the points of a scene lie and what they are called: radar targets in clusters, or cells of a Level 3 tile."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from insar_dask.synthetic.kinds import Kind
from insar_dask.synthetic.settlements import settled_cells
from insar_kernels.hilbert import hilbert_index

__all__ = ["CELL", "MAX_TILE", "Targets", "place_targets", "point_names", "scene_side"]

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

CELL = 100.0
"""Side of a Level 3 cell [m]."""

TILE_ASIDE = 1000
MAX_TILE = TILE_ASIDE**2
TARGETS_PER_CELL = 15.7
"""Mean of the real bursts, whose median is 10."""

COVERED = 0.7
TWINS = 0.004
"""Share of the targets that lie exactly where another does; so in real bursts."""

AZIMUTH_SPACING, GROUND_SPACING = 13.9, 3.8
HEADING = 191.42
TARGETS_STREAM, NAMES_STREAM = 3, 4
ALPHABET = np.array(list("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"))


class Targets(NamedTuple):
    """Points of a scene, each field of shape (N,): identity, place in EPSG:3035 [m], place in the radar image."""

    ids: Int64
    easting: Float64
    northing: Float64
    line: Int64
    pixel: Int64


def scene_side(kind: Kind, n_points: int) -> float:
    """Side of the square that holds a scene [m]."""
    return CELL * _cells_aside(kind, n_points)


def _cells_aside(kind: Kind, n_points: int) -> int:
    if kind.whole:
        return TILE_ASIDE
    n_cells = n_points / (1.0 if kind.gridded else TARGETS_PER_CELL)
    aside = 2 * int(np.ceil(np.sqrt(n_cells / COVERED) / 2))
    return min(aside, TILE_ASIDE) if kind.gridded else max(aside, 6)


def place_targets(kind: Kind, n_points: int, seed: int, order: Literal["hilbert", "file"]) -> Targets:
    """Place the points of a scene.

    Identities count targets by line and pixel, cells by northing and easting. ``order`` is that of the store (the
    Hilbert curve, ties by identity) or of EGMS's files (targets by northing, cells by identity).
    """
    rng = np.random.Generator(np.random.Philox(key=[seed, TARGETS_STREAM]))
    cells = _covered_cells(kind, n_points, rng)
    places = (cells + 0.5) * CELL if kind.gridded else _scattered(cells, n_points, rng)
    corner = np.round(np.array(kind.centre) / CELL - _cells_aside(kind, n_points) / 2) * CELL
    easting, northing = np.round(places + corner, 2).T
    line, pixel = _radar_place(easting - kind.centre[0], northing - kind.centre[1])
    first, second = (easting, northing) if kind.gridded else (pixel, line)
    ids = np.empty(n_points, np.int64)
    ids[np.lexsort((first, second))] = np.arange(n_points)
    by_file = ids if kind.gridded else northing
    into = np.lexsort((ids, hilbert_index(easting, northing) if order == "hilbert" else by_file))
    return Targets(ids[into], easting[into], northing[into], line[into], pixel[into])


def _covered_cells(kind: Kind, n_points: int, rng: np.random.Generator) -> Float64:
    """Column and row of the cells that carry points; sea, forest and fields carry none."""
    aside = _cells_aside(kind, n_points)
    if kind.whole:
        return settled_cells(aside, n_points, kind.sea, rng)
    row, column = np.divmod(np.arange(aside * aside), aside)
    bareness = rng.normal(0, 0.7, row.size)
    for _ in range(8):
        wave, heading, phase = rng.uniform([0.05 * aside, 0, 0], [0.5 * aside, 2 * np.pi, 2 * np.pi])
        bareness += np.sin(2 * np.pi * (column * np.sin(heading) + row * np.cos(heading)) / wave + phase)
    n_cells = n_points if kind.gridded else int(row.size * COVERED)
    kept = np.sort(np.argsort(bareness, kind="stable")[:n_cells])
    return np.stack([column[kept], row[kept]], axis=1).astype(np.float64)


def _scattered(cells: Float64, n_points: int, rng: np.random.Generator) -> Float64:
    """Targets within cells; how many a cell has is as uneven as on real ground (quartiles 4, 10, 22)."""
    richness = np.cumsum(rng.gamma(0.9, size=len(cells)))
    cell = np.searchsorted(richness[:-1], rng.uniform(0, richness[-1], n_points))
    places = (cells[cell] + rng.uniform(size=(n_points, 2))) * CELL
    twins = rng.choice(n_points, size=int(TWINS * n_points), replace=False)
    places[twins] = places[twins - 1]
    return places


def _radar_place(east: Float64, north: Float64) -> tuple[Int64, Int64]:
    """Line (along the track, northwards) and pixel (away from the satellite) of each target."""
    sine, cosine = np.sin(np.radians(HEADING - 180)), np.cos(np.radians(HEADING - 180))
    along, across = north * cosine + east * sine, north * sine - east * cosine
    line, pixel = np.floor(along / AZIMUTH_SPACING), np.floor(across / GROUND_SPACING)
    middle = 50_000  # lines and pixels count from a corner of the image
    return line.astype(np.int64) + middle, pixel.astype(np.int64) + middle


def point_names(ids: Int64, seed: int) -> npt.NDArray[np.str_]:
    """EGMS's names of points: 10 characters of base 62, ascending with the identity; shape (N,), ``<U10``.

    Among 20,000 names some are all digits and some read like ``1.2e7``, as in real products.
    """
    rng = np.random.Generator(np.random.Philox(key=[seed, NAMES_STREAM]))
    prefix = f"1{rng.integers(10_000):04d}"
    rest = ids * 7 if ids.size < 62**5 // 7 else ids
    letters = np.empty((ids.size, 5), "U1")
    for place in range(4, -1, -1):
        rest, digit = np.divmod(rest, 62)
        letters[:, place] = ALPHABET[digit]
    return np.strings.add(prefix, letters.view("U5")[:, 0])
