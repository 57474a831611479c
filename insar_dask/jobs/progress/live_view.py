"""A run in the terminal, from its history in the store: on another machine than the run's, or after it."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from insar_dask.jobs.progress.board import Board
from insar_dask.jobs.progress.history import Reader, runs
from insar_dask.jobs.progress.stage_board import STATES, StageBoard
from insar_dask.objects import open_store

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from zarr.abc.store import Store

__all__ = ["latest_run", "run_view", "watch_run", "watch_store"]

WAIT_SECONDS = 2.0
DEAD_SECONDS = 60.0
"""A run says that it is alive every 15 s."""

COLOURS = {"done": "blue", "skipped": "bright_black", "running": "yellow", "retried": "magenta", "failed": "red"}
SIGNS = {"done": "█", "skipped": "▓", "running": "▒", "retried": "○", "failed": "×", "waiting": "·"}
MOST_LINES = 6


def latest_run(store: Store, run: str | None = None) -> Reader:
    """The history of a run, by default the last one; FileNotFoundError where there is none."""
    known = runs(store)
    if not known:
        raise FileNotFoundError("this store has no history of runs: it is written from the next one on")
    if run is not None and run not in known:
        raise FileNotFoundError(f"this store has no history of run {run!r}; it has {', '.join(known)}")
    return Reader(store, run or known[-1])


def watch_store(path: str | Path, run: str | None = None) -> None:
    """Show a run of a store in the terminal until it has ended, or Ctrl-C; where there is no terminal, as it is."""
    from rich.console import Console

    console, reader = Console(), latest_run(open_store(path), run)
    if not console.is_terminal:
        console.print(run_view(reader.read(), time.time(), console.width))
        return
    with suppress(KeyboardInterrupt):
        watch_run(reader, console)


def watch_run(reader: Reader, console: Console) -> None:
    """Show a run until it has ended, or is not heard of any more."""
    from rich.live import Live

    with Live(console=console, refresh_per_second=4, screen=False) as live:
        while True:
            board = reader.read()
            live.update(run_view(board, time.time(), console.width))
            if standing(board, time.time()) != "running":
                return
            time.sleep(WAIT_SECONDS)


def standing(board: Board, now: float) -> str:
    """Whether a run goes on, has ended or failed, or is not heard of any more."""
    if board.ended is not None:
        return "failed" if board.error else "ended"
    return "running" if now - board.last < DEAD_SECONDS else "dead"


def run_view(board: Board, now: float, width: int = 100) -> RenderableType:
    """All that fits a terminal: the stages, the one that runs as a row of signs, its rate, and what went wrong."""
    from rich.console import Group
    from rich.text import Text

    state = standing(board, now)
    word = {"running": "running", "ended": "ended", "failed": f"failed: {board.error}", "dead": "not heard of any more"}
    head = Text.assemble((word[state], "bold"), f"  {board.store}  {_span((board.ended or board.last) - board.began)}")
    lines: list[RenderableType] = [head, Text("")]
    stages = list(board.stages.values())
    if len(stages) > MOST_LINES:
        lines.append(Text(f"{len(stages) - MOST_LINES + board.folded.stages} stages before", style="bright_black"))
    lines += [_stage_line(stage, width) for stage in stages[-MOST_LINES:]]
    if board.current is not None:
        lines += ["", *_whole(board.current, now if state == "running" else board.last, width)]
    lines += [_loss_line(name, said) for name, said in list(board.training.items())[-2:]]
    return Group(*lines)


def _stage_line(stage: StageBoard, width: int) -> Any:
    from rich.text import Text

    counts = stage.counts()
    made = counts["done"] + counts["skipped"]
    product, _, name = stage.name.rpartition("/")
    length = max(10, min(40, width - 66))
    line = Text.assemble((f"{name:<14.14}", "bold"), f" {product:<24.24} ")
    for state in ("done", "skipped", "running", "retried", "failed", "waiting"):
        cells = round(length * sum(counts[s] for s in STATES_TO[state]) / max(stage.n_shards, 1))
        cells -= round(length * sum(counts[s] for s in STATES_TO[state][:-1]) / max(stage.n_shards, 1))
        line.append(SIGNS[state] * cells, COLOURS.get(state, "bright_black"))
    return line.append(f" {made:,} of {stage.n_shards:,}")


ORDER = "done", "skipped", "running", "retried", "failed", "waiting"
STATES_TO = {state: ORDER[: place + 1] for place, state in enumerate(ORDER)}
"""States up to one: so that rounded lengths add up to the whole."""


def _whole(stage: StageBoard, now: float, width: int) -> list[Any]:
    from rich.text import Text

    counts = stage.counts()
    speed = stage.speed(now)
    eta = "" if speed.left is None else f"{_span(speed.left)} left"
    shown = "  ".join(f"{counts[name]:,} {name}" for name in STATES if counts[name])
    lines = [
        Text(shown),
        Text(f"{speed.points:,.0f} points/s  {speed.bytes / 1e6:,.1f} MB/s  {stage.retries} retries  {eta}"),
    ]
    faults = sorted(stage.faults.values(), key=lambda fault: fault.at)[-MOST_LINES:]
    for fault in faults:
        text = f"shard {fault.shard} {fault.kind}: {fault.error}"
        lines.append(Text(text[: width - 1], COLOURS.get(fault.kind, "red")))
    return lines


def _loss_line(name: str, said: dict[str, Any]) -> Any:
    from rich.text import Text

    words = [f"{key} {said[key]:.4g}" for key in ("loss", "validation") if isinstance(said.get(key), float)]
    return Text(f"training {name}: step {said.get('step', 0):,} of {said.get('of', 0):,}  {'  '.join(words)}")


def _span(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
