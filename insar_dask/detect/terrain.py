"""Heights of a terrain model on the cells of maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError
from insar_dask.detect.areas import MapGrid

__all__ = ["check_heights", "heights_on"]


def heights_on(path: str | Path, grid: MapGrid) -> npt.NDArray[np.float32]:
    """(rows, columns) height of a raster at the cells of a grid [m], brought to its CRS; NaN where it has none.

    Bilinear, and of a raster finer than the cells the mean of what lies in each.

    Parameters
    ----------
    path : str or Path
        Raster of one band that rasterio reads.
    grid : MapGrid

    Raises
    ------
    ImportError
        Without rasterio.
    FileNotFoundError
        When there is no such file here: a worker needs it too.
    CubeError
        When the raster has no CRS.
    """
    try:
        import rasterio
        from rasterio.warp import Resampling, reproject
    except ImportError as error:
        raise ImportError("a terrain model needs rasterio: pip install insar-dask[geo]") from error
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no terrain model {path} on this machine: give a path that every worker has")
    heights = np.full((grid.rows, grid.columns), np.nan, np.float32)
    with rasterio.open(path) as source:
        if source.crs is None:
            raise CubeError(f"{Path(path).name} does not say its CRS: write it with one")
        place = rasterio.Affine(grid.cell, 0, grid.west, 0, -grid.cell, grid.north)
        target = {"dst_transform": place, "dst_crs": grid.crs_wkt}
        # a plain average of finer cells, and a plane between coarser ones
        finer = _side(source) < grid.cell
        how = Resampling.average if finer else Resampling.bilinear
        reproject(rasterio.band(source, 1), heights, **target, dst_nodata=np.nan, resampling=how)
    return heights


def check_heights(path: str | Path) -> None:
    """Raise `CubeError` where a file is no raster, or does not say where it lies."""
    try:
        import rasterio
    except ImportError as error:
        raise ImportError("a terrain model needs rasterio: pip install insar-dask[geo]") from error
    try:
        with rasterio.open(path) as source:
            known = source.crs is not None
    except rasterio.errors.RasterioIOError as error:
        raise CubeError(f"{Path(path).name} is no raster of heights: {error}; give a GeoTIFF, or none") from error
    if not known:
        raise CubeError(f"{Path(path).name} does not say its CRS: write it with one")


def _side(source: object) -> float:
    """Side of a raster's cells [m], about."""
    crs, (width, _) = source.crs, source.res  # type: ignore[attr-defined]
    return float(width) * (111_320.0 if crs.is_geographic else 1.0)
