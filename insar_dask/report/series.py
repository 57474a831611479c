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
from insar_dask.foresight import sees_future
from insar_dask.report.style import PALETTE, new_figure, tidy, words

__all__ = ["COMPONENT_NAMES", "fitted_curve", "headline", "parameters", "plot_point", "point_number", "same_point"]

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
    size: tuple[float, float] = (5.4, 2.7),
) -> Figure:
    """Series of one point with its fit, and the forecast with its interval if there is one.

    With a forecast a second panel shows the last eighteen months before the origin and what follows: ten leads of six
    days would be a speck in five years.

    Parameters
    ----------
    cube : xr.Dataset
        Point cube; only the series of ``point`` is read.
    point : int or str
        Number of the point in the cube, or its ``point_id``.
    forecast : xr.Dataset, optional
        Forecast cube of the same points: ``displacement``, ``lower``, ``upper`` over (origin, point, lead) and
        ``time`` over (origin, lead). The last origin is drawn.
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
        If there is no such point, or one of the other data sets has not got it.
    """
    number = point_number(cube, point)
    series = cube["displacement"].isel(point=number).compute()
    times, values = series["time"].values, series.values.astype(np.float64)
    line = None
    if smooth is not None:
        place = same_point(cube, number, smooth, "smoothed cube")
        line = smooth["displacement"].isel(point=place).compute().assign_attrs(sees_future=sees_future(smooth))
    figure = new_figure(*size)
    panels = [figure.add_subplot()] if forecast is None else list(figure.subplots(1, 2, width_ratios=(1.75, 1)))
    last = None
    if forecast is not None:
        last = forecast.isel(point=same_point(cube, number, forecast, "forecast"), origin=-1).compute()
    for axes, since in zip(panels, (None, None if last is None else _zoom_start(last)), strict=False):
        _draw_series(axes, times, values, line, since)
        if last is not None:
            _draw_forecast(axes, last, float(last.attrs.get("level", 0.9)))
        tidy(axes, 8)
        axes.margins(x=0.02)
        axes.xaxis.set_major_locator(mdates.AutoDateLocator(minticks=3, maxticks=7 if since is None else 5))  # type: ignore[no-untyped-call]
        _date_labels(axes)
    panels[0].set_ylabel("displacement [mm]", fontsize=8)
    row = None if motion is None else motion.isel(point=same_point(cube, number, motion, "motion parameters"))
    words(figure.suptitle(headline(cube, number, row), x=0.01, ha="left", fontsize=7, color=PALETTE["ink"]))
    _legend(figure, panels[0])
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


def same_point(cube: xr.Dataset, number: int, other: xr.Dataset, name: str) -> int:
    """Position in ``other`` of the cube's point: the same number if its identifier agrees, else where that is."""
    if "point_id" not in other.variables:
        if other.sizes["point"] == cube.sizes["point"]:
            return number
        raise CubeError(f"the {name} has {other.sizes['point']} points and no point_id, the cube {cube.sizes['point']}")
    wanted = str(cube["point_id"].isel(point=number).values.item())
    if number < other.sizes["point"] and str(other["point_id"].isel(point=number).values.item()) == wanted:
        return number
    found = np.flatnonzero(other["point_id"].values.astype(str) == wanted)
    if found.size == 0:
        raise CubeError(f"the {name} has no point {wanted!r}: take one of the same points as the cube")
    return int(found[0])


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


def _draw_series(
    axes: Axes, times: Dates, values: Float64, smooth: xr.DataArray | None, since: np.datetime64 | None = None
) -> None:
    """Everything from ``since`` on; the fit is that of the whole series."""
    start = times[0] if since is None else max(times[0], since)
    shown = times >= start
    axes.plot(
        times[shown], values[shown], "o", color=PALETTE["data"], markersize=2.4, markeredgewidth=0, label="observed"
    )
    if smooth is not None:
        line = smooth.sel(time=slice(start, None))
        axes.plot(line["time"].values, line.values, color=PALETTE["past"], linewidth=0.9, label=_smooth_name(smooth))
    good = times[np.isfinite(values)]
    if good.size > 1:
        dense = np.arange(max(good[0], start), good[-1], np.timedelta64(6, "D"))
        curve = fitted_curve(times, values, dense)
        axes.plot(dense, curve, color=PALETTE["fit"], linewidth=1.4, label="cubic + yearly fit")


def _smooth_name(smooth: xr.DataArray) -> str:
    days = int(smooth.attrs.get("sees_future", 0))
    return "smoothed" + {0: "", -1: ", sees the whole series"}.get(days, f", sees {days} d ahead")


def _draw_forecast(axes: Axes, last: xr.Dataset, level: float) -> None:
    times = last["time"].values
    if "lower" in last and np.isfinite(last["lower"].values).any():
        axes.fill_between(
            times, last["lower"].values, last["upper"].values, color=PALETTE["band"], linewidth=0, zorder=1,
            label=f"{level:.0%} interval",
        )  # fmt: skip
    axes.plot(times, last["displacement"].values, color=PALETTE["forecast"], linewidth=1.6, label="forecast")
    axes.axvline(_origin(last), color=PALETTE["muted"], linewidth=0.7, linestyle=(0, (2, 2)))


def _zoom_start(last: xr.Dataset) -> np.datetime64:
    """Eighteen months before the origin: one whole year and what led to it."""
    return np.datetime64(_origin(last) - np.timedelta64(548, "D"))


def _date_labels(axes: Axes) -> None:
    formatter = mdates.ConciseDateFormatter(axes.xaxis.get_major_locator(), show_offset=False)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(formatter)


def _origin(last: xr.Dataset) -> Any:
    """Date of the origin if it has one, else the first date forecast."""
    origin = last["origin"].values if "origin" in last.coords else None
    return origin if origin is not None and np.issubdtype(origin.dtype, np.datetime64) else last["time"].values[0]


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    legend = figure.legend(
        handles, labels, loc="outside lower left", ncols=len(labels), frameon=False, fontsize=7, handlelength=1.3,
        columnspacing=1.2, handletextpad=0.5, borderpad=0,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_color(PALETTE["muted"])


def headline(cube: xr.Dataset, number: int, row: xr.Dataset | None = None) -> str:
    """What is drawn, and the motion parameters ``row`` of the point with their standard errors: one or two lines."""
    name = COMPONENT_NAMES.get(str(cube.attrs.get("component")), "")
    point_id = cube["point_id"].isel(point=number).values.item()
    text = f"{point_id} · {name} displacement since {str(cube.attrs.get('reference_date', ''))[:10]}"
    return text if row is None else f"{text}\n{parameters(row)}"


def parameters(row: xr.Dataset) -> str:
    """Velocity, acceleration and seasonality of one point with their standard errors."""
    shown = (("velocity", "mm yr⁻¹"), ("acceleration", "mm yr⁻²"), ("seasonality", "mm"))
    return " · ".join(f"{key} {_with_error(row, key)} {unit}" for key, unit in shown if key in row)


def _with_error(row: xr.Dataset, key: str) -> str:
    value = f"{float(row[key]):.2f}".replace("-", "−")
    return f"{value} ± {float(row[key + '_std']):.2f}" if key + "_std" in row else value
