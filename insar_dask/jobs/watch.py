"""Progress of a stage in the terminal: a bar with points per second and the time left; silent when nobody looks."""

from __future__ import annotations

from insar_dask.terminal import TerminalBar

__all__ = ["Progress"]

NAME_WIDTH = 27
OTHER_WIDTH = 70
"""Columns that all but the bar takes, the spaces too: at 80 columns nothing is cut."""


class Progress(TerminalBar):
    """A bar over the shards of one stage; shards that were done already count from the start.

    Parameters
    ----------
    name : str
        Stage.
    total, done : int
        Shards in all (None: not known yet), and done before this run.
    quiet : bool
        Show nothing. Nothing is shown either when standard error is no terminal.
    """

    def __init__(self, name: str, total: int | None, done: int = 0, *, quiet: bool = False) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.table import Column

        stage = Column(width=NAME_WIDTH, no_wrap=True, overflow="ellipsis")
        super().__init__(
            _label(name),
            lambda width: [
                TextColumn("{task.description}", table_column=stage),
                BarColumn(bar_width=max(6, min(32, width - OTHER_WIDTH))),
                MofNCompleteColumn(),
                TaskProgressColumn(show_speed=False),
                TextColumn("{task.fields[rate]:>16}"),
                TimeRemainingColumn(elapsed_when_finished=True),
            ],
            total,
            done,
            quiet=quiet,
            rate="",
        )
        self._points = 0

    def advance(self, points: int, shards: int = 1) -> None:
        """One more shard of so many points is done."""
        self._points += points
        elapsed = self._bars.tasks[0].elapsed or 0.0
        rate = f"{self._points / elapsed:,.0f} points/s" if elapsed > 0.5 else ""
        self._bars.update(self._task, advance=shards, rate=rate)

    def show(self, done: int, points: int) -> None:
        """Set the bar to what somebody else counted."""
        self._points = 0
        self._bars.update(self._task, completed=done)
        self.advance(points, shards=0)


def _label(name: str) -> str:
    """``EGMS_L3_E45N17_100km_U_2020_2024_1/raw`` as ``raw      L3_E45N17_100km_U_...``: what matters comes first."""
    product, _, stage = name.rpartition("/")
    return f"{stage:<8} {product.removeprefix('EGMS_')}" if product else stage
