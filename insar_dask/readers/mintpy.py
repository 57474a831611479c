"""MintPy's HDF5 files (Yunjun, Fattahi and Amelung 2019, doi:10.1016/j.cageo.2019.104331) to point cubes.

Displacement is positive towards the satellite; 0 at every date where there is no data.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xarray as xr

from insar_dask.readers.mintpy_attributes import describe_series
from insar_dask.readers.mintpy_files import open_stack
from insar_dask.readers.mintpy_pixels import Beside, Companions, find_places
from insar_dask.readers.pixel_points import choose, count_pixels, cube_of_pixels
from insar_dask.readers.pixels import find_pixels

__all__ = ["read_mintpy"]


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
    rejected: str | Path | None = None,
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
    rejected : str or Path, optional
        Where the place and reason of each such pixel go, if there are any.

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
    OSError
        When the rejected pixels cannot be written.
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
    quarantine = None if rejected is None else Path(rejected)
    kept = find_pixels(stack, zero_is_missing=True, always=always, max_rejected=max_rejected, quarantine=quarantine)
    files = Companions.of(path, velocity, coherence, geometry, lookup, mask)
    pixels = find_places(stack.grid, path.name, kept.pixels, files, crs)
    pixels = choose(pixels, path.name, area, area_crs, min_coherence)
    attrs |= {"source": path.name, "source_blake3": stack.files.checksum, "source_size": stack.files.size}
    attrs |= files.attributes()
    attrs |= count_pixels(stack, kept, pixels)
    return cube_of_pixels(stack, pixels, attrs, {"dtype": "float32"})
