"""A MintPy velocity alone, without its series, as motion parameters of points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from insar_dask.cube import CubeError, describe
from insar_dask.readers.declared import millimetres
from insar_dask.readers.hdf5_source import dataset, open_hdf5
from insar_dask.readers.mintpy_attributes import Attributes, describe_series, grid_of, parse_dates
from insar_dask.readers.mintpy_files import has_plane, plane_at
from insar_dask.readers.mintpy_pixels import Beside, Companions, find_places
from insar_dask.readers.pixel_points import choose, points_of_pixels
from insar_dask.readers.source_files import SourceFiles

__all__ = ["read_mintpy_velocity"]


def read_mintpy_velocity(
    path: str | Path,
    *,
    coherence: Beside = "beside",
    geometry: Beside = "beside",
    lookup: str | Path | None = None,
    mask: str | Path | None = None,
    area: Any = None,
    area_crs: Any = None,
    min_coherence: float | None = None,
    crs: Any = None,
    source_crs: Any = None,
    reference_date: str | None = None,
    reference: str | None = None,
    release: str | None = None,
    track: str | None = None,
    orbit_direction: str | None = None,
) -> xr.Dataset:
    """Read ``velocity.h5`` as `insar_dask.motion` would give it: ``velocity`` and ``velocity_std`` over ``point``.

    Parameters
    ----------
    path : str or Path
        The velocity, which is 0 where there is no data, and at the reference pixel, where it is a value.
    coherence, geometry, lookup, mask, area, area_crs, min_coherence, crs, source_crs : optional
        As of `insar_dask.read_mintpy`.
    reference_date, reference, release, track, orbit_direction : str, optional
        As of `insar_dask.read_mintpy`.

    Returns
    -------
    xr.Dataset
        (point,) float32 mm yr-1, in memory, positive towards the satellite, in Hilbert order; `insar_dask.to_grid` puts
        it back on its raster. It has seen the whole series.

    Raises
    ------
    ImportError, FileNotFoundError, CubeError
        As of `insar_dask.read_mintpy`.
    """
    path = Path(path)
    content = SourceFiles.seen([path])
    with open_hdf5(path) as file:
        stored = dataset(file, "velocity", path, 2)
        attributes = Attributes(path.name, {**file.attrs, **stored.attrs})
        grid = grid_of(attributes, stored.shape, source_crs)
    if not grid.on_map and lookup is None:
        raise CubeError(f"{path.name} is in radar geometry (it has no X_FIRST): pass lookup='inputs/geometryRadar.h5'")
    millimetres(attributes.text("UNIT"), path.name)
    ends = [attributes.needed(key, None, f"a file with {key}") for key in ("START_DATE", "END_DATE")]
    given = {
        "reference_date": reference_date, "reference": reference, "release": release, "track": track,
        "orbit_direction": orbit_direction,
    }  # fmt: skip
    attrs = describe_series(attributes, parse_dates(np.array(ends), path.name)[0], given)
    every = np.arange(grid.rows * grid.columns)
    velocity = plane_at(path, ("velocity",), grid, every, in_mm=True)
    row, column = attributes.number("REF_Y"), attributes.number("REF_X")
    pixel = -1 if row is None or column is None else int(row) * grid.columns + int(column)
    found = np.flatnonzero(np.isfinite(velocity) & ((velocity != 0) | (every == pixel)))
    if found.size == 0:
        raise CubeError(f"{path.name}: none of {every.size} pixels has a velocity other than no-data")
    files = Companions.of(path, None, coherence, geometry, lookup, mask)
    pixels = choose(find_places(grid, path.name, found, files, crs), path.name, area, area_crs, min_coherence)
    order, coords = points_of_pixels(grid, pixels)
    flat = pixels.flat[order]
    variables = {"velocity": ("point", velocity[flat], {**describe("velocity"), "grid_mapping": "crs"})}
    if has_plane(path, "velocityStd"):
        std = plane_at(path, ("velocityStd",), grid, every, in_mm=True)[flat]
        variables["velocity_std"] = ("point", std, {**describe("velocity_std"), "grid_mapping": "crs"})
    attrs |= {"source": path.name, "source_blake3": content.hashed().checksum, "source_size": content.size}
    attrs |= {**files.attributes(), "sees_future": -1, "n_pixels": every.size, "n_empty": every.size - found.size}
    del attrs["featureType"]
    return xr.Dataset(variables, coords=coords, attrs=attrs)
