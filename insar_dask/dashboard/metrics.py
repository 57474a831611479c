"""What Prometheus scrapes: jobs by state, points, bytes, seconds by stage, retries, losses. On ``/metrics``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from insar_dask.jobs.progress.board import Board
from insar_dask.jobs.progress.stage_board import STATES

if TYPE_CHECKING:
    from insar_dask.dashboard.plugin import JobsPlugin

__all__ = ["collect", "let_go", "measures"]

Measure = tuple[str, str, str, list[str], list[tuple[list[str], float]]]
"""Kind, name, what it is, names of its labels, and samples: values of the labels, and the number."""


def measures(board: Board) -> list[Measure]:
    """What is to be said of a run; stages that went well long ago are in the totals only."""
    stages = list(board.stages.values())
    counts = [(stage, stage.counts()) for stage in stages]
    folded = board.folded
    run_done = folded.points + sum(stage.points for stage in stages)
    run_bytes = folded.bytes + sum(stage.bytes for stage in stages)
    retries = folded.retries + sum(stage.retries for stage in stages)
    return [
        (
            "gauge",
            "insar_jobs",
            "Chunk jobs of a stage by state",
            ["stage", "state"],
            [([stage.name, state], count[state]) for stage, count in counts for state in STATES],
        ),
        ("counter", "insar_points", "Points that were made", [], [([], run_done)]),
        ("counter", "insar_bytes", "Bytes that were stored", [], [([], run_bytes)]),
        ("counter", "insar_retries", "Chunk jobs that went back to the queue", [], [([], retries)]),
        (
            "gauge",
            "insar_stage_seconds",
            "Seconds since a stage began, or that it took",
            ["stage"],
            [([stage.name], (stage.ended or board.ended or time.time()) - stage.began) for stage in stages],
        ),
        (
            "counter",
            "insar_stage_work_seconds",
            "Seconds of work of a stage's jobs together",
            ["stage"],
            [([stage.name], stage.busy) for stage in stages],
        ),
        (
            "gauge",
            "insar_stage_job_median_seconds",
            "Median seconds of a stage's jobs",
            ["stage"],
            [([stage.name], stage.median()) for stage in stages],
        ),
        ("gauge", "insar_training_loss", "Latest loss of a model", ["model", "kind"], _losses(board)),
        (
            "gauge",
            "insar_run_active",
            "Whether a run goes on",
            [],
            [([], float(board.goes_on))],
        ),
    ]


def _losses(board: Board) -> list[tuple[list[str], float]]:
    found = []
    for model, rows in board.losses.items():
        for kind, column in (("training", 1), ("validation", 2)):
            known = [row[column] for row in rows if row[column] is not None]
            if known:
                found.append(([model, kind], float(known[-1] or 0.0)))
    return found


def collect(plugin: JobsPlugin) -> Any:
    """Have the scheduler's ``/metrics`` say it too; None where prometheus-client is not installed."""
    try:
        from prometheus_client import REGISTRY
    except ImportError:
        return None
    collector = _Collector(plugin)
    REGISTRY.register(collector)
    return collector


def let_go(collector: Any) -> None:
    """Undo `collect`."""
    if collector is not None:
        from prometheus_client import REGISTRY

        REGISTRY.unregister(collector)


class _Collector:
    def __init__(self, plugin: JobsPlugin) -> None:
        self.plugin = plugin

    def describe(self) -> list[Any]:
        """Nothing before a run: else the registry collects to find out."""
        return []

    def collect(self) -> Iterator[Any]:
        """Families of the last run."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for kind, name, what, labels, samples in measures(self.plugin.board(None)):
            made = (CounterMetricFamily if kind == "counter" else GaugeMetricFamily)(name, what, labels=labels)
            for values, number in samples:
                made.add_metric(values, number)
            yield made
