"""Points to maps: linear between points, means of pixels; the weights once a tile, a sparse product for all dates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.spatial import QhullError

from insar_dask.cube import MOST_MM, CubeError, check_cube, describe
from insar_dask.tiling.mixing import Mixer
from insar_dask.tiling.squares import Square, tile_name
from insar_dask.zeros import counted, of_common_zero

__all__ = ["map_tile", "provided_by", "rasterise", "square_of", "tile_cube"]

Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

PROVIDERS = {
    "egms_velocity": "egms_mean_velocity",
    "egms_acceleration": "egms_acceleration",
    "egms_seasonality": "egms_seasonality",
}
"""Maps of the provider's own columns, which have seen the whole release, and the columns."""

ATTRIBUTES = ("product", "component", "positive", "reference_date", "reference", "release", "track", "pass")


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
    there: the triangles about it are made anew for each pattern of missing points. Points at one place count as their
    mean. Where four points lie on one circle, as on a regular grid, either diagonal is Delaunay, and which is taken is
    left open.

    Points that begin later than their record count displacement from dates of their own (``zero_day`` of
    `insar_dask.invert`), which would be motion beside the others': they are left out. With method="nsbas" and
    fill="model" no point begins later.

    Nothing is refused for want of memory: `insar_dask.save_tiles` predicts what a stored cube takes, and does.

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
        the cells' centres [m], ``crs``; attributes of the cube, ``cell`` [m], ``sources``, and ``n_begin_later`` where
        points were left out.

    Raises
    ------
    CubeError
        When it is no cube; for fewer than three points, all on one line, none in the tile, none with a value,
        all of them beginning later, or values that cannot be millimetres.
    ValueError
        When ``pixels`` is no multiple of ``cells``.
    """
    check_cube(cube)
    name = tile or tile_name(cube)
    return map_tile(cube, name, square_of(cube, name, pixels, cells, extent))


def square_of(cube: xr.Dataset, name: str, pixels: int, cells: int, extent: Sequence[float] | None) -> Square:
    """Where the cells of a tile lie, as `rasterise` places them; raises what it says of places."""
    cube, n_later = of_common_zero(cube)
    _check_places(_places(cube), name, n_later)
    return Square.of(cube, name, pixels, cells, extent)


def map_tile(cube: xr.Dataset, name: str, square: Square, scheduler: str | None = None) -> xr.Dataset:
    """As `rasterise`, onto a square that is known; ``scheduler`` is Dask's, of a lazy cube."""
    cube, n_later = of_common_zero(cube, scheduler)
    places = _places(cube, scheduler)
    try:
        mixer = Mixer(places, square)
    except QhullError as error:
        raise CubeError(
            f"tile {name}: its {len(places):,} points lie on one line or at two places, so nothing lies between them: "
            "take more points"
        ) from error
    maps, mask = mixer.series(cube["displacement"], scheduler)
    if not mask.any():
        raise CubeError(
            f"tile {name}: no point in it has a value at any of {cube.sizes['time']} dates"
            f"{counted(n_later)}: leave it out"
        )
    wild = np.flatnonzero((~(np.abs(maps) <= MOST_MM)).any(axis=0) & mask.any(axis=0))
    if wild.size:
        date = np.datetime_as_string(cube["time"].values[wild[0]], "D")
        raise CubeError(
            f"tile {name}: on {date}, one of {wild.size} such dates, "
            "a point has what cannot be millimetres: set to NaN what was not measured, as in "
            "cube.assign(displacement=cube.displacement.where(abs(cube.displacement) < 1e6))"
        )
    provided = {ours: mixer.once(_values(cube, PROVIDERS[ours], scheduler)) for ours in provided_by(cube)}
    return tile_cube(cube, name, square, maps, mask, provided, n_later)


def provided_by(cube: xr.Dataset) -> list[str]:
    """Maps of the provider's columns that a cube has."""
    return [ours for ours, theirs in PROVIDERS.items() if theirs in cube.variables]


def tile_cube(
    cube: xr.Dataset,
    name: str,
    square: Square,
    maps: Float64,
    mask: Bool,
    provided: Mapping[str, Float64],
    n_later: int = 0,
) -> xr.Dataset:
    """Means and mask (cells, T) and provided maps (cells,) as the tile cube of one tile; so many points left out."""
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
        what = cube[PROVIDERS[ours]].attrs
        variables[ours] = (("tile", "y", "x"), values.reshape(1, side, side).astype(np.float32), what)
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
    if n_later:
        more["n_begin_later"] = n_later
    return xr.Dataset(variables, coords, {**attrs, "sees_future": cube.attrs.get("sees_future", 0), **more})


def _places(cube: xr.Dataset, scheduler: str | None = None) -> Float64:
    return np.stack([_values(cube, axis, scheduler) for axis in ("easting", "northing")], axis=1)


def _values(cube: xr.Dataset, name: str, scheduler: str | None) -> npt.NDArray[Any]:
    return np.asarray(cube[name].variable.compute(scheduler=scheduler).values)


def _check_places(places: Float64, name: str, n_later: int) -> None:
    if len(places) < 3:
        raise CubeError(
            f"tile {name} has {len(places)} points{counted(n_later)}; linear interpolation takes at least 3: leave it "
            "out"
        )
    if not np.isfinite(places).all():
        raise CubeError(f"tile {name}: easting or northing of a point is no number: drop it with .isel(point=...)")
