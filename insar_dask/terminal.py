"""A bar in the terminal, shown from entering to leaving; nothing is shown where nobody looks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

__all__ = ["TerminalBar"]


class TerminalBar:
    """One bar; what moves it is for its kinds to say.

    Parameters
    ----------
    name : str
        Stands before the bar.
    columns : callable
        Given the width of the terminal, what the line is made of.
    total, done : int
        Where the bar ends (None: not known yet), and where it begins.
    quiet : bool
        Show nothing. There is no bar either when standard error is no terminal.
    **fields
        First values of what the columns show beside.
    """

    def __init__(
        self,
        name: str,
        columns: Callable[[int], Sequence[ProgressColumn]],
        total: int | None = None,
        done: int = 0,
        *,
        quiet: bool = False,
        **fields: Any,
    ) -> None:
        # rich is 5 MB that workers and ranks need not load, who show nothing
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        self._bars = Progress(*columns(console.width), console=console, disable=quiet or not console.is_terminal)
        self._task = self._bars.add_task(name, total=total, completed=done, **fields)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()
