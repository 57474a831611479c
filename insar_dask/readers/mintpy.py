"""MintPy's HDF5 files (Yunjun, Fattahi and Amelung 2019, doi:10.1016/j.cageo.2019.104331) to point cubes.

Displacement is positive towards the satellite; 0 at every date where there is no data.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr
from pyproj import CRS

from insar_dask.cube import CubeError
from insar_dask.readers.mintpy_attributes import describe_series
from insar_dask.readers.mintpy_files import MintPyStack, geometry_at, open_stack, plane_at
from insar_dask.readers.pixel_points import Pixels, choose, count_pixels, cube_of_pixels
from insar_dask.readers.pixels import find_pixels
from insar_dask.readers.projection import Places, project

__all__ = ["read_mintpy"]

Whole = npt.NDArray[np.int64]
Beside = str | Path | None | Literal["beside"]

BESIDE = {
    "velocity": ("{prefix}velocity.h5",),
    "coherence": ("{prefix}temporalCoherence.h5",),
    "geometry": (
        "{prefix}geometryRadar.h5", "geometryGeo.h5", "inputs/geometryGeo.h5", "../inputs/geometryGeo.h5",
    ),
}  # fmt: skip
"""Where MintPy's own workflow leaves what belongs to a series."""


def read_mintpy(
    path: str | Path,
    *,
    velocity: Beside = "beside",
    coherence: Beside = "beside",
    geometry: Beside = "beside",
    lookup: str | Path | None = None,
    mask: str | Path | None = None,
    area: Any = None,
    area_crs: Any = None,
    min_coherence: float | None = None,
    crs: Any = None,
    source_crs: Any = None,
    units: str | None = None,
    nodata: float | None = None,
    reference_date: str | None = None,
    reference: str | None = None,
    release: str | None = None,
    track: str | None = None,
    orbit_direction: str | None = None,
    max_rejected: float = 0.01,
) -> xr.Dataset:
    """Read a MintPy time series (``timeseries*.h5``, ``geo_timeseries*.h5``) as a point cube in Hilbert order.

    The file is read once, tile by tile, to find the pixels that hold a series; displacement itself is read shard by
    shard when it is computed or saved. A pixel that is 0 at every date has no data, but for the reference pixel, which
    is 0 by definition; a single 0, such as those of the reference date, is a value.

    Parameters
    ----------
    path : str or Path
        The series.
    velocity, coherence, geometry : str, Path, None or "beside"
        ``velocity.h5``, ``temporalCoherence.h5`` and ``geometryGeo.h5`` (or ``geo_geometryRadar.h5``) of the same grid.
        By default those that MintPy leaves beside the series, if they are there; None for none. They give
        ``mintpy_velocity`` [mm yr-1] (computed from every date: never let a forecast read it), ``coherence``, and
        ``height``, ``incidence_angle``, ``azimuth_angle``, ``los_east``, ``los_north``, ``los_up``.
    lookup : str or Path, optional
        For a series in radar geometry: the file with its ``latitude`` and ``longitude`` (``inputs/geometryRadar.h5``),
        which is then the default of ``geometry`` too.
    mask : str or Path, optional
        File with a dataset ``mask`` (``maskTempCoh.h5``) or ``waterMask``; pixels where it is 0 are left out.
    area, area_crs : optional
        Keep points inside; as of `insar_dask.read_egms`, a box being in ``crs``.
    min_coherence : float, optional
        Keep points of at least this temporal coherence.
    crs : CRS-like, optional
        Projected CRS [m] of the points. Default: that of the file, or for one in degrees the UTM zone of its centre;
        longitude and latitude are kept then.
    source_crs, units : optional
        CRS and unit ("m", "cm", "mm") of a file that does not say them.
    nodata : float, optional
        A value that stands for no data, as stored, beside NaN; default: the file's NO_DATA_VALUE.
    reference_date, reference, release, track, orbit_direction : str, optional
        In the place of REF_DATE, of REF_Y and REF_X, of the years of the first and last date, of the track number, and
        of ORBIT_DIRECTION.
    max_rejected : float
        Largest share of pixels with values that may hold nonsense: an infinite value, or one value at every date.

    Returns
    -------
    xr.Dataset
        Point cube, (point, time) float32 mm, positive towards the satellite, with ``row``, ``col`` and ``grid``, by
        which `insar_dask.to_grid` puts any result back on the raster.

    Raises
    ------
    ImportError
        Without h5py (extra ``geo``).
    FileNotFoundError, CubeError
        No such file; not HDF5; not a series; radar geometry without ``lookup``; what the file does not say and the
        caller did not; grids that differ; nothing left.
    """
    path = Path(path)
    stack, attributes = open_stack(
        path, units=units, nodata=nodata, source_crs=source_crs, may_be_radar=lookup is not None
    )
    given = {
        "reference_date": reference_date, "reference": reference, "release": release, "track": track,
        "orbit_direction": orbit_direction,
    }  # fmt: skip
    attrs = describe_series(attributes, stack.times, given)
    row, column = attributes.number("REF_Y"), attributes.number("REF_X")
    always = [(int(row), int(column))] if row is not None and column is not None else []
    kept = find_pixels(stack, zero_is_missing=True, always=always, max_rejected=max_rejected)
    files = {
        "velocity": _beside(path, "velocity", velocity),
        "coherence": _beside(path, "coherence", coherence),
        "geometry": Path(lookup) if lookup and geometry == "beside" else _beside(path, "geometry", geometry),
        "mask": None if mask is None else Path(mask),
    }
    pixels = _pixels(stack, kept.pixels, files, None if lookup is None else Path(lookup), crs)
    pixels = choose(pixels, path.name, area, area_crs, min_coherence)
    attrs |= {"source": path.name, "source_blake3": stack.checksum, "source_size": path.stat().st_size}
    attrs |= {f"{what}_source": file.name for what, file in files.items() if file is not None}
    attrs |= count_pixels(stack, kept, pixels)
    return cube_of_pixels(stack, pixels, attrs, {"dtype": "float32"})


