"""Tiles as each protocol hands them to every forecaster of maps: what is read, what is scored, and when.

MM-STT smooths each series with a centred average of three dates and reads the provider's velocity, acceleration and
seasonality of the whole record; both know what comes. The honest protocol reads raw maps, and fits the past alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.forecast.maps.map_history import LEAST_DATES, MapHistory
from insar_dask.forecast.schedule import plan
from insar_dask.forecast.series.splits import Block, Split, split_by_length
from insar_dask.forecast.timetable import Origin, Plan, TooShortError
from insar_dask.foresight import sees_future
from insar_dask.smooth import moving_average
from insar_dask.tiling.checking import check_held

__all__ = ["CONTEXT", "HORIZON", "PROTOCOLS", "STAGES", "STATICS", "Material", "honest_material", "paper_material"]

Float32 = npt.NDArray[np.float32]
Index = npt.NDArray[np.int64]

CONTEXT, HORIZON = 10, 10
"""Maps in and out, as published."""

STAGES = ("train", "validation", "test")
PROTOCOLS = ("honest", "paper")

STATICS = ("egms_velocity", "egms_acceleration", "egms_seasonality")
"""The provider's columns of the whole record [mm/yr, mm/yr², mm], which the publication reads."""

AVERAGED = 3
"""Dates of the centred average of the publication."""

TRAINED, VALIDATED = 0.7, 0.15
"""Shares of the record that are trained and validated on, the rest being tested on; the publication does not say."""

FIGURES = 4
"""By which data are told apart, of each tile."""

BASELINES = ("persistence", "harmonic", "harmonic_ridge")


@dataclass(frozen=True, eq=False)
class Material:
    """Some tiles as one protocol has them."""

    protocol: str
    """``"paper"``, which leaks, or ``"honest"``."""
    names: tuple[str, ...]
    plan: Plan
    read: Float32
    """(n, T, Y, X) what is known of displacement [mm] before an origin: raw, or averaged."""
    asked: Float32
    """(n, T, Y, X) what forecasts are scored against [mm]: raw, or, as published, averaged."""
    mask: npt.NDArray[np.bool_]
    """(n, T, Y, X) cells that hold a point; all else was filled in."""
    statics: Float32 | None
    """(n, 3, Y, X) the provider's columns, `STATICS`; None where only the past is fitted."""
    edges: npt.NDArray[np.float64]
    """(n, 4) west, south, east and north end of each tile [m]."""
    digest: str
    """Hash of dates, masks and figures of each tile: results of other maps never meet in one table."""
    context: int = CONTEXT
    split: Split | None = None
    """Blocks of dates, where windows keep inside theirs."""

    @property
    def horizon(self) -> int:
        """Maps asked for at an origin."""
        return self.plan.horizon

    @cached_property
    def days(self) -> Index:
        """(T,) days from 1970-01-01: the plan's first grid."""
        return self.plan.grid_days(0)

    @cached_property
    def years(self) -> npt.NDArray[np.float64]:
        """(T,) years of 365 days since the first date."""
        return self.plan.years(self.days)

    @cached_property
    def _histories(self) -> dict[int, MapHistory]:
        return {}

    def history(self, tile: int) -> MapHistory:
        """Running fits of a tile, summed up when they are first asked for."""
        if tile not in self._histories:
            self._histories[tile] = MapHistory(self.read[tile], self.years)
        return self._histories[tile]

    def origins(self, stage: str) -> Index:
        """Columns of the first date asked for.

        As published, of every window inside its block. Honest validation and test are the plan's; honest training takes
        every date whose targets lie before validation, from `Plan.train_start` on, since with less than two years a fit
        cannot be continued.
        """
        if self.split is not None:
            block: Block = getattr(self.split, stage)
            return block.origins(self.context, self.horizon)
        if stage != "train":
            return np.array([self._column(origin) for origin in getattr(self.plan, stage)], np.int64)
        first = max(self.plan.train_start, self.context)
        return np.arange(first, self.first_unknown - self.horizon + 1, dtype=np.int64)

    @property
    def first_unknown(self) -> int:
        """Column before which lies all that is learned from."""
        return self._column(self.plan.validation[0]) if self.split is None else self.split.validation.start

    def origins_about(self, day: np.datetime64) -> dict[str, Index]:
        """Origins whose targets end ``before`` an event, lie ``across`` it, or whose history has ``known`` it.

        The event's first date is the first of ``day`` or later. An origin there lies across: the jump is in its targets
        alone. An origin is left out where too little lies before it to fit anything to.
        """
        event, ahead = int(np.searchsorted(self.days, day.astype("datetime64[D]").astype(np.int64))), self.horizon
        about = np.arange(event - 2 * ahead, event + ahead + 1, dtype=np.int64)
        usable = about[(about >= max(self.context, LEAST_DATES)) & (about + ahead <= len(self.days))]
        bounds = {
            "before": (-1, event - ahead),
            "across": (event - ahead, event),
            "known": (event, len(self.days)),
        }
        return {name: usable[(usable > low) & (usable <= high)] for name, (low, high) in bounds.items()}

    def targets(self, tile: int, origin: int) -> Float32:
        """Maps (h, Y, X) asked for [mm]; NaN in cells without a point."""
        later = slice(origin, origin + self.horizon)
        return np.where(self.mask[tile, later], self.asked[tile, later], np.float32(np.nan))

    def _column(self, origin: Origin) -> int:
        return (self.plan.date(origin) - self.plan.starts[0]) // self.plan.every


