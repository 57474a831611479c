"""Points to maps: linear between points, means of pixels; weights once a tile, then a sparse product for all dates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.spatial import QhullError

from insar_dask.cube import CubeError, check_cube, describe
from insar_dask.tiling.squares import Square, tile_name
from insar_dask.tiling.surface import Surface
from insar_kernels.barycentric import add_weighted, mark_cells

__all__ = ["PROVIDERS", "rasterise"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Blocks = Callable[[], Iterator[tuple[slice, Float32]]]

PROVIDERS = {
    "egms_velocity": "egms_mean_velocity",
    "egms_acceleration": "egms_acceleration",
    "egms_seasonality": "egms_seasonality",
}
"""Maps of the provider's own columns, which have seen the whole release, and the columns."""

ATTRIBUTES = ("product", "component", "positive", "reference_date", "reference", "release", "track", "pass")

GATHERED_BYTES = 1 << 27
"""Values held at once while dates with missing values are mapped."""

BLOCK_POINTS = 65_536


def rasterise(
    cube: xr.Dataset,
    *,
    pixels: int = 256,
    cells: int = 64,
    extent: Sequence[float] | None = None,
    tile: str | None = None,
) -> xr.Dataset:
    """Map the points of a cube onto the square cells of a tile, date by date.

    Displacement is interpolated linearly between the points (on their Delaunay triangulation) to the centres of
    ``pixels`` x ``pixels`` pixels, outside their hull taken from the nearest point, and averaged over square blocks to
    ``cells`` x ``cells`` cells. Where it is interpolated over water or woods, it is fill: ``mask`` says which cells
    hold a measured point.

    Both steps are linear in the points' values. So the weights of all points in each cell are found once, and every
    date is one product with a sparse matrix of at most ``3 pixels²`` weights. A point that is missing at a date is not
    there: the triangles about it are made anew for each pattern of missing points. Where four points lie on one circle,
    as on a regular grid, either diagonal is Delaunay, and which is taken is left open.

    Parameters
    ----------
    cube : xr.Dataset
        Point cube; lazy cubes are read block by block, several times where values are missing.
    pixels, cells : int
        Pixels and cells on a side; pixels a multiple of cells.
    extent : (west, south, east, north), optional
        A square in the cube's CRS [m]. Default: the 100 km of a tile of EGMS Level 3, else the square about the middle
        of all points.
    tile : str, optional
        Name. Default: that of the EGMS tile, else of the cube's source.

    Returns
    -------
    xr.Dataset
        Tile cube over ``(tile, time, y, x)``, in memory, one tile; rows from north to south: ``displacement`` [mm],
        finite in every cell at a date that has any value, else NaN everywhere; ``mask``, true where the cell has a
        point with a value at the date; the provider's ``egms_velocity``, ``egms_acceleration`` and
        ``egms_seasonality`` where the cube has them; coordinates ``tile``, ``time``, ``easting`` and ``northing`` of
        the cells' centres [m], ``crs``; attributes of the cube, ``cell`` [m] and ``sources``.

    Raises
    ------
    CubeError
        When the cube is none; for fewer than three points, two at the same place, all on one line, none in the tile,
        none with a value.
    ValueError
        When ``pixels`` is no multiple of ``cells``.
    """
    check_cube(cube)
    name = tile or tile_name(cube)
    places = np.stack([np.asarray(cube[axis].values) for axis in ("easting", "northing")], axis=1)
    _check_places(places, cube, name)
    square = Square.of(cube, name, pixels, cells, extent)
    try:
        surface = Surface(places, square.centres())
    except QhullError as error:
        raise CubeError(
            f"tile {name}: its {len(places):,} points lie on one line, so nothing lies between them: take more points"
        ) from error
    cell, groups = square.cell_of(*places.T), square.groups()
    maps, mask = _maps(surface, groups, cell, _blocks(cube["displacement"]), cube.sizes["time"])
    if not mask.any():
        raise CubeError(f"tile {name}: no point in it has a value at any of {cube.sizes['time']} dates: leave it out")
    provided = {}
    for ours in (ours for ours, theirs in PROVIDERS.items() if theirs in cube.variables):
        column = np.asarray(cube[PROVIDERS[ours]].values, np.float32)[:, None]
        provided[ours] = _maps(surface, groups, cell, partial(_one_block, column), 1)[0]
    return _tile_cube(cube, name, square, maps, mask, provided)


