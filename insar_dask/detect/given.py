"""Outlines that somebody drew, judged on maps of motion as those that were found are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.detect.areas import Areas, MapGrid, shapely_of
from insar_dask.detect.cards import cards_of
from insar_dask.detect.labelling import Cells
from insar_dask.detect.rules import Rule, background_of, lenient
from insar_dask.readers.crs import crs_of

__all__ = ["cells_of_outlines", "checked", "in_crs", "judge_areas", "read_areas"]


def read_areas(path: str | Path, crs: Any = None) -> Areas:
    """Read outlines from a file that GDAL knows, or from GeoParquet; other columns come along.

    From GeoParquet and GeoJSON that `insar_dask.detect.writing.write_areas` wrote, what all areas share comes along
    too: names of an older vintage can be carried on from it. Dates are text, such as 2023-12-31.

    Parameters
    ----------
    path : str or Path
    crs : optional
        Bring the outlines to this CRS, such as 3035; GeoJSON is in degrees. Default: that of the file.

    Raises
    ------
    ImportError
        Without geopandas.
    CubeError
        When there is no polygon in it, an outline is empty, or it says no CRS.
    """
    try:
        import geopandas
    except ImportError as error:
        raise ImportError("reading outlines needs geopandas: pip install insar-dask[geo]") from error
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}")
    frame = geopandas.read_parquet(path) if path.suffix == ".parquet" else geopandas.read_file(path)
    if frame.crs is None:
        raise CubeError(f"{path.name} does not say its CRS: write it with one")
    columns = {str(name): _dated(frame[name].to_numpy()) for name in frame.columns if name != frame.geometry.name}
    attrs = {"source": path.name, **_recipe(path), **frame.attrs, "file": path.name}
    areas = checked(Areas(list(frame.geometry), columns, frame.crs.to_wkt(), attrs))
    return areas if crs is None else in_crs(areas, crs_of(crs, "crs").to_wkt())


def _recipe(path: Path) -> dict[str, Any]:
    """What all areas of a GeoJSON of ours share; nothing of another file."""
    if path.suffix not in (".geojson", ".json"):
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError:  # GDAL reads rows of documents too
        return {}
    recipe = document.get("recipe") if isinstance(document, dict) else None
    return recipe if isinstance(recipe, dict) else {}


def _dated(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A column, dates as text: GDAL makes them of what looks like one."""
    if values.dtype.kind != "M":
        return values
    days, known = values.astype("datetime64[D]"), ~np.isnat(values)
    whole = (days[known] == values[known]).all()
    texts = (days if whole else values.astype("datetime64[s]")).astype(str)
    return np.where(known, texts, "").astype(object)


def checked(areas: Areas) -> Areas:
    """Areas whose outlines are polygons with something in them, made valid; else `CubeError`."""
    shapely, source = shapely_of(), areas.attrs.get("file") or areas.attrs.get("source", "the inventory")
    if not len(areas):
        raise CubeError(f"{source} holds no polygon: draw some, or leave it out")
    for number, outline in enumerate(areas.geometry):
        kind = getattr(outline, "geom_type", type(outline).__name__)
        if kind not in ("Polygon", "MultiPolygon"):
            raise CubeError(f"{source}: outline {number} is a {kind}, wanted a polygon: leave it out")
        if outline.is_empty or outline.area == 0:
            raise CubeError(f"{source}: outline {number} is empty: it holds no ground, leave it out")
    valid = [shapely.make_valid(outline) for outline in areas.geometry]
    return Areas(valid, areas.columns, areas.crs_wkt, areas.attrs)


def cells_of_outlines(areas: Areas, grid: MapGrid) -> list[Cells]:
    """Cells whose middles lie in each outline; `CubeError` where an outline, or every one, holds none."""
    cells = [grid.inside(outline) for outline in areas.geometry]
    bare = [number for number, mine in enumerate(cells) if not len(mine.row)]
    source = areas.attrs.get("file") or areas.attrs.get("source", "the inventory")
    if len(bare) == len(areas):
        raise CubeError(
            f"{source}: none of {len(areas)} outlines holds the middle of a cell of the maps, which begin at "
            f"({grid.west:.0f}, {grid.north:.0f}) in cells of {grid.cell:g} m: do they lie elsewhere?"
        )
    if bare:
        raise CubeError(
            f"{source}: outlines {bare[:5]} hold no middle of a cell of {grid.cell:g} m, or lie beyond the maps: leave "
            "them out (areas.part), or take smaller cells"
        )
    return cells


def judge_areas(outlines: Areas | Sequence[Any], maps: xr.Dataset, rule: Rule | None = None) -> Areas:
    """Tell of given outlines what is told of those that are found.

    Parameters
    ----------
    outlines : Areas or sequence of shapely polygons
        In any CRS; polygons alone in that of the maps.
    maps : xr.Dataset
        As of `insar_dask.detect.finding.find_areas`.
    rule : Rule, optional
        Whose votes are told; its thresholds decide nothing, and what it asks for need not be there.

    Returns
    -------
    Areas
        In the CRS of the maps, with the columns of `insar_dask.detect.cards.cards_of`, of the cells whose middles lie
        in an outline. The attribute ``not_judged`` says what the maps lack, and so could not be voted on.

    Raises
    ------
    CubeError
        When an outline is empty, or none lies on the maps; one that holds no cell of them is named.
    """
    grid = MapGrid.of(maps)
    areas = outlines if isinstance(outlines, Areas) else Areas(list(outlines), {}, grid.crs_wkt, {"source": "given"})
    areas = in_crs(checked(areas), grid.crs_wkt)
    cells = cells_of_outlines(areas, grid)
    less, missing = lenient(rule or Rule(), map(str, maps.data_vars))
    judged = cards_of(areas, maps, cells, less, background_of(maps, less))
    return judged.with_columns({}, not_judged=missing) if missing else judged


def in_crs(areas: Areas, crs_wkt: str) -> Areas:
    """Areas with their outlines in a CRS."""
    if areas.crs_wkt == crs_wkt:
        return areas
    from pyproj import CRS, Transformer

    here, there = CRS.from_wkt(areas.crs_wkt), CRS.from_wkt(crs_wkt)
    if here == there:
        return Areas(areas.geometry, areas.columns, crs_wkt, areas.attrs)
    transformer = Transformer.from_crs(here, there, always_xy=True)
    shapely = shapely_of()

    def moved(places: Any) -> Any:
        return np.stack(transformer.transform(*places.T), axis=1)

    return Areas([shapely.transform(o, moved) for o in areas.geometry], areas.columns, crs_wkt, areas.attrs)