def _beside(path: Path, what: str, given: Beside) -> Path | None:
    if given is None or given != "beside":
        return None if given is None else Path(given)
    prefix = "geo_" if path.name.startswith("geo_") else ""
    found = (path.parent / name.format(prefix=prefix) for name in BESIDE[what])
    return next((file for file in found if file.is_file()), None)


def _pixels(stack: MintPyStack, flat: Whole, files: Mapping[str, Path | None], lookup: Path | None, crs: Any) -> Pixels:
    """Where the pixels lie, and what the other files say of them."""
    if files["mask"] is not None:
        wanted = plane_at(files["mask"], ("mask", "waterMask"), stack.grid, flat)
        flat = flat[np.nan_to_num(wanted) != 0]
        if flat.size == 0:
            raise CubeError(f"{stack.name}: no pixel with a series is inside the mask {files['mask'].name}")
    flat, places = _placed(stack, flat, lookup, crs)
    columns: dict[str, npt.NDArray[np.float32]] = {}
    if files["coherence"] is not None:
        columns["coherence"] = plane_at(files["coherence"], ("temporalCoherence", "coherence"), stack.grid, flat)
    if files["velocity"] is not None:
        for name, stored in (("mintpy_velocity", "velocity"), ("mintpy_velocity_std", "velocityStd")):
            columns[name] = plane_at(files["velocity"], (stored,), stack.grid, flat, in_mm=True)
    if files["geometry"] is not None:
        columns |= geometry_at(files["geometry"], stack.grid, flat)
    return Pixels(flat, places, columns)


def _placed(stack: MintPyStack, flat: Whole, lookup: Path | None, crs: Any) -> tuple[Whole, Places]:
    if lookup is None or stack.grid.on_map:
        row, column = np.divmod(flat, stack.grid.columns)
        x, y, centre = stack.grid.x(column), stack.grid.y(row), stack.grid.centre
        return flat, project(x, y, CRS.from_wkt(stack.grid.crs_wkt), crs, centre, stack.name)
    longitude = plane_at(lookup, ("longitude",), stack.grid, flat).astype(np.float64)
    latitude = plane_at(lookup, ("latitude",), stack.grid, flat).astype(np.float64)
    # a look-up table has 0 or NaN where a pixel was seen from no place
    known = np.isfinite(longitude) & np.isfinite(latitude) & ((longitude != 0) | (latitude != 0))
    if not known.any():
        raise CubeError(f"{lookup.name} places no pixel of {stack.name}: is it another track's?")
    longitude, latitude = longitude[known], latitude[known]
    centre = (longitude.min() + np.ptp(longitude) / 2, latitude.min() + np.ptp(latitude) / 2)
    return flat[known], project(longitude, latitude, CRS.from_epsg(4326), crs, centre, lookup.name)
