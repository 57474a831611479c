"""A network and the series of a stored cube that it learns from: a job that any rank makes from names and numbers."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from insar_dask.forecast.models import build, network_class
from insar_dask.forecast.series.calendar_features import CALENDARS
from insar_dask.forecast.series.framing import Framing
from insar_dask.forecast.series.grid_points import GridPoints
from insar_dask.forecast.series.point_source import Source
from insar_dask.forecast.series.splits import Split, split_by_date, split_by_length
from insar_dask.forecast.series.stored_points import StoredPoints
from insar_dask.forecast.series.windows import SeriesWindows
from insar_dask.forecast.training.job import Job, Training

__all__ = ["Draft", "build_job", "seeded", "series_job"]


def build_job(
    source: Mapping[str, Any],
    network: str = "spacetimeformer",
    *,
    every: int | None = None,
    lengths: Sequence[int] | None = None,
    starts: Sequence[str] | None = None,
    windows: Mapping[str, Any] | None = None,
    sizes: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
) -> Job:
    """Job for `train`, or by its name and these JSON-able arguments for `insar_dask.forecast.training.ranks.train_on`.

    Parameters
    ----------
    source : mapping
        Of `insar_dask.forecast.series.stored_points.StoredPoints`: ``path``, ``group``, ``variable``, ``labels``.
    network : str
        Name of one of `insar_dask.forecast.models.MODELS`.
    every : int, optional
        Days between the dates of a grid to put the series on, where their own dates are uneven: see
        `insar_dask.forecast.series.grid_points`.
    lengths : sequence of int, optional
        Dates of the training, validation and test block; default: in the proportion 100 : 33 : 33.
    starts : sequence of str, optional
        Days on which validation and test begin, such as ``("2022-01-01", "2023-01-01")``, instead of ``lengths``.
    windows : mapping, optional
        Settings of `insar_dask.forecast.series.windows.SeriesWindows`; batch and seed are those of the training.
    sizes : mapping, optional
        Sizes of the network other than its preset's; those that windows have are taken from them.
    training : mapping, optional
        Settings of `insar_dask.forecast.training.job.Training`.

    Returns
    -------
    Job
        ``windows.framing`` belongs to the trained network, and ``windows.source`` is what it was trained on:
        `insar_dask.forecast.series.prediction_blocks.series_contexts` takes both.

    Raises
    ------
    ValueError
        For blocks that the dates do not make, and a network that there is not.
    CubeError, TooShortError
        When a block is left without a date, or no window fits into it.

    Examples
    --------
    >>> job = build_job({"path": "site.zarr", "group": "site/raw"}, "lstm", every=12)  # doctest: +SKIP
    >>> trained = train(job, "checkpoints")  # doctest: +SKIP
    """
    stored = StoredPoints(**source)
    series = stored if every is None else GridPoints.of(stored, every)
    told = {name: value for name, value in source.items() if name != "path"}
    return series_job(
        series, _split(series, lengths, starts), network, windows=windows, sizes=sizes, training=training, told=told
    ).job()


def series_job(
    source: Source,
    split: Split,
    network: str = "spacetimeformer",
    *,
    windows: Mapping[str, Any] | None = None,
    sizes: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    told: Mapping[str, Any] | None = None,
) -> Draft:
    """Job on any source of series, its network not built yet.

    Parameters
    ----------
    source : Source
    split : Split
    network, windows, sizes, training
        As for `build_job`.
    told : mapping, optional
        What else a checkpoint must agree in, such as where the series come from; JSON-able.
    """
    settings = Training(**training or {})
    cut = SeriesWindows(source, split, batch=settings.batch, seed=settings.seed, **windows or {})
    return Draft(network, cut, settings, sizes or {}, told or {})


@dataclass(frozen=True, eq=False)
class Draft:
    """A job without its network: what a finished training needs to be known again, and costs less to make."""

    network: str
    windows: SeriesWindows
    training: Training
    sizes: Mapping[str, Any]
    told: Mapping[str, Any]

    def job(self) -> Job:
        """With its network."""
        model = seeded(self.network, self.windows.framing, self.sizes, self.training.seed)
        return Job(model, self.windows, self.training, self.identity)

    @cached_property
    def identity(self) -> str:
        """Hash of what may not change while a training goes on; the scale of the series stands for them."""
        parts = {
            "source": dict(self.told),
            "network": self.network,
            "framing": self.windows.framing.to_dict(),
            "pattern": self.windows.pattern,
            "evenness": self.windows.evenness,
            "rounds": [self.windows.per_round, self.windows.steps_per_round],
            "origins": self.windows.origins.tolist(),
            "validation": [self.windows.validation_origins.tolist(), self.windows.validation_points],
            "sizes": dict(self.sizes),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def seeded(network: str, framing: Framing, sizes: Mapping[str, Any], seed: int) -> torch.nn.Module:
    """Network for windows of some framing, with the same weights for the same seed."""
    known = {
        "points": framing.length,
        "context": framing.context,
        "horizon": framing.horizon,
        "time_features": CALENDARS[framing.calendar],
        "patterns": framing.n_patterns,
    }
    asked = inspect.signature(network_class(network)).parameters
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(network, **{name: size for name, size in known.items() if name in asked} | dict(sizes))


def _split(series: Source, lengths: Sequence[int] | None, starts: Sequence[str] | None) -> Split:
    if starts is None:
        return split_by_length(len(series.days), lengths)
    if lengths is not None or len(starts) != 2:
        raise ValueError(
            f"starts is {list(starts)}, lengths {lengths}; wanted the days on which validation and test begin, or the "
            "three lengths"
        )
    return split_by_date(series.days.astype("datetime64[D]"), *starts)
