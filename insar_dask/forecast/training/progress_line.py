"""A training in the terminal: one line with losses, learning rate, samples a second and the time left."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from insar_dask.terminal import TerminalBar

__all__ = ["ProgressLine"]

BAR_WIDTH = 12
SHOWN = ("loss", "validation", "rate", "samples_per_s", "eta_s")


class ProgressLine(TerminalBar):
    """Shows what a training tells; give it to `insar_dask.forecast.training.train.train` or `train_on` as ``tell``.

    Restarts, notes and from where it goes on stay above the line, and are all that is written where standard error is
    no terminal.

    Parameters
    ----------
    name : str
        What is trained.
    quiet : bool
        Show nothing.

    Examples
    --------
    >>> with ProgressLine("trend", quiet=True) as tell:
    ...     tell({"kind": "step", "step": 3, "of": 10, "loss": 0.5, "rate": 1e-4, "samples_per_s": 99.0, "eta_s": 7.0})
    >>> tell.text
    'loss 0.5 rate 1.0e-04 99/s 0:00:07'
    """

    def __init__(self, name: str, *, quiet: bool = False) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

        super().__init__(
            name,
            lambda _: [
                TextColumn("{task.description}"),
                BarColumn(bar_width=BAR_WIDTH),
                MofNCompleteColumn(),
                TextColumn("{task.fields[text]}"),
            ],
            quiet=quiet,
            text="",
        )
        self._name, self._quiet = name, quiet
        self._told: set[str] = set()
        self._fresh = True
        self._latest: dict[str, Any] = {}

    @property
    def text(self) -> str:
        """What the line says beside its bar."""
        said = self._latest
        parts = [f"loss {said['loss']:.4g}" if "loss" in said else ""]
        parts += [f"validation {said['validation']:.4g}" if "validation" in said else ""]
        parts += [f"rate {said['rate']:.1e}" if "rate" in said else ""]
        parts += [f"{said['samples_per_s']:.3g}/s" if "samples_per_s" in said else ""]
        parts += [str(timedelta(seconds=round(said["eta_s"]))) if said.get("eta_s") is not None else ""]
        return " ".join(filter(None, parts))

    def __call__(self, said: Mapping[str, Any]) -> None:
        """Take in one mapping, see `insar_dask.forecast.training.logbook.Logbook`."""
        if (text := self._worth_keeping(said)) and not self._quiet:
            self._bars.console.print(f"{self._name}: {text}", highlight=False, markup=False, soft_wrap=True)
        self._latest |= {name: said[name] for name in SHOWN if name in said}
        self._bars.update(self._task, completed=said["step"], total=said.get("of"), text=self.text)

    def _worth_keeping(self, said: Mapping[str, Any]) -> str:
        """What a person should still find in a log; empty for all that passes by.

        A note is told once from restart to restart. A second beginning without a restart is that of the next of
        several networks, whose steps are counted on.
        """
        match said["kind"]:
            case "begin":
                fresh, self._fresh = self._fresh, False
                return f"going on from step {said['step']} of {said['of']}" if fresh and said["step"] else ""
            case "restart":
                self._fresh = True
                self._told.clear()
                return f"restart at step {said['step']}: {said['text']}"
            case "note" if said["text"] not in self._told:
                self._told.add(said["text"])
                return f"note at step {said['step']}: {said['text']}"
        return ""
