"""Areas of interest: a box or polygons in any CRS, asked about points given in EPSG:3035.

Polygons come as GeoJSON (file, mapping, or anything with ``__geo_interface__``: shapely, geopandas) or as any file that
pyogrio reads (the ``geo`` extra). Points are carried into the area's CRS, not the area into theirs: its edges stay
straight where its author drew them straight.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pyproj import CRS, Transformer

from insar_dask.cube import CubeError
from insar_dask.readers.crs import crs_of

__all__ = ["Area", "area_files", "open_area", "points_inside"]

Floats = npt.NDArray[np.float64]
Box = tuple[float, float, float, float]

EPSG = 3035
GEOJSON_CRS = "EPSG:4326"
GEOJSON_SUFFIXES = (".geojson", ".json")
SHAPEFILE_SUFFIXES = (".cpg", ".dbf", ".prj", ".shx")
MARGIN = 0.01  # of the box's size: the curved edges of a carried box bulge by less


@dataclass(frozen=True)
class Area:
    """Polygons (each a list of closed rings, (vertices, 2)) or, without any, the box itself, in ``crs``."""

    box: Box
    polygons: tuple[tuple[Floats, ...], ...]
    crs: CRS

    def contains(self, easting: Floats, northing: Floats, crs: Any = EPSG) -> npt.NDArray[np.bool_]:
        """Which points, given in ``crs``, lie inside; (n,) bool."""
        inside = np.ones(easting.size, bool)
        here = CRS.from_user_input(crs)
        if self.crs != here:
            inside = _in_box(easting, northing, self._box_in(here))
            transformer = Transformer.from_crs(here, self.crs, always_xy=True)
            easting, northing = transformer.transform(easting[inside], northing[inside])
        within = _in_box(easting, northing, self.box)
        if self.polygons:
            within[within] = _in_any(easting[within], northing[within], self.polygons)
        inside[inside] = within
        return inside

    def _box_in(self, crs: CRS) -> Box:
        west, south, east, north = Transformer.from_crs(self.crs, crs, always_xy=True).transform_bounds(*self.box)
        wide, high = MARGIN * (east - west) + 1.0, MARGIN * (north - south) + 1.0
        return west - wide, south - high, east + wide, north + high


def area_files(path: Path) -> list[Path]:
    """All files that say where the area in a file lies: a shapefile has its CRS and more in others beside it."""
    beside = SHAPEFILE_SUFFIXES if path.suffix.lower() == ".shp" else ()
    return [path, *(file for suffix in beside if (file := path.with_suffix(suffix)).is_file())]


def points_inside(area: Any, easting: Floats, northing: Floats, crs: Any) -> npt.NDArray[np.bool_]:
    """Which points, given in ``crs``, lie in an area (see ``open_area``; a box is in ``crs`` too); (n,) bool."""
    return open_area(area, home=crs).contains(easting, northing, crs)


def open_area(area: Any, crs: Any = None, *, home: Any = EPSG) -> Area:
    """Make an area of what a user has.

    Parameters
    ----------
    area : sequence of 4 floats, mapping, path or geometry
        West, south, east, north; GeoJSON as a mapping; a GeoJSON or GeoPackage or other vector file; or an object with
        ``__geo_interface__``.
    crs : optional
        CRS of the area, anything pyproj takes. Default: the area's own; EPSG:4326 for GeoJSON; else ``home``.
    home : optional
        CRS of a box, or of a bare geometry, that comes without one.

    Raises
    ------
    CubeError
        When there is no polygon in it, or the box is empty.
    FileNotFoundError, ImportError
        When the file, or what it takes to read it, is missing.
    """
    if isinstance(area, Area):
        return area
    if isinstance(area, str | Path):
        return _from_file(Path(area), crs)
    if isinstance(area, Sequence | np.ndarray):
        return _from_box(area, crs_of(crs or home, "area_crs"))
    own = getattr(area, "crs", None)
    shape = area if isinstance(area, Mapping) else getattr(area, "__geo_interface__", None)
    if not isinstance(shape, Mapping):
        raise CubeError(
            f"area is a {type(area).__name__}; wanted (west, south, east, north), a file, GeoJSON, a geometry"
        )
    fallback = GEOJSON_CRS if isinstance(area, Mapping) else home
    return _from_geojson(shape, crs_of(crs or own or _crs_of(shape) or fallback, "area_crs"), "area")


def _from_box(box: Any, crs: CRS) -> Area:
    values = [float(value) for value in box]
    if len(values) != 4 or not (values[0] < values[2] and values[1] < values[3]):
        raise CubeError(f"area {tuple(values)} is no box; wanted (west, south, east, north) in {crs.name}")
    return Area((values[0], values[1], values[2], values[3]), (), crs)


def _from_file(path: Path, crs: Any) -> Area:
    if not path.is_file():
        raise FileNotFoundError(f"area {path}: no such file")
    if path.suffix.lower() in GEOJSON_SUFFIXES:
        try:
            shape = json.loads(path.read_text(encoding="utf-8-sig"))
        except ValueError as error:
            raise CubeError(f"area {path.name} is no GeoJSON, or cut off ({error}): export it again") from None
        if not isinstance(shape, Mapping):
            raise CubeError(f"area {path.name} holds a {type(shape).__name__}; wanted polygons, in GeoJSON's words")
        return _from_geojson(shape, crs_of(crs or _crs_of(shape) or GEOJSON_CRS, "area_crs"), path.name)
    try:
        import geopandas
    except ImportError as error:
        raise ImportError(
            f"reading {path.name} needs geopandas: pip install 'insar-dask[geo]', or give GeoJSON"
        ) from error
    frame = geopandas.read_file(path)
    if crs is None and frame.crs is None:
        raise CubeError(f"{path.name} has no CRS: pass area_crs=")
    return _from_geojson(frame.__geo_interface__, crs_of(crs or frame.crs, "area_crs"), path.name)


def _crs_of(shape: Mapping[str, Any]) -> Any:
    """The ``crs`` member that GeoJSON had before RFC 7946 (2016) and that GDAL still writes."""
    return ((shape.get("crs") or {}).get("properties") or {}).get("name")


def _from_geojson(shape: Mapping[str, Any], crs: CRS, name: str) -> Area:
    try:
        polygons = tuple(_polygons(shape, name))
    except (KeyError, TypeError, IndexError) as error:
        raise CubeError(f"{name} is no GeoJSON: a part of it lacks {error}, or is of another shape") from None
    if not polygons:
        raise CubeError(f"{name} has no polygon: an area of interest must have an inside")
    corners = np.concatenate([polygon[0] for polygon in polygons])
    (west, south), (east, north) = corners.min(axis=0), corners.max(axis=0)
    return Area((float(west), float(south), float(east), float(north)), polygons, crs)


def _polygons(shape: Mapping[str, Any], name: str) -> Iterator[tuple[Floats, ...]]:
    kind = shape.get("type")
    if kind == "FeatureCollection":
        for feature in shape["features"]:
            yield from _polygons(feature, name)
    elif kind == "GeometryCollection":
        for geometry in shape["geometries"]:
            yield from _polygons(geometry, name)
    elif kind == "Feature":
        yield from _polygons(shape["geometry"] or {"type": "Polygon", "coordinates": []}, name)
    elif kind in ("Polygon", "MultiPolygon"):
        for rings in [shape["coordinates"]] if kind == "Polygon" else shape["coordinates"]:
            if rings:
                yield tuple(np.asarray(ring, np.float64)[:, :2] for ring in rings)
    else:
        raise CubeError(f"{name} holds a {kind}; wanted polygons, in GeoJSON's words")


def _in_box(x: Floats, y: Floats, box: Box) -> npt.NDArray[np.bool_]:
    west, south, east, north = box
    inside: npt.NDArray[np.bool_] = (x >= west) & (x <= east) & (y >= south) & (y <= north)
    return inside


def _in_any(x: Floats, y: Floats, polygons: tuple[tuple[Floats, ...], ...]) -> npt.NDArray[np.bool_]:
    """Whether points lie in any polygon, by the even-odd rule over its rings.

    Points are sorted by ``y`` once, so an edge meets only the run of points whose ray it can cross.
    """
    rank = np.argsort(y)
    xs, ys = x[rank], y[rank]
    found = np.zeros(x.size, bool)
    for polygon in polygons:
        odd = np.zeros(x.size, bool)
        for ring in polygon:
            _cross(odd, xs, ys, ring)
        found |= odd
    inside = np.empty(x.size, bool)
    inside[rank] = found
    return inside


def _cross(odd: npt.NDArray[np.bool_], xs: Floats, ys: Floats, ring: Floats) -> None:
    """Flip the points whose ray to the east crosses an edge of the ring."""
    closed = np.vstack([ring, ring[:1]])
    low, high = np.minimum(closed[:-1, 1], closed[1:, 1]), np.maximum(closed[:-1, 1], closed[1:, 1])
    first, last = np.searchsorted(ys, low), np.searchsorted(ys, high)
    for edge in np.flatnonzero(last > first):
        run = slice(int(first[edge]), int(last[edge]))
        (x0, y0), (x1, y1) = closed[edge], closed[edge + 1]
        odd[run] ^= xs[run] < x0 + (ys[run] - y0) * ((x1 - x0) / (y1 - y0))