def honest_material(tiles: xr.Dataset, *, average: int = 1, **settings: Any) -> Material:
    """Raw maps, scored as they are.

    Parameters
    ----------
    tiles : xr.Dataset
        Tile cube, from `insar_dask.rasterise` or `insar_dask.open_tiles`.
    average : int
        Dates of a trailing average of what is read; 1 is none. What is scored stays raw.
    **settings
        ``horizon``, ``context``, ``test_fraction``, ``stride``: see `insar_dask.forecast.schedule.plan`.

    Raises
    ------
    CubeError
        When the tiles have seen the future, one of them never holds a point, a date is missing, or their record is too
        short.
    """
    if days := sees_future(tiles):
        raise CubeError(f"these tiles have seen the future (attrs['sees_future'] = {days}): give raw ones")
    raw = _maps(tiles)
    read = raw if average == 1 else _maps(moving_average(tiles.transpose(..., "time"), average))
    return _material("honest", tiles, read, raw, None, settings)


def paper_material(tiles: xr.Dataset, **settings: Any) -> Material:
    """Every series averaged over three dates around each one, and the provider's columns, as published: both leak.

    Parameters
    ----------
    tiles, **settings
        As for `honest_material`; the tiles need the provider's columns.

    Raises
    ------
    CubeError
        When a column is missing, or as for `honest_material`.
    """
    if lacking := [name for name in STATICS if name not in tiles]:
        raise CubeError(
            f"these tiles have no {', '.join(lacking)}, which the published protocol reads: rasterise products that "
            "have EGMS's own columns, or take the honest protocol"
        )
    averaged = _maps(moving_average(tiles.transpose(..., "time"), AVERAGED, centred=True))
    columns = np.stack([tiles[name].transpose("tile", "y", "x").values for name in STATICS], axis=1)
    return _material("paper", tiles, averaged, averaged, columns.astype(np.float32), settings)


