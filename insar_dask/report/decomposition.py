"""Trend, season and residual: four points taken apart, each as a formula, and what the components share out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from insar_dask.cube import years_since
from insar_dask.report.choosing import Chosen
from insar_dask.report.closed_forms import BEND, ClosedForm, best_form
from insar_dask.report.figures import place_figure, seen, sentence, sight
from insar_dask.report.markup import MISSING, percent, table
from insar_dask.report.series import point_number, same_point
from insar_dask.report.style import PALETTE, new_figure, tidy, words
from insar_dask.totals import PARTS, component_shares, component_variances

__all__ = [
    "TakenApart",
    "decomposition_section",
    "draw_apart",
    "forms_table",
    "plot_decomposition",
    "take_apart",
    "telling_points",
]

Float64 = npt.NDArray[np.float64]

N_POINTS = 4
TELLING = ("fast, negative", "seasonal", "fast, positive", "the median point")
"""What is shown first: ground that sinks, that breathes, that rises, and the ordinary."""

PLACES = {"left": 0.115, "right": 0.972, "bottom": 0.055, "top": 0.945, "hspace": 0.14}
LEAST_SPAN = 0.1
"""Least height of a panel [mm]: what products print. A level that follows every date leaves a residual of 1e-16."""


@dataclass(frozen=True, eq=False)
class TakenApart:
    """One series, its components, and its closed forms."""

    times: npt.NDArray[np.datetime64]
    values: Float64
    """What was taken apart: the sum of the components [mm]."""
    parts: dict[str, Float64]
    form: ClosedForm
    straight: ClosedForm
    bent: ClosedForm
    shares: xr.Dataset
    sight: str
    """What the components know of later dates."""
    name: str
    """What the series was: smoothed, regular."""


def decomposition_section(folder: Path, chosen: Sequence[Chosen], raw: xr.Dataset, parts: xr.Dataset) -> str:
    """Four of the chosen points taken apart, and their closed forms; why, where none could be.

    Parameters
    ----------
    folder : Path
        Of the page.
    chosen : sequence of Chosen
        Points drawn elsewhere on the page, in its numbering.
    raw : xr.Dataset
        Point cube with the observations.
    parts : xr.Dataset
        ``trend``, ``season``, ``residual`` of the same points; with ``status`` if some have none.
    """
    apart = telling_points(chosen, parts)
    note = f"<p class=note>{_note(parts)} {escape(_without(parts))}</p>"
    if not apart:
        return note + "<p>None of the points that stand for the scene could be taken apart.</p>"
    figures = []
    for place, series in apart.items():
        reason, number_in_cube = chosen[place - 1].reason, chosen[place - 1].number
        name = raw["point_id"].isel(point=number_in_cube).values.item()
        observed = raw["displacement"].isel(point=number_in_cube)
        caption = f"<b>{place} · {reason}</b> {escape(str(name))}; {series.sight}"
        alt = f"Point {place}, {reason}: observations, trend, season and residual through time"
        figures.append(place_figure(folder, draw_apart(series, observed), f"parts-{place}", alt, caption))
    reasons = {place: chosen[place - 1].reason for place in apart}
    return f"{note}<div class=two>{''.join(figures)}</div>{forms_table(apart, reasons)}"


def telling_points(chosen: Sequence[Chosen], parts: xr.Dataset) -> dict[int, TakenApart]:
    """Number on the page -> series taken apart, of up to four chosen points that have components."""
    order = sorted(range(len(chosen)), key=lambda k: _rank(chosen[k].reason))
    found: dict[int, TakenApart] = {}
    for place in order:
        series = take_apart(parts, chosen[place].number)
        if np.isfinite(series.values).any():
            found[place + 1] = series
        if len(found) == N_POINTS:
            break
    return dict(sorted(found.items()))


def take_apart(parts: xr.Dataset, point: int | str) -> TakenApart:
    """Components and closed forms of one point, given by its number or ``point_id``; only its series are read."""
    row = parts[list(PARTS)].isel(point=[point_number(parts, point)]).compute()
    series = {name: row[name].values[0].astype(np.float64) for name in PARTS}
    values, times = np.sum(list(series.values()), axis=0), row["time"].values
    forms = best_form(years_since(times), values)
    return TakenApart(
        times, values, series, *forms, component_shares(component_variances(row)), sight(parts), _series(parts)
    )


def plot_decomposition(
    parts: xr.Dataset, point: int | str, cube: xr.Dataset | None = None, *, size: tuple[float, float] = (5.4, 4.6)
) -> Figure:
    """Trend, season and residual of one point below each other, with the closed form over trend and season.

    Each panel has a scale of its own; the bar at its right is as many millimetres long in all of them.

    Parameters
    ----------
    parts : xr.Dataset
        Output of ``holt_winters`` or ``stl``; only the series of ``point`` are read.
    point : int or str
        Number of the point, or its ``point_id``.
    cube : xr.Dataset, optional
        Point cube of the same points with what was measured, drawn as dots.
    size : (float, float)
        Width and height in inches.

    Raises
    ------
    CubeError
        If there is no such point.
    """
    number = point_number(parts, point)
    observed = None if cube is None else cube["displacement"].isel(point=same_point(parts, number, cube, "cube"))
    return draw_apart(take_apart(parts, number), observed, size)


def draw_apart(
    series: TakenApart, observed: xr.DataArray | None = None, size: tuple[float, float] = (5.4, 4.6)
) -> Figure:
    """Figure of a series that was taken apart, as `plot_decomposition` describes it."""
    figure = new_figure(*size)
    figure.set_layout_engine(None)  # laying out four panels took 40 % of the time of the figure
    panels = list(figure.subplots(1 + len(PARTS), 1, sharex=True, height_ratios=(1.5, 1.2, 1, 1), gridspec_kw=PLACES))
    shown = {"observed": series.values, **series.parts}
    years = years_since(series.times)
    over = {"trend": series.form.trend(years), "season": series.form.season(years)}
    for axes, (name, values) in zip(panels, shown.items(), strict=True):
        if name == "observed" and observed is not None:
            axes.plot(observed["time"].values, observed.values, "o", color=PALETTE["data"], markersize=2.2,
                      markeredgewidth=0)  # fmt: skip
        colour = PALETTE["past"] if name == "observed" else PALETTE["data"]
        axes.plot(series.times, values, color=colour, linewidth=1.0)
        if name in over:
            axes.plot(series.times, over[name], color=PALETTE["fit"], linewidth=1.4, linestyle=(0, (4, 1.6)))
        if name == "residual":
            axes.axhline(0, color=PALETTE["muted"], linewidth=0.6)
        tidy(axes, 7.5)
        axes.margins(x=0.01)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=3, min_n_ticks=2))
        _at_least(axes, LEAST_SPAN, np.append(values, over.get(name, [])))
        axes.set_ylabel(series.name if name == "observed" else name, fontsize=7.5)
        axes.yaxis.set_label_coords(-0.092, 0.5)
        if axes is not panels[-1]:
            axes.tick_params(bottom=False, labelbottom=False)
    _same_millimetres(panels)
    locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
    panels[-1].xaxis.set_major_locator(locator)
    panels[-1].xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))  # type: ignore[no-untyped-call]
    title = f"mm; {series.sight}"
    if _known(series.form):
        title += f"; dashed: {series.form.equation()}, R² {series.form.r2:.2f}"
    words(figure.suptitle(title, x=0.01, ha="left", fontsize=7, color=PALETTE["ink"]))
    return figure


def forms_table(apart: dict[int, TakenApart], reasons: dict[int, str]) -> str:
    """Closed form of each point, how well it fits, and what its components share out."""
    rows = []
    for place, series in apart.items():
        text = series.form.equation() if _known(series.form) else "too few dates"
        shares = series.shares.isel(group=0)
        cells = [f"<span class=formula>{escape(text)}</span>", _r2(series.straight), _r2(series.bent)]
        cells += [percent(share) for share in shares["share"].values.tolist()]
        rows.append((f"{place} · {reasons[place]}", [*cells, percent(float(shares["covariance"]))]))
    head = ["d(t) in mm, t in years since the first date", "R² straight line", "R² bent line"]
    head += [f"{name}<small>share of variance</small>" for name in PARTS]
    (name,) = {series.name for series in apart.values()}
    title = (
        f"Closed forms of the whole {name} series: least-squares line and yearly sine; a bent line where it gains "
        f"{BEND:g} in R²"
    )
    return table(title, [*head, "2 cov<small>of the same sum</small>"], rows)


def _note(parts: xr.Dataset) -> str:
    published = "" if _series(parts) != "smoothed" else ", as published (doi:10.3390/rs16111891),"
    method = f"Additive Holt-Winters smoothing{published}" if "alpha" in parts else "STL, local regression,"
    text = f"{method} of the {_series(parts)} series"
    if period := parts.attrs.get("period"):
        text += f" with a season of {period} dates"
    return (
        f"{escape(text)}. {sentence(seen(parts))} It describes the record; the forecasts of this page know nothing of "
        "it. Dots are observations, lines what was taken apart; dashed is the closed form. The panels differ in scale: "
        "the bar at the right of each is equally many millimetres."
    )


def _series(parts: xr.Dataset) -> str:
    return str(parts.attrs.get("series", "smoothed"))


def _without(parts: xr.Dataset) -> str:
    """How many points have no components, by the reason that their status gives."""
    if "status" not in parts:
        return ""
    status = parts["status"].values
    flags = np.atleast_1d(parts["status"].attrs.get("flag_values", []))
    meanings = str(parts["status"].attrs.get("flag_meanings", "")).split()
    counts = {m.replace("_", " "): int((status == f).sum()) for f, m in zip(flags, meanings, strict=True) if m != "ok"}
    told = [f"{count:,} {meaning}" for meaning, count in counts.items() if count]
    return f"Of {status.size:,} points: {', '.join(told)}." if told else ""


def _rank(reason: str) -> int:
    return TELLING.index(reason) if reason in TELLING else len(TELLING)


def _r2(form: ClosedForm) -> str:
    """Three decimals: smoothed series reach 0.99."""
    return f"{form.r2:.3f}".replace("-", "−") if np.isfinite(form.r2) else MISSING


def _known(form: ClosedForm) -> bool:
    return bool(np.isfinite(form.amplitude))


def _at_least(axes: Axes, span: float, values: Float64) -> None:
    """Give values that hardly vary a panel of that height: what it would take for itself is rounding's."""
    good = values[np.isfinite(values)]
    if good.size and np.ptp(good) < span:
        middle = (good.min() + good.max()) / 2
        axes.set_ylim(middle - span / 2, middle + span / 2)


def _same_millimetres(panels: Sequence[Axes]) -> None:
    """A bar of one length in mm beside each panel: the shortest panel is filled by it."""
    spans = [np.ptp(axes.get_ylim()) for axes in panels]
    length = 0.9 * min(spans)
    for axes, span in zip(panels, spans, strict=True):
        half = length / span / 2
        axes.plot([1.012] * 2, [0.5 - half, 0.5 + half], color=PALETTE["muted"], linewidth=3, clip_on=False,
                  solid_capstyle="butt", transform=axes.transAxes)  # fmt: skip
