"""The look of every figure: one palette, one type size, and the way from a Figure to PNG bytes or themeable SVG."""

from __future__ import annotations

import io
import re
from html import escape
from threading import Lock

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

__all__ = ["PALETTE", "new_figure", "png_bytes", "svg_text", "tidy", "words"]

PALETTE = {
    "ink": "#1b2126",
    "muted": "#66717b",
    "line": "#d3d9de",
    "panel": "#cdd5db",
    "paper": "#fdfdfc",
    "data": "#3d5a73",
    "fit": "#0f8a7e",
    "forecast": "#c8501e",
    "band": "#f0b594",
    "past": "#8a6fb0",
}
"""Colours by meaning. Each hexadecimal is used for nothing else: in SVG it becomes the CSS variable of its name."""

WORDS = "words"

SETTINGS = Lock()
"""Matplotlib's settings are the whole process's, and pages of several products may be written at a time."""


def new_figure(width: float, height: float) -> Figure:
    """Figure of ``width`` x ``height`` inches on the Agg canvas, outside pyplot's global state."""
    figure = Figure(figsize=(width, height), dpi=100, facecolor=PALETTE["paper"], layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def words(text: Text) -> Text:
    """Mark a text that the page says in HTML: it stays in PNG, and is left out of the inline SVG.

    Names in it may hold a dollar sign, which begins no formula.
    """
    text.set_gid(WORDS)
    text.set_parse_math(False)
    return text


def tidy(axes: Axes, size: float = 8.5) -> None:
    """Quiet frame: no box, thin baseline, muted ticks."""
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(PALETTE["line"])
    axes.tick_params(colors=PALETTE["muted"], labelsize=size, length=3, width=0.6)
    axes.set_facecolor("none")
    axes.grid(axis="y", color=PALETTE["line"], linewidth=0.6)
    axes.set_axisbelow(True)
    for label in (axes.xaxis.label, axes.yaxis.label, axes.title):
        label.set_color(PALETTE["ink"])
        label.set_fontsize(size)


def png_bytes(figure: Figure, dpi: int = 160) -> bytes:
    """PNG of a figure on light paper."""
    _freeze_layout(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": "insar_dask"})
    return buffer.getvalue()


def svg_text(figure: Figure, name: str, alt: str) -> str:
    """Inline SVG of a figure: real text, unique ids, palette colours as CSS variables, ``alt`` for screen readers.

    Parameters
    ----------
    figure : Figure
        Its layout is frozen here: what was marked by ``words`` is left out and cropped away.
    name : str
        Prefix of the ids, unique on the page.
    alt : str
        One sentence that says what the figure shows.
    """
    _freeze_layout(figure)
    box = _leave_out_words(figure)
    buffer = io.BytesIO()
    with SETTINGS, mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        metadata = {"Date": None, "Creator": None}
        figure.savefig(buffer, format="svg", facecolor="none", bbox_inches=box, metadata=metadata)
    return _themed(buffer.getvalue().decode(), name, alt)


def _freeze_layout(figure: Figure) -> None:
    """Lay out once: with its engine a figure is drawn twice by each savefig, five times in all where two do."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)


def _leave_out_words(figure: Figure) -> Bbox:
    """Hide what the page says itself; return what remains, in inches, with room for half a tick label."""
    width, height = figure.get_size_inches()
    low, high = 0.0, float(height)
    for artist in figure.findobj(lambda artist: artist.get_gid() == WORDS):
        box = artist.get_window_extent().transformed(figure.dpi_scale_trans.inverted())
        low, high = (max(low, box.y1 - 0.06), high) if box.y1 < height / 2 else (low, min(high, box.y0 + 0.06))
        artist.set_visible(False)
    return Bbox.from_extents(0.0, low, width, high)


def _themed(text: str, name: str, alt: str) -> str:
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    for colour, value in PALETTE.items():
        text = text.replace(value, f"var(--{colour})")
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(alt)}" ', 1)
