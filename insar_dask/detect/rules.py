"""Which cells move: rules that each vote, and which votes count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.detect.windows import median_of_nine
from insar_dask.settings import known, positive, whole

__all__ = [
    "FLATTENED",
    "METHODS",
    "Background",
    "Evidence",
    "Rule",
    "background_of",
    "count_seasons",
    "evidence_of",
    "lenient",
    "median_season",
]

Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

METHODS = ("hysteresis", "paper")
SIGNS = ("away", "towards", "both")

FLATTENED = 0.8
"""What the median of nine leaves of a peak's velocity: on the map of medians this share of the seed is a seed."""

DAYS = 365.0

QUANTUM = 1e-3
"""Seasons are counted in thousandths of a millimetre: so the counts of any parts add up to the same median."""

SURE = 2.0
"""Standard errors beyond which a cell votes that it accelerates, which is told and decides nothing."""


@dataclass(frozen=True)
class Rule:
    """How areas are told from still ground.

    Parameters
    ----------
    method : {"hysteresis", "paper"}
        Components of ground that moves a little and hold some that moves a lot; or all cells beyond 15 mm/yr, as
        published (doi:10.3390/rs16111891), which looks at velocities alone: of all below at ``seed``, ``sign`` and
        ``fewest``.
    body, seed : float
        Velocities [mm/yr] of medians over 3 x 3 cells: an area goes out to ``body``, and holds 80 % of ``seed``, which
        is what such a median leaves of a peak; 5 and 10. For "paper" every cell is beyond ``seed``, 15.
    sigmas : float
        A body is also beyond so many standard errors.
    sign : {"away", "towards", "both"}
        Down or away from the satellite, up or towards it, or either.
    season : float or None
        Amplitude above that of still ground [mm] that every cell of an area has: thaw. None for motion of any kind.
    peak : float, optional
        Day of the year at which the season is highest, by which cells also vote.
    peak_within : float
        Days from it.
    fewest : int
        Cells of an area.
    """

    method: str = "hysteresis"
    body: float | None = None
    seed: float | None = None
    sigmas: float = 2.5
    sign: str = "away"
    season: float | None = 1.5
    peak: float | None = None
    peak_within: float = 60.0
    fewest: int = 5

    def __post_init__(self) -> None:
        """Fill in what the method has by default, and look at every choice."""
        known("method", self.method, METHODS)
        known("sign", self.sign, SIGNS)
        seed = (15.0 if self.method == "paper" else 10.0) if self.seed is None else self.seed
        for name, value in (("seed", seed), ("body", seed if self.method == "paper" else 5.0)):
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
            positive(name, getattr(self, name), of="mm/yr")
        if self.method == "paper":
            if self.body != self.seed or self.peak is not None:
                raise ValueError("method paper looks at velocities beyond its seed alone: leave out body and peak")
            object.__setattr__(self, "season", None)
        positive("sigmas", self.sigmas, zero=True)
        if self.season is not None:
            positive("season", self.season, zero=True, of="mm")
        if self.peak is not None:
            positive("peak", self.peak, of="days")
        positive("peak_within", self.peak_within, zero=True, of="days")
        whole("fewest", self.fewest, of="cells")
        if self.body > self.seed:  # type: ignore[operator]
            raise ValueError(f"body is {self.body:g} and seed {self.seed:g} mm/yr; an area goes out from what is fast")

    def to_dict(self) -> dict[str, Any]:
        """As JSON and attributes hold it."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class Background(NamedTuple):
    """What still ground of a scene has; a part of a scene is judged by the whole's."""

    season: float
    """Median amplitude [mm]."""


class Evidence(NamedTuple):
    """What each cell has to say; arrays (rows, columns)."""

    body: Bool
    seed: Bool
    votes: dict[str, Bool]
    """Every rule's, whether it counts or not."""


def background_of(maps: xr.Dataset, rule: Rule) -> Background:
    """That of a whole scene: of cells slower than a body; NaN where no season is known."""
    return median_season([count_seasons(maps, rule)])


def count_seasons(maps: xr.Dataset, rule: Rule) -> dict[str, npt.NDArray[np.int64]]:
    """How often still cells of a part of a scene have each amplitude, in thousandths of a millimetre."""
    season = np.empty(0)
    if "seasonality" in maps:
        season = maps["seasonality"].values[np.abs(maps["velocity"].values) < (rule.body or 0.0)]
    whole, counts = np.unique(np.rint(season[np.isfinite(season)] / QUANTUM).astype(np.int64), return_counts=True)
    return {"amplitudes": whole, "counts": counts.astype(np.int64)}


