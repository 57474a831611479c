"""The look of every figure: one palette, one type size, and the way from a Figure to PNG bytes or themeable SVG."""

from __future__ import annotations

import io
import re

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

__all__ = ["PALETTE", "new_figure", "png_bytes", "svg_text", "tidy", "words"]

PALETTE = {
    "ink": "#1b2126",
    "muted": "#66717b",
    "line": "#d3d9de",
    "panel": "#dfe4e8",
    "paper": "#fdfdfc",
    "data": "#3d5a73",
    "fit": "#0f8a7e",
    "forecast": "#c8501e",
    "band": "#f0b594",
    "past": "#8a6fb0",
}
"""Colours by meaning. Each hexadecimal is used for nothing else: in SVG it becomes the CSS variable of its name."""

WORDS = "words"


def new_figure(width: float, height: float) -> Figure:
    """Figure of ``width`` x ``height`` inches on the Agg canvas, outside pyplot's global state."""
    figure = Figure(figsize=(width, height), dpi=100, facecolor=PALETTE["paper"], layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def words(text: Text) -> Text:
    """Mark a text that the page says in HTML: it stays in PNG, and is left out of the inline SVG."""
    text.set_gid(WORDS)
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


def png_bytes(figure: Figure, dpi: int = 180) -> bytes:
    """PNG of a figure on light paper."""
    buffer = io.BytesIO()
    figure.savefig(
        buffer, format="png", dpi=dpi, bbox_inches="tight", pad_inches=0.15, metadata={"Software": "insar_dask"}
    )
    return buffer.getvalue()


def svg_text(figure: Figure, name: str, alt: str) -> str:
    """Inline SVG of a figure: real text, unique ids, palette colours as CSS variables, ``alt`` for screen readers.

    Parameters
    ----------
    figure : Figure
    name : str
        Prefix of the ids, unique on the page.
    alt : str
        One sentence that says what the figure shows.
    """
    _leave_out_words(figure)
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", facecolor="none", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue().decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    for colour, value in PALETTE.items():
        text = text.replace(value, f"var(--{colour})")
    label = alt.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def _leave_out_words(figure: Figure) -> None:
    """Hide what the page says itself, and take its height off the figure so that the rest keeps its size."""
    height = 0.0
    for artist in figure.findobj(lambda artist: artist.get_gid() == WORDS and artist.get_visible()):
        height += artist.get_window_extent().height / figure.dpi
        artist.set_visible(False)
    figure.set_figheight(figure.get_figheight() - height)