def _material(
    protocol: str,
    tiles: xr.Dataset,
    read: Float32,
    asked: Float32,
    statics: Float32 | None,
    settings: dict[str, Any],
) -> Material:
    check_held(tiles)
    _check_dates(tiles)
    context, wanted = settings.pop("context", CONTEXT), {"horizon": HORIZON, **settings}
    plan(tiles["time"].values, methods=BASELINES, context=context, **wanted)  # names what a network reads, if too short
    timetable = plan(tiles["time"].values, methods=BASELINES, **wanted)  # by which the ridge reads as far as ever
    mask = tiles["mask"].transpose("tile", "time", "y", "x").values.astype(bool)
    made = Material(
        protocol=protocol,
        names=tuple(map(str, tiles["tile"].values)),
        plan=timetable,
        read=read,
        asked=asked,
        mask=mask,
        statics=statics,
        edges=_edges(tiles),
        digest=_digest(tiles, mask, statics),
        context=context,
        split=_split(tiles.sizes["time"]) if protocol == "paper" else None,
    )
    if not made.origins("train").size:
        first = np.datetime64(int(made.days[made.first_unknown]), "D")
        raise TooShortError(
            f"no window of {context} maps in and {made.horizon} out ends before {first}, the first origin of "
            "validation: take a longer record, or a smaller test_fraction"
        )
    return made


def _split(n_dates: int) -> Split:
    train, validation = round(TRAINED * n_dates), round(VALIDATED * n_dates)
    return split_by_length(n_dates, (train, validation, n_dates - train - validation))


def _check_dates(tiles: xr.Dataset) -> None:
    """Refuse maps that are not evenly spaced in time: a window of ten would not be ten steps."""
    days = tiles["time"].values.astype("datetime64[D]")
    steps = np.diff(days).astype(np.int64)
    usual = int(np.median(steps)) if steps.size else 0
    if (wrong := np.flatnonzero(steps != usual)).size:
        at = wrong[0]
        raise CubeError(
            f"these tiles have a map every {usual} days, and {steps[at]} days after {days[at]} comes {days[at + 1]}: "
            f"{len(wrong)} of {len(steps)} steps are of another length; take an even run of dates, such as "
            f".sel(time=slice('{days[at + 1]}', None)), or put in the missing date as a map of NaN and mask False"
        )


def _maps(tiles: xr.Dataset) -> Float32:
    return np.ascontiguousarray(tiles["displacement"].transpose("tile", "time", "y", "x").values, np.float32)


def _edges(tiles: xr.Dataset) -> npt.NDArray[np.float64]:
    """Ends of the outermost cells."""
    sides = [tiles[name].values for name in ("easting", "northing")]
    half = [np.abs(np.diff(side[:, :2], axis=1))[:, 0] / 2 for side in sides]
    least = [side.min(axis=1) - part for side, part in zip(sides, half, strict=True)]
    most = [side.max(axis=1) + part for side, part in zip(sides, half, strict=True)]
    return np.stack([*least, *most], axis=1)


def _digest(tiles: xr.Dataset, mask: npt.NDArray[np.bool_], statics: Float32 | None) -> str:
    """Hash of dates, masks and figures of what cells with points hold, on which all processors agree."""
    parts: list[npt.NDArray[Any]] = [tiles["time"].values.astype("datetime64[D]").astype(np.int64), mask]
    parts += [_figures(maps, cells) for maps, cells in zip(_maps(tiles), mask, strict=True)]
    if statics is not None:
        parts += [_figures(columns, cells.any(axis=0)) for columns, cells in zip(statics, mask, strict=True)]
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()[:16]


def _figures(values: Float32, cells: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Sums of values by random signs, each as large as their RMS, to 0.01 mm: last bits move them by some 1e-6 mm."""
    known = np.where(cells, values, 0.0).ravel()
    draw, n = np.random.default_rng(0), max(int(cells.sum()), 1)
    sums = [known @ draw.choice([-1.0, 1.0], known.size) for _ in range(FIGURES)]
    figures: npt.NDArray[np.float64] = np.round(np.array(sums) / np.sqrt(n), 2)
    return figures + 0.0  # no -0.0


def tiles_called(material: Material, names: Sequence[str]) -> list[int]:
    """Numbers of tiles by name.

    Raises
    ------
    ValueError
        Naming the first that is not there.
    """
    for name in names:
        if name not in material.names:
            raise ValueError(f"no tile is called {name!r}; there are {', '.join(material.names)}")
    return [material.names.index(name) for name in names]