def median_season(parts: Iterable[Mapping[str, npt.NDArray[np.int64]]]) -> Background:
    """Background of a scene from what `count_seasons` says of its parts."""
    every = list(parts)
    whole = np.concatenate([part["amplitudes"] for part in every])
    counts = np.concatenate([part["counts"] for part in every])
    if not counts.sum():
        return Background(float("nan"))
    order = np.argsort(whole, kind="stable")
    below = np.cumsum(counts[order])
    middle = [whole[order][np.searchsorted(below, k, side="right")] for k in ((below[-1] - 1) // 2, below[-1] // 2)]
    return Background(float(middle[0] + middle[1]) / 2 * QUANTUM)


def lenient(rule: Rule, names: Iterable[str]) -> tuple[Rule, list[str]]:
    """A rule that asks for nothing beyond what maps have, and what it then does not judge, in words."""
    has, less = set(names), rule
    missing: list[str] = []
    if rule.sigmas and "velocity_std" not in has:
        less, missing = replace(less, sigmas=0), [*missing, "how sure the velocity is: the maps have no 'velocity_std'"]
    if rule.season is not None and "seasonality" not in has:
        less, missing = replace(less, season=None), [*missing, "the season: the maps have no 'seasonality'"]
    if rule.peak is not None and "phase" not in has:
        less, missing = replace(less, peak=None), [*missing, "when the season peaks: the maps have no 'phase'"]
    return less, missing


def evidence_of(maps: xr.Dataset, rule: Rule, background: Background) -> Evidence:
    """Votes of every cell, of medians over 3 x 3 cells; published: of the cells themselves.

    Parameters
    ----------
    maps : xr.Dataset
        ``velocity`` and, but for "paper", ``velocity_std`` [mm yr-1], and ``seasonality`` [mm] where the rule asks for
        one, over (y, x); a tile needs `insar_dask.detect.windows.HALO` cells about it.
    rule : Rule
    background : Background
        Of the whole scene.

    Raises
    ------
    CubeError
        When the rule asks for what the maps do not have.
    """
    for name in ("velocity", *_asked(rule)):
        if name not in maps or maps[name].dims != ("y", "x"):
            raise CubeError(
                f"the rule asks for {name!r} over ('y', 'x'), and the maps have {sorted(map(str, maps.data_vars))}: "
                "give it, or a rule without it (season=None, sigmas=0, peak=None)"
            )
    velocity = maps["velocity"].values.astype(np.float64)
    if rule.method == "paper":
        fast = _beyond(velocity, rule.seed or 0.0, rule.sign)
        return Evidence(fast, fast, {"fast": fast})
    smooth = median_of_nine(velocity)
    votes = {"moving": _beyond(smooth, rule.body or 0.0, rule.sign)}
    if rule.sigmas:
        error = median_of_nine(maps["velocity_std"].values) / 2  # of a median of nine
        votes["significant"] = _beyond(smooth, rule.sigmas * error, rule.sign)
    if "seasonality" in maps and np.isfinite(background.season):
        votes["seasonal"] = median_of_nine(maps["seasonality"].values) > background.season + (rule.season or 0.0)
    if {"acceleration", "acceleration_std"} <= set(maps.data_vars):
        change = median_of_nine(maps["acceleration"].values)
        votes["accelerating"] = _beyond(change, SURE * median_of_nine(maps["acceleration_std"].values), rule.sign)
    if rule.peak is not None:
        votes["in_phase"] = _in_phase(maps["phase"].values.astype(np.float64), rule)
    counted = ["moving", *(["significant"] if rule.sigmas else [])]
    counted += ["seasonal"] if rule.season is not None else []
    counted += ["in_phase"] if rule.peak is not None else []
    body = np.logical_and.reduce([votes[name] for name in counted if name in votes])
    seed = body & _beyond(smooth, FLATTENED * (rule.seed or 0.0), rule.sign)
    return Evidence(body, seed, {**votes, "fast": seed})


def _asked(rule: Rule) -> list[str]:
    if rule.method == "paper":
        return []
    wanted = ["velocity_std"] if rule.sigmas else []
    return wanted + (["seasonality"] if rule.season is not None else []) + (["phase"] if rule.peak is not None else [])


def _beyond(velocity: Float64, limit: float | Float64, sign: str) -> Bool:
    """Never of NaN."""
    away, towards = velocity < -np.asarray(limit), velocity > np.asarray(limit)
    return np.asarray({"away": away, "towards": towards, "both": away | towards}[sign])


def _in_phase(phase: Float64, rule: Rule) -> Bool:
    """Whether the median of the cells' distances from the peak is small enough."""
    distance = np.abs((phase - (rule.peak or 0.0) + DAYS / 2) % DAYS - DAYS / 2)
    return np.asarray(median_of_nine(distance) <= rule.peak_within)
