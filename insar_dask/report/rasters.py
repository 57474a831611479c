"""Products as a cloud-optimised GeoTIFF: a raster's or regular product's own grid, means per cell of other points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import LONG_NAMES_AND_UNITS, CubeError
from insar_dask.report.gridding import Grid, fit_grid
from insar_dask.report.own_cells import OwnCells, own_cells
from insar_dask.report.places import crs_wkt
from insar_dask.report.qgis_style import write_style
from insar_dask.spacing import grid_step

__all__ = ["write_geotiff"]

NODATA = -9999.0
"""The value that EGMS's own rasters use."""
TAGS = ("product", "component", "positive", "reference", "release", "source", "attribution")
DEFAULT_RESOLUTION = 100.0
DEFAULT_VARIABLES = (
    "velocity", "velocity_std", "acceleration", "acceleration_std", "seasonality", "seasonality_std", "rmse",
    "cumulative", "cluster",
)  # fmt: skip


def write_geotiff(
    products: xr.Dataset,
    path: str | Path,
    *,
    variables: Sequence[str] | None = None,
    resolution: float | None = None,
) -> Path:
    """Write products as one cloud-optimised GeoTIFF, a float32 band each, and the number of points as the last band.

    Beside it comes ``<name>.qml``, the colours of the report's map for the first band, which QGIS takes by itself.

    Parameters
    ----------
    products : xr.Dataset
        Variables over ``point`` with ``easting``, ``northing`` and ``crs``.
    path : str or Path
    variables : sequence of str, optional
        Bands; by default those of motion parameters, ``cumulative`` displacement and ``cluster`` that are there.
    resolution : float, optional
        Side of a cell [m]. By default the raster that the points were read from (``row``, ``col`` and ``grid``): its
        own cells and CRS, each with its point's value; else the product's own grid if the points form one (EGMS
        Level 3: 100 m), else 100 m. Cells hold the mean of their points, of labels (CF flags) the most frequent one;
        edges lie on multiples of ``resolution``.

    Returns
    -------
    Path
        ``path``; it appears only when it is whole.

    Raises
    ------
    ImportError
        If rasterio is not installed.
    CubeError
        If a variable or the CRS is missing, or there are no points, or two are one pixel of their raster.
    """
    try:
        import rasterio
        import rasterio.shutil
    except ImportError as error:
        raise ImportError("GeoTIFF needs rasterio: pip install insar-dask[geo]") from error
    path = Path(path)
    names = _bands(products, variables)
    grid = _grid(products, resolution)
    draft, whole = path.with_name(path.name + ".draft"), path.with_name(path.name + ".part")
    with rasterio.open(draft, "w", **_profile(products, grid, len(names) + 1)) as target:
        for band, name in enumerate(names, 1):
            cells = _cells(grid, products[name])
            target.write(np.where(np.isfinite(cells), cells, NODATA).astype(np.float32), band)
            _describe_band(target, band, name, products[name])
        target.update_tags(**{name: str(products.attrs[name]) for name in TAGS if name in products.attrs})
        target.write(grid.count().astype(np.float32), len(names) + 1)
        target.set_band_description(len(names) + 1, "count")
    # overviews that interpolate would make up labels
    thin = {"overview_resampling": "NEAREST"} if any(_is_label(products[name]) for name in names) else {}
    rasterio.shutil.copy(draft, whole, driver="COG", compress="DEFLATE", predictor="YES", blocksize=512, **thin)
    draft.unlink()
    write_style(path, names[0], products[names[0]].values)
    return whole.replace(path)


def _bands(products: xr.Dataset, variables: Sequence[str] | None) -> list[str]:
    names = [n for n in DEFAULT_VARIABLES if n in products] if variables is None else list(variables)
    missing = [name for name in names if name not in products or products[name].dims != ("point",)]
    if missing or not names:
        raise CubeError(
            f"no band can be made of {missing or 'nothing'}: the products have {sorted(map(str, products))}"
        )
    return names


def _grid(products: xr.Dataset, resolution: float | None) -> Grid | OwnCells:
    easting, northing = products["easting"].values, products["northing"].values
    if easting.size == 0:
        raise CubeError("the products have no points: nothing to rasterise")
    if resolution is None and (own := own_cells(products)) is not None:
        return own
    native = grid_step(np.stack([easting, northing], axis=1))
    if native is not None and resolution in (None, native):
        return fit_grid(easting, northing, native, centred=True)
    return fit_grid(easting, northing, DEFAULT_RESOLUTION if resolution is None else float(resolution))


def _cells(grid: Grid | OwnCells, variable: xr.DataArray) -> npt.NDArray[np.floating[Any]]:
    if isinstance(grid, OwnCells):
        values = variable.values
        return grid.place(np.where(values < 0, np.nan, values) if _is_label(variable) else values)
    if not _is_label(variable):
        return grid.mean(variable.values)
    labels = grid.most_frequent(variable.values, int(variable.max()) + 1)
    return np.where(labels < 0, np.nan, labels)


def _is_label(variable: xr.DataArray) -> bool:
    return "flag_values" in variable.attrs


def _profile(products: xr.Dataset, grid: Grid | OwnCells, count: int) -> dict[str, Any]:
    from rasterio import Affine

    if isinstance(grid, OwnCells):
        crs, width, height = grid.crs_wkt, grid.width, grid.height
    else:
        crs, width, height = crs_wkt(products), grid.cell, grid.cell
    return {
        "driver": "GTiff",
        "width": grid.columns,
        "height": grid.rows,
        "count": count,
        "dtype": "float32",
        "nodata": NODATA,
        "crs": crs,
        "transform": Affine(width, 0.0, grid.west, 0.0, -height, grid.north),
        "tiled": True,
        "compress": "DEFLATE",
        "BIGTIFF": "IF_SAFER",
    }


def _describe_band(target: Any, band: int, name: str, variable: xr.DataArray) -> None:
    target.set_band_description(band, name)
    unit = variable.attrs.get("units") or LONG_NAMES_AND_UNITS.get(name, ("", ""))[1]
    if unit:
        target.set_band_unit(band, unit)
