"""A layer style that QGIS picks up by itself: the first band in the colours and limits of the report's map."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy.typing as npt

from insar_dask.objects import keep_text
from insar_dask.report.colours import QUANTITIES, colour_limits

__all__ = ["write_style"]

STOPS = 11


def write_style(raster: Path, name: str, values: npt.ArrayLike) -> Path | None:
    """Write ``<raster>.qml`` for band 1, or nothing when ``name`` has no map in the report.

    Without it QGIS shows velocity, its error and acceleration as red, green and blue.

    Parameters
    ----------
    raster : Path
        The GeoTIFF; the style takes its name, which is where QGIS looks for it.
    name : str
        Variable of the first band.
    values : array_like
        Its values, for the limits.
    """
    if name not in QUANTITIES:
        return None
    import matplotlib as mpl
    from matplotlib.colors import to_hex

    quantity = QUANTITIES[name]
    low, high = colour_limits(values, signed=quantity.signed)
    limits = {"classificationMin": f"{low:.6g}", "classificationMax": f"{high:.6g}"}
    root = ElementTree.Element("qgis", version="3.22", styleCategories="Symbology")
    pipe = ElementTree.SubElement(root, "pipe")
    kind = {"type": "singlebandpseudocolor", "band": "1", "opacity": "1", "alphaBand": "-1", "nodataColor": ""}
    renderer = ElementTree.SubElement(pipe, "rasterrenderer", kind | limits)
    shader = ElementTree.SubElement(
        ElementTree.SubElement(renderer, "rastershader"),
        "colorrampshader",
        {"colorRampType": "INTERPOLATED", "classificationMode": "1", "clip": "0"}
        | {"minimumValue": f"{low:.6g}", "maximumValue": f"{high:.6g}"},
    )
    for step in range(STOPS):
        share = step / (STOPS - 1)
        value = low + share * (high - low)
        colour = to_hex(mpl.colormaps[quantity.colours](share))
        label = f"{value:.2g} {quantity.unit}"
        ElementTree.SubElement(shader, "item", value=f"{value:.6g}", label=label, color=colour, alpha="255")
    path = raster.with_suffix(".qml")
    keep_text(path, "<!DOCTYPE qgis>\n" + ElementTree.tostring(root, encoding="unicode"))
    return path
