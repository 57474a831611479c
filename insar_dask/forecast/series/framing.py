"""How series become the arrays that a network reads, and its outputs millimetres again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError
from insar_dask.forecast.groups import ABSENT, from_centroid
from insar_dask.forecast.series.calendar_features import calendar_features, year_range
from insar_dask.forecast.series.point_source import Points, Source
from insar_dask.forecast.series.splits import Block
from insar_dask.forecast.timetable import TooShortError
from insar_kernels.windowing import cut_windows

__all__ = ["SCALINGS", "Framing", "Scale", "frame"]

Float32 = npt.NDArray[np.float32]
Index = npt.NDArray[np.int64]
Arrays = dict[str, npt.NDArray[Any]]

Scaling = Literal["global", "last", "point", "window"]
SCALINGS = ("global", "last", "point", "window")

LEAST_SCALE = 0.1
"""Standard deviation [mm] that no series is scaled by less of: what the products print."""


@dataclass(frozen=True, eq=False)
class Scale:
    """What is taken from the values of each point, and what they are then divided by."""

    shift: Float32
    """(n,) [mm]."""
    scale: Float32
    """(n,) [mm]."""


@dataclass(frozen=True, kw_only=True)
class Framing:
    """How windows are cut from series; JSON-able, and kept with a trained model, which can read no others.

    Made by `Framing.of` from the training block, so that at an origin after it nothing later is known.
    """

    context: int
    horizon: int
    length: int
    """Seats of a group of neighbours."""
    reach: float
    """Longest step [m] from one point of a group to the next."""
    step: int
    """Days between dates."""
    first_day: int
    last_day: int
    """First and last day of the training block, from 1970-01-01: what scaling and calendar may know."""
    calendar: str = "paper"
    scaling: Scaling = "point"
    """``"point"``: mean and standard deviation of the point's own training block, as published. ``"global"``: those of
    all points together. ``"last"``: the last value given, and the root mean square change over half a context of all
    points together, for ground that moves on and on. ``"window"``: mean and standard deviation of the context alone,
    which knows nothing beyond it. What ``"point"`` and ``"global"`` take, and the change of ``"last"``, is of the whole
    training block: so the inputs of a training window are scaled by numbers that have seen later training dates, never
    a date of validation or test. Networks as published are scaled by `insar_dask.forecast.published.scaling`."""
    shift: float = 0.0
    scale: float = 1.0
    """What all points together are scaled by [mm], and points without a training block of their own: their mean and
    standard deviation, or with ``"last"`` 0 and their change."""
    n_patterns: int = 0
    """Patterns known; a point of none is told to the network as pattern ``n_patterns``."""
    only_observed: bool = True
    """Whether dates that no acquisition was made on count as missing: never given, never asked for."""

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        if self.scaling not in SCALINGS:
            raise ValueError(f"no scaling is called {self.scaling!r}; there are {', '.join(SCALINGS)}")
        for name in ("context", "horizon", "length"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; wanted at least 1")

    @classmethod
    def of(cls, source: Source, train: Block, **settings: Any) -> Self:
        """Framing of a source's series as its training block has them; scale and patterns are still to be learned.

        Raises
        ------
        CubeError
            When the dates are not evenly spaced: a context is counted in steps.
        TooShortError
            When the record is shorter than the block.
        """
        days = source.days
        if train.stop > len(days):
            raise TooShortError(f"the record has {len(days)} dates, its {train.name} block ends at {train.stop}")
        steps = np.diff(days)
        if not steps.size or (steps != steps[0]).any():
            raise CubeError(
                f"dates are {steps.min(initial=days[-1])} to {steps.max(initial=0)} days apart, wanted an even "
                "spacing: use insar_dask.regularise(cube, every='12D') first; dates it makes up stay masked"
            )
        first, last = int(days[train.start]), int(days[train.stop - 1])
        return cls(step=int(steps[0]), first_day=first, last_day=last, **settings)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and names, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild what `to_dict` gave."""
        return cls(**data)

    def like(self, other: Framing) -> Framing:
        """``other``, which has learned scale and patterns, if it agrees with this one in all else; else raise."""
        learned = ("shift", "scale", "n_patterns")
        mine, theirs = self.to_dict(), other.to_dict()
        differing = [name for name in mine if name not in learned and mine[name] != theirs[name]]
        if differing:
            raise ValueError(
                f"the framing given differs in {', '.join(differing)} from the settings of these windows: give the same"
            )
        return other

    def trained_on(self, days: Index) -> npt.NDArray[np.bool_]:
        """Which of some days lie in the training block."""
        return np.asarray((days >= self.first_day) & (days <= self.last_day))

    def check(self, source: Source, origins: Index) -> None:
        """Raise unless a source has the dates that windows at some origins take."""
        steps = np.diff(source.days)
        if (steps != self.step).any():
            raise CubeError(
                f"dates are {steps.min()} to {steps.max()} days apart, those of the training were {self.step}: "
                f"use insar_dask.regularise(cube, every='{self.step}D')"
            )
        if origins.size and not self.context <= origins.min() <= origins.max() <= len(source.days):
            raise TooShortError(
                f"origins are {origins.min()} to {origins.max()}; a context of {self.context} of the record's "
                f"{len(source.days)} dates leaves {self.context} to {len(source.days)}"
            )

    def features(self, days: Index) -> Float32:
        """What the network is told of dates, (..., d)."""
        return calendar_features(days, self.calendar, year_range(np.array([self.first_day, self.last_day])))

    def known(self, source: Source, start: int, stop: int) -> Points:
        """Points of a source whose values at dates without an acquisition are missing, if such dates count as that."""
        points = source.read(start, stop)
        if not self.only_observed or source.observed.all():
            return points
        values = np.where(source.observed, points.values, np.float32(np.nan))
        return Points(values, points.places, points.patterns)

    def learned(self, values: Float32, n_patterns: int) -> Framing:
        """The same with what series (n, T) of the training block tell, all points together; one has a value."""
        known = values[np.isfinite(values)]
        shift, scale = float(known.mean(dtype=np.float64)), float(known.std(dtype=np.float64))
        if self.scaling == "last":
            half = max(self.context // 2, 1)
            change = (values[:, half:] - values[:, :-half]).astype(np.float64)
            change = change[np.isfinite(change)]
            shift, scale = 0.0, float(np.sqrt(np.mean(change**2))) if change.size else scale
        return replace(self, shift=shift, scale=scale, n_patterns=n_patterns)

    def scale_of(self, values: Float32, days: Index) -> Scale:
        """What series (n, T) at some days are scaled by."""
        n_points = len(values)
        shift = np.full(n_points, self.shift, np.float32)
        scale = np.full(n_points, max(self.scale, LEAST_SCALE), np.float32)
        if self.scaling == "point":
            mean, deviation = moments(values[:, self.trained_on(days)])
            own = np.isfinite(mean)
            shift[own], scale[own] = mean[own], np.maximum(deviation[own], LEAST_SCALE)
        return Scale(shift, scale)


def moments(values: Float32) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and standard deviation of each row's valid values; NaN where there is none."""
    valid = np.isfinite(values)
    count = valid.sum(axis=1)
    divisor = np.where(count > 0, count, np.nan)
    mean = np.where(valid, values, 0).sum(axis=1, dtype=np.float64) / divisor
    left = np.where(valid, values - mean[:, None], 0)
    return mean, np.sqrt((left**2).sum(axis=1) / divisor)


def frame(
    framing: Framing, points: Points, days: Index, scale: Scale, members: Index, origins: Index, targets: bool = True
) -> tuple[Arrays, Scale]:
    """Arrays of some windows, each of one group at one origin.

    Parameters
    ----------
    framing : Framing
    points : Points
        What the members are numbers of.
    days : (T,) array of int64
        Dates of the points.
    scale : Scale
        From `Framing.scale_of` for these points.
    members : (B, L) array of int
        Points of each window, `ABSENT` where a group is short.
    origins : (B,) array of int
        Column of the first date asked for; it may lie beyond the last one where no targets are wanted.
    targets : bool
        Whether to add what came.

    Returns
    -------
    arrays : dict
        ``values`` (B, L, k), ``given`` (B, L, k), ``present`` (B, L), ``context_time`` (B, k, d), ``target_time``
        (B, h, d), ``places`` (B, L, 2) [m from the group's centroid], ``pattern`` (B, L), ``baseline`` (B, L, h), which
        is 0: what is corrected is the shift; with ``targets`` also ``targets`` and ``scored`` (B, L, h). Values and
        targets are scaled, 0 where nothing is given or scored.
    scale : Scale
        What they were scaled by, ``shift`` and ``scale`` (B, L).

    Notes
    -----
    Of the values only those of columns before the origin are read for anything but ``targets`` and ``scored``; what
    scaling knows of the training block is in ``scale``.
    """
    present = np.not_equal(members, ABSENT)
    seats = np.where(present, members, 0)
    by = Scale(scale.shift[seats], scale.scale[seats])
    if framing.scaling in ("last", "window"):
        by = _own_scale(framing, points, members, origins - framing.context, by)
    values, given = cut_windows(points.values, members, origins - framing.context, framing.context, by.shift, by.scale)
    calendar = framing.features(days[0] + framing.step * np.arange(len(days) + framing.horizon))
    arrays: Arrays = {
        "values": values,
        "given": given,
        "present": present,
        "context_time": calendar[origins[:, None] + np.arange(-framing.context, 0)],
        "target_time": calendar[origins[:, None] + np.arange(framing.horizon)],
        "places": from_centroid(points.places[seats], present),
        "pattern": _patterns(framing, points, seats, present),
        "baseline": np.zeros((*present.shape, framing.horizon), np.float32),
    }
    if targets:
        asked = cut_windows(points.values, members, origins, framing.horizon, by.shift, by.scale)
        arrays["targets"], arrays["scored"] = asked
    return arrays, by


def _own_scale(framing: Framing, points: Points, members: Index, starts: Index, otherwise: Scale) -> Scale:
    """Mean and standard deviation of each context, or its last value; what else is known of a point without one."""
    ones = np.ones(members.shape, np.float32)
    context, given = cut_windows(points.values, members, starts, framing.context, 0 * ones, ones)
    if framing.scaling == "last":
        last = framing.context - 1 - given[..., ::-1].argmax(axis=-1)
        value = np.take_along_axis(context, last[..., None], axis=-1)[..., 0]
        return Scale(np.where(given.any(axis=-1), value, otherwise.shift).astype(np.float32), otherwise.scale)
    flat = np.where(given, context, np.float32(np.nan)).reshape(-1, framing.context)
    mean, deviation = (column.reshape(members.shape) for column in moments(flat))
    some = np.isfinite(mean)
    return Scale(
        np.where(some, mean, otherwise.shift).astype(np.float32),
        np.where(some, np.maximum(deviation, LEAST_SCALE), otherwise.scale).astype(np.float32),
    )


def _patterns(framing: Framing, points: Points, seats: Index, present: npt.NDArray[np.bool_]) -> Index:
    patterns = points.patterns[seats].astype(np.int64)
    known = present & (patterns >= 0) & (patterns < framing.n_patterns)
    return np.where(known, patterns, framing.n_patterns)