def _maps(
    surface: Surface, groups: npt.NDArray[np.int32], cell: npt.NDArray[np.int32], blocks: Blocks, n_dates: int
) -> tuple[Float64, npt.NDArray[np.bool_]]:
    """Means (cells, dates) of each date's values, and where cells have any."""
    n_points, n_cells = cell.size, int(groups.max()) + 1
    sums, mask = np.zeros((n_cells, n_dates)), np.zeros((n_cells, n_dates), bool)
    matrix = surface.mixture.means(groups, n_points)
    for where, values in blocks():
        _add(sums, matrix[:, where], values)
        mark_cells(mask, cell[where], values)
    gappy = np.flatnonzero(np.isnan(sums).any(axis=0))
    at_once = max(GATHERED_BYTES // (4 * n_points), 1)
    for first in range(0, gappy.size, at_once):
        dates = gappy[first : first + at_once]
        values = np.empty((n_points, dates.size), np.float32)
        for where, block in blocks():
            values[where] = block[:, dates]
        sums[:, dates] = _with_gaps(surface, groups, values)
    return sums, mask


def _with_gaps(surface: Surface, groups: npt.NDArray[np.int32], values: Float32) -> Float64:
    """Means of dates at which points are missing: dates that lack the same points share their triangles."""
    missing = np.isnan(values)
    patterns: dict[bytes, list[int]] = {}
    for date in range(values.shape[1]):
        patterns.setdefault(np.packbits(missing[:, date]).tobytes(), []).append(date)
    means = np.zeros((int(groups.max()) + 1, values.shape[1]))
    for dates in patterns.values():
        gone = missing[:, dates[0]]
        if gone.all():
            means[:, dates] = np.nan
            continue
        part = np.zeros((len(means), len(dates)))
        _add(part, surface.without(gone).means(groups, len(gone)), np.ascontiguousarray(values[:, dates]))
        means[:, dates] = part
    return means


def _add(sums: Float64, matrix: Any, values: Float32) -> None:
    add_weighted(sums, matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data, values)


def _blocks(displacement: xr.DataArray) -> Blocks:
    """Goes over the values, some points at a time; a lazy array by its own chunks."""
    chunks = displacement.chunksizes.get("point") or (BLOCK_POINTS,) * -(-displacement.sizes["point"] // BLOCK_POINTS)
    ends = np.minimum(np.cumsum(chunks), displacement.sizes["point"]).tolist()

    def go() -> Iterator[tuple[slice, Float32]]:
        for start, stop in zip([0, *ends], ends, strict=False):
            where = slice(start, stop)
            yield where, np.ascontiguousarray(displacement[where].values)

    return go


def _one_block(values: Float32) -> Iterator[tuple[slice, Float32]]:
    yield slice(len(values)), values


def _check_places(places: Float64, cube: xr.Dataset, name: str) -> None:
    if len(places) < 3:
        raise CubeError(f"tile {name} has {len(places)} points; linear interpolation takes at least 3: leave it out")
    if not np.isfinite(places).all():
        raise CubeError(f"tile {name}: easting or northing of a point is no number: drop it with .isel(point=...)")
    order = np.lexsort(places.T)
    same = (places[order[1:]] == places[order[:-1]]).all(axis=1)
    if same.any():
        first = int(np.argmax(same))
        one, other = (str(cube["point_id"].values[order[at]]) for at in (first, first + 1))
        raise CubeError(
            f"tile {name}: points {one!r} and {other!r} lie at the same place, as do {same.sum():,} in all: keep one "
            "of each, or their mean, with .isel(point=...)"
        )


def _tile_cube(
    cube: xr.Dataset, name: str, square: Square, maps: Float64, mask: Any, provided: dict[str, Float64]
) -> xr.Dataset:
    side = square.cells
    shape = (1, cube.sizes["time"], side, side)
    variables: dict[str, Any] = {
        "displacement": (
            ("tile", "time", "y", "x"),
            maps.T.reshape(shape).astype(np.float32),
            describe("displacement"),
        ),
        "mask": (("tile", "time", "y", "x"), mask.T.reshape(shape).copy(), {"long_name": "cell with a measured point"}),
    }
    for ours, values in provided.items():
        attrs = cube[PROVIDERS[ours]].attrs
        variables[ours] = (("tile", "y", "x"), values.reshape(1, side, side).astype(np.float32), attrs)
    coords = {
        "tile": ("tile", [name]),
        "time": cube["time"].variable,
        "easting": (("tile", "x"), square.easting(side)[None], describe("easting")),
        "northing": (("tile", "y"), square.northing(side)[None], describe("northing")),
        "crs": cube["crs"].variable,
    }
    attrs = {name: cube.attrs[name] for name in ATTRIBUTES if name in cube.attrs}
    source = str(cube.attrs.get("source", name))
    more = {"cell": square.cell, "pixels": square.pixels, "sources": [source]}
    return xr.Dataset(variables, coords, {**attrs, "sees_future": cube.attrs.get("sees_future", 0), **more})
