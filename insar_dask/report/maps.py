"""Maps of one quantity: equal aspect, north up, scale bar, CRS, unit, and colour limits that are said aloud."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from insar_dask.cube import CubeError
from insar_dask.report.colours import QUANTITIES, Quantity, colour_limits
from insar_dask.report.gridding import Grid, display_grid, round_length
from insar_dask.report.style import PALETTE, new_figure

__all__ = ["crs_name", "plot_map", "scale_bar_length"]


def plot_map(
    products: xr.Dataset, name: str, *, grid: Grid | None = None, marks: Mapping[str, int] | None = None
) -> Figure:
    """Map of one motion parameter; many points are averaged into cells, so that any number of them is readable.

    Parameters
    ----------
    products : xr.Dataset
        Output of ``motion``: ``name``, ``easting``, ``northing`` over ``point`` and the grid mapping ``crs``.
    name : str
        ``velocity``, ``seasonality``, ``acceleration`` or ``rmse``.
    grid : Grid, optional
        Cells to average into; made from the points when not given.
    marks : mapping of str to int, optional
        Label -> number of a point to point out.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    CubeError
        If the quantity is unknown or missing, or there are no points.
    """
    if name not in QUANTITIES or name not in products:
        raise CubeError(f"cannot map {name!r}: wanted one of {[n for n in QUANTITIES if n in products]}")
    if products.sizes["point"] == 0:
        raise CubeError(f"cannot map {name!r}: the products have no points")
    quantity = QUANTITIES[name]
    easting, northing = products["easting"].values, products["northing"].values
    grid = display_grid(easting, northing) if grid is None else grid
    values = products[name].values
    limits = colour_limits(values, signed=quantity.signed)
    figure = new_figure(5.6, 4.9)
    axes = figure.add_subplot()
    _draw(axes, grid, values, quantity, limits)
    for label, point in (marks or {}).items():
        _mark(axes, label, easting[point], northing[point])
    _title(axes, quantity, limits, values, products.attrs)
    _foot(axes, grid, crs_name(products))
    return figure


def _draw(axes: Axes, grid: Grid, values: Any, quantity: Quantity, limits: tuple[float, float]) -> None:
    image = axes.imshow(
        np.ma.masked_invalid(grid.mean(values)),
        extent=grid.extent,
        cmap=mpl.colormaps[quantity.colours],
        vmin=limits[0],
        vmax=limits[1],
        interpolation="nearest",
        aspect="equal",
    )
    axes.set_facecolor(PALETTE["panel"])
    west, east, south, north = grid.extent
    pad = 0.04 * max(east - west, north - south)
    axes.set(xlim=(west - pad, east + pad), ylim=(south - 2.2 * pad, north + pad), xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.72, aspect=28, pad=0.02, extend="both")
    bar.set_label(quantity.unit, color=PALETTE["ink"], fontsize=9)
    bar.ax.tick_params(labelsize=8.5, colors=PALETTE["muted"], length=2, width=0.6)
    bar.outline.set_visible(False)  # type: ignore[operator]


def _title(axes: Axes, quantity: Quantity, limits: tuple[float, float], values: Any, attrs: Mapping[Any, Any]) -> None:
    away, towards = {"los": ("away from the satellite", "towards it"), "east": ("west", "east")}.get(
        str(attrs.get("component")), ("down", "up")
    )
    axes.set_title(quantity.title, loc="left", fontsize=12, color=PALETTE["ink"], fontweight="bold", pad=16)
    outside = np.mean((values < limits[0]) | (values > limits[1])) if values.size else 0.0
    note = (
        f"{quantity.reading.format(away=away, towards=towards)}; "
        f"limits {'±' if quantity.signed else 'at '}2–98 %, {outside:.1%} of the points beyond"
    )
    axes.annotate(
        note, (0, 1), (0, 5), xycoords="axes fraction", textcoords="offset points", fontsize=8, color=PALETTE["muted"]
    )


def _foot(axes: Axes, grid: Grid, crs: str) -> None:
    west, east, south, north = grid.extent
    pad = 0.04 * max(east - west, north - south)
    length = scale_bar_length(east - west)
    x, y = west, south - 1.35 * pad
    axes.plot([x, x + length], [y, y], color=PALETTE["ink"], linewidth=2, solid_capstyle="butt")
    label = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    axes.annotate(
        label, (x + length, y), (5, 0), textcoords="offset points", va="center", fontsize=8.5, color=PALETTE["ink"]
    )
    axes.annotate(
        "N", (east, y), (0, 0), textcoords="offset points", ha="center", va="center", fontsize=8.5, color=PALETTE["ink"]
    )
    axes.annotate(
        "▲", (east, y), (0, 9), textcoords="offset points", ha="center", va="center", fontsize=7, color=PALETTE["ink"]
    )
    count = len(grid.index)
    axes.annotate(
        f"{crs} · cells of {grid.cell:g} m, mean of {count:,} points",
        (0, 0),
        (0, -6),
        xycoords="axes fraction",
        textcoords="offset points",
        va="top",
        fontsize=8,
        color=PALETTE["muted"],
    )


def _mark(axes: Axes, label: str, x: float, y: float) -> None:
    axes.plot(x, y, "o", markersize=5, markerfacecolor="none", markeredgecolor=PALETTE["ink"], markeredgewidth=1.1)
    axes.annotate(
        label, (x, y), (5, 4), textcoords="offset points", fontsize=9, fontweight="bold", color=PALETTE["ink"]
    )


def scale_bar_length(width: float) -> float:
    """Round length [m] of a scale bar for a map ``width`` metres wide: at most a third of it.

    >>> scale_bar_length(4500.0)
    1000.0
    """
    return round_length(width / 3)


def crs_name(data: xr.Dataset) -> str:
    """Short name of a data set's CRS: its EPSG code when it has one."""
    attrs = data["crs"].attrs if "crs" in data.variables else {}
    if attrs.get("epsg"):
        return f"EPSG:{attrs['epsg']}"
    if not attrs.get("crs_wkt"):
        raise CubeError("the data set has no CRS: set the grid-mapping variable 'crs' with attrs['crs_wkt']")
    from pyproj import CRS

    crs = CRS.from_wkt(attrs["crs_wkt"])
    return ":".join(crs.to_authority() or (crs.name,))
