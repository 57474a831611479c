"""One point through time: what was measured, the motion model, and the forecast with its interval."""

from __future__ import annotations

from typing import Any

import matplotlib.dates as mdates
import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from insar_dask.cube import CubeError, years_since
from insar_dask.report.style import PALETTE, new_figure, tidy

__all__ = ["fitted_curve", "plot_point", "point_number"]

Dates = npt.NDArray[np.datetime64]
Float64 = npt.NDArray[np.float64]

COMPONENT_NAMES = {"los": "line-of-sight", "up": "vertical", "east": "eastward"}


def plot_point(
    cube: xr.Dataset,
    point: int | str,
    forecast: xr.Dataset | None = None,
    motion: xr.Dataset | None = None,
    *,
    smooth: xr.Dataset | None = None,
    size: tuple[float, float] = (6.6, 3.1),
) -> Figure:
    """Series of one point with its fit, and the forecast with its interval if there is one.

    Parameters
    ----------
    cube : xr.Dataset
        Point cube; only the series of ``point`` is read.
    point : int or str
        Number of the point in the cube, or its ``point_id``.
    forecast : xr.Dataset, optional
        Forecast cube of the same points: ``displacement``, ``lower``, ``upper`` over (origin, point, lead) and
        ``time`` over (origin, lead). The last origin is drawn in full, earlier ones as thin lines.
    motion : xr.Dataset, optional
        Motion parameters of the same points, written above the series.
    smooth : xr.Dataset, optional
        Smoothed cube of the same points, drawn as a line that is named after what it has seen.
    size : (float, float)
        Width and height in inches.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    CubeError
        If there is no such point.
    """
    number = point_number(cube, point)
    series = cube[["displacement"]].isel(point=number).compute()
    figure = new_figure(*size)
    axes = figure.add_subplot()
    _draw_observed(axes, series["time"].values, series["displacement"].values.astype(np.float64))
    if smooth is not None:
        _draw_smooth(axes, smooth, number)
    if forecast is not None:
        _draw_forecast(axes, forecast.isel(point=number).compute())
    tidy(axes)
    axes.set_ylabel("displacement [mm]", fontsize=8.5)
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(axes.xaxis.get_major_locator()))
    axes.margins(x=0.015)
    _headline(axes, cube, number, motion)
    legend = axes.legend(
        loc="upper left", bbox_to_anchor=(0, -0.1), ncols=5, frameon=False, fontsize=8, handlelength=1.6, borderpad=0
    )
    for text in legend.get_texts():
        text.set_color(PALETTE["muted"])
    return figure


def point_number(cube: xr.Dataset, point: int | str) -> int:
    """Position of a point given by its number or its ``point_id``."""
    if isinstance(point, str):
        found = np.flatnonzero(cube["point_id"].values.astype(str) == point)
        if found.size == 0:
            raise CubeError(f"the cube has no point_id {point!r}; the first one is {cube['point_id'].values[:1]}")
        return int(found[0])
    if not 0 <= point < cube.sizes["point"]:
        raise CubeError(f"no point {point}: the cube has points 0 to {cube.sizes['point'] - 1}")
    return int(point)


def fitted_curve(times: Dates, values: Float64, at: Dates) -> Float64:
    """Least-squares cubic and yearly model of one series, evaluated at the dates ``at`` [mm].

    This is the model whose residuals make EGMS's ``rmse_ts`` (Product Description v3, Table 14). NaN everywhere when
    fewer than 8 dates are valid.
    """
    good = np.isfinite(values)
    if good.sum() < 8:
        return np.full(len(at), np.nan)
    coefficients, *_ = np.linalg.lstsq(_design(times[good], times), values[good], rcond=None)
    return np.asarray(_design(at, times) @ coefficients, dtype=np.float64)


def _design(at: Dates, times: Dates) -> Float64:
    """Columns 1, u, u², u³, cos, sin with u the record scaled to ±1, which keeps the cubic well conditioned."""
    t = years_since(at, times[0])
    half = max(years_since(times)[-1] / 2, 1e-9)
    u = t / half - 1
    return np.column_stack([np.ones_like(u), u, u**2, u**3, np.cos(2 * np.pi * t), np.sin(2 * np.pi * t)])


def _draw_observed(axes: Axes, times: Dates, values: Float64) -> None:
    axes.plot(
        times, values, "o", color=PALETTE["data"], markersize=2.6, markeredgewidth=0, alpha=0.75, label="observed"
    )
    good = times[np.isfinite(values)]
    if good.size:
        daily = np.arange(good[0], good[-1], np.timedelta64(6, "D"))
        axes.plot(
            daily, fitted_curve(times, values, daily), color=PALETTE["fit"], linewidth=1.5, label="cubic + yearly fit"
        )


def _draw_smooth(axes: Axes, smooth: xr.Dataset, number: int) -> None:
    seen = int(smooth.attrs.get("sees_future", 0))
    name = "smoothed" if seen == 0 else "smoothed (sees the future)"
    series = smooth["displacement"].isel(point=number).values
    axes.plot(smooth["time"].values, series, color=PALETTE["past"], linewidth=1.0, label=name)


def _draw_forecast(axes: Axes, forecast: xr.Dataset) -> None:
    last = forecast.isel(origin=-1)
    times = last["time"].values
    level = float(forecast.attrs.get("level", 0.9))
    if "lower" in last and np.isfinite(last["lower"].values).any():
        axes.fill_between(
            times,
            last["lower"].values,
            last["upper"].values,
            color=PALETTE["band"],
            alpha=0.6,
            linewidth=0,
            label=f"{level:.0%} interval",
        )
    axes.plot(times, last["displacement"].values, color=PALETTE["forecast"], linewidth=1.6, label="forecast")
    axes.axvline(_origin(last), color=PALETTE["muted"], linewidth=0.7, linestyle=(0, (2, 2)))


def _origin(last: xr.Dataset) -> Any:
    """Date of the origin if it has one, else the first date forecast."""
    origin = last["origin"].values if "origin" in last.coords else None
    return origin if origin is not None and np.issubdtype(origin.dtype, np.datetime64) else last["time"].values[0]


def _headline(axes: Axes, cube: xr.Dataset, number: int, motion: xr.Dataset | None) -> None:
    name = COMPONENT_NAMES.get(str(cube.attrs.get("component")), "")
    point_id = cube["point_id"].isel(point=number).values.item()
    text = f"{point_id}  ·  {name} displacement since {str(cube.attrs.get('reference_date', ''))[:10]}"
    if motion is not None:
        row = motion.isel(point=number)
        parts = [
            f"{label} {_with_error(row, key)} {unit}"
            for label, key, unit in (
                ("velocity", "velocity", "mm yr⁻¹"),
                ("acceleration", "acceleration", "mm yr⁻²"),
                ("seasonality", "seasonality", "mm"),
            )
            if key in row
        ]
        text += "\n" + "  ·  ".join(parts)
    axes.set_title(text, loc="left", fontsize=8.5, color=PALETTE["ink"], linespacing=1.5)


def _with_error(row: xr.Dataset, key: str) -> str:
    value = f"{float(row[key]):.2f}".replace("-", "−")
    return f"{value} ± {float(row[key + '_std']):.2f}" if key + "_std" in row else value
