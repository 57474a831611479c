"""Areas as files: GeoParquet, GeoJSON, GeoPackage, each with a style that QGIS picks up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from insar_dask.cube import CubeError
from insar_dask.detect.areas import Areas
from insar_dask.objects import keep_text

if TYPE_CHECKING:
    import geopandas

__all__ = ["check_path", "write_areas"]

CLASSES = ((0.0, 10.0, "#fed976"), (10.0, 20.0, "#fd8d3c"), (20.0, 1e9, "#bd0026"))
"""Rates that slumps are counted by [mm/yr], and their colours."""

DIGITS = 7
"""Of degrees in GeoJSON: a centimetre."""


def write_areas(areas: Areas, path: str | Path, *, style: bool = True) -> Path:
    """Write areas to ``.parquet`` (GeoParquet 1.1), ``.geojson`` (RFC 7946, degrees) or ``.gpkg``.

    Parameters
    ----------
    areas : Areas
    path : str or Path
        Its ending chooses the format.
    style : bool
        Also write a ``.qml`` of the same name with the colours of three classes of rate.

    Returns
    -------
    Path
        ``path``; it appears only when it is whole. Equal areas give equal bytes, but in a GeoPackage, which has a date.

    Raises
    ------
    ValueError
        For another ending.
    ImportError
        Without geopandas.
    CubeError
        When the areas have no CRS.
    """
    path = check_path(path)
    if not areas.crs_wkt:
        raise CubeError("the areas have no CRS, so no file could say where they lie")
    frame = _frame(areas)
    draft = path.with_name(f"{path.stem}.part{path.suffix}")
    if path.suffix == ".parquet":
        frame.to_parquet(draft, schema_version="1.1.0", write_covering_bbox=True, compression="zstd")
    elif path.suffix == ".gpkg":
        draft.unlink(missing_ok=True)
        frame.to_file(draft, layer="areas", driver="GPKG", engine="pyogrio")
    else:
        draft.write_text(_geojson(frame, areas), encoding="utf-8")
    draft.replace(path)
    if style:
        _write_style(path.with_suffix(".qml"))
    return path


def check_path(path: str | Path) -> Path:
    """A path that areas can be written to; before the work, not after it."""
    path = Path(path)
    if path.suffix not in (".parquet", ".geojson", ".gpkg"):
        raise ValueError(f"{path.name} ends in {path.suffix!r}; wanted .parquet, .geojson or .gpkg")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.absolute().parent}: make it, or name another")
    return path


def _frame(areas: Areas) -> geopandas.GeoDataFrame:
    try:
        import geopandas
    except ImportError as error:
        raise ImportError("files of areas need geopandas: pip install insar-dask[geo]") from error
    columns = {name: _plain(values) for name, values in areas.columns.items()}
    frame = geopandas.GeoDataFrame(columns, geometry=list(areas.geometry), crs=areas.crs_wkt)
    frame.attrs = {name: _json(value) for name, value in areas.attrs.items()}  # GeoParquet keeps them
    return frame


def _plain(values: Any) -> Any:
    return values.astype(object) if values.dtype.kind == "U" else values


def _geojson(frame: geopandas.GeoDataFrame, areas: Areas) -> str:
    """Features one a line, in degrees of WGS 84; numbers that are none are null."""
    import shapely

    degrees = shapely.set_precision(frame.to_crs(4326).geometry.to_numpy(), 10.0**-DIGITS)
    names = [name for name in frame.columns if name != "geometry"]
    features = []
    for number, outline in enumerate(degrees):
        properties = {name: _json(frame[name].iloc[number]) for name in names}
        shape = json.loads(shapely.to_geojson(shapely.orient_polygons(outline)))
        features.append(json.dumps({"type": "Feature", "properties": properties, "geometry": shape}, allow_nan=False))
    head = json.dumps({name: _json(value) for name, value in areas.attrs.items()}, sort_keys=True, allow_nan=False)
    body = ",\n".join(features)
    return f'{{"type": "FeatureCollection", "recipe": {head}, "features": [\n{body}\n]}}\n'


def _json(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _json(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_json(part) for part in value]
    return value


def _write_style(path: Path) -> None:
    """Classes by how fast an area moves, whichever way."""
    root = ElementTree.Element("qgis", version="3.22", styleCategories="Symbology")
    attr = 'abs("velocity_mean")'
    renderer = ElementTree.SubElement(
        root, "renderer-v2", type="graduatedSymbol", attr=attr, graduatedMethod="GraduatedColor"
    )
    ranges, symbols = (ElementTree.SubElement(renderer, name) for name in ("ranges", "symbols"))
    for number, (low, high, colour) in enumerate(CLASSES):
        label = f"{low:g} to {high:g} mm/yr" if high < 1e6 else f"beyond {low:g} mm/yr"
        ElementTree.SubElement(
            ranges, "range", lower=f"{low:g}", upper=f"{high:g}", symbol=str(number), label=label, render="true"
        )
        symbol = ElementTree.SubElement(symbols, "symbol", type="fill", name=str(number), alpha="0.7")
        layer = ElementTree.SubElement(symbol, "layer", {"class": "SimpleFill", "enabled": "1", "pass": "0"})
        red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
        options = ElementTree.SubElement(layer, "Option", type="Map")
        for name, value in (("color", f"{red},{green},{blue},255"), ("outline_color", "40,40,40,255"),
                            ("outline_width", "0.26"), ("style", "solid")):  # fmt: skip
            ElementTree.SubElement(options, "Option", name=name, value=value, type="QString")
    keep_text(path, "<!DOCTYPE qgis>\n" + ElementTree.tostring(root, encoding="unicode"))
