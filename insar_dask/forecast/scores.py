"""The score table: errors by lead and kind of motion, skill, coverage, and how sure the scores are."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["NAIVE", "Scores", "block_bootstrap", "difference_bounds", "surely_lower"]

Float64 = npt.NDArray[np.float64]

NAIVE = ("persistence", "drift", "seasonal_naive")
"""Forecasters without a single fitted parameter: skill is counted against the best of them."""

REPLICATES = 1000


@dataclass
class Scores:
    """Scores of all methods under all protocols; see `to_dict` for the layout.

    ``tables[protocol][method]`` has ``rmse``, ``mae``, ``n``, ``coverage`` and ``interval_width`` by lead, ``rmse_all``
    with its 90 % ``rmse_ci``, ``skill``, ``coverage_all`` and ``strata``. Lengths are mm.
    """

    product: str
    component: str
    horizon: int
    level: float
    every_days: int
    origins: list[str]
    leads: list[dict[str, int]]
    default: str
    reason: str
    methods: list[str]
    tables: dict[str, dict[str, dict[str, Any]]]
    coverage_by_quintile: dict[str, list[list[float]]]
    protocol: dict[str, str]
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers."""
        return asdict(self)

    def to_json(self) -> str:
        """Strict JSON; a score that does not exist is null."""
        return json.dumps(_without_nan(self.to_dict()), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Scores:
        """Read what `to_json` wrote; null becomes NaN."""
        return cls(**_with_nan(json.loads(text)))

    def table(self, protocol: str = "honest") -> str:
        """Text table: RMSE at the first, middle and last lead and over all, skill, and coverage."""
        middle = (self.horizon - 1) // 2
        days = [self.leads[at]["days"] for at in (0, middle, -1)]
        wide = max(20, *(len(method) + 1 for method in self.tables[protocol]))
        head = f"{'RMSE mm':<{wide}}" + "".join(f"{f'{d} d':>8}" for d in days) + f"{'all':>8}{'90 % interval':>16}"
        lines = [self.protocol[protocol], head + f"{'skill':>8}{'coverage':>10}"]
        for method, row in self.tables[protocol].items():
            cells = "".join(f"{row['rmse'][at]:8.2f}" for at in (0, middle, -1)) + f"{row['rmse_all']:8.2f}"
            low, high = row["rmse_ci"]
            sure = f"{f'{low:.2f} - {high:.2f}':>16}"
            mark = " *" if method == self.default else ""
            lines.append(f"{method:<{wide}}{cells}{sure}{row['skill']:8.2f}{row['coverage_all']:10.2f}{mark}")
        lines.append(f"* default: {self.reason}")
        return "\n".join(lines)


def block_bootstrap(sums: Float64, length: int, level: float = 0.9, replicates: int = REPLICATES) -> Float64:
    """Intervals of RMSEs that reckon with errors alike in space and time.

    Neighbourhoods are drawn with replacement, and so are runs of ``length`` successive origins (wrapping round), both
    at once; all methods share the draws. Künsch (1989), doi:10.1214/aos/1176347265.

    Parameters
    ----------
    sums : (methods, origins, groups, 2) array
        Number of errors and sum of their squares.
    length : int
        Origins in a run: as many as share target dates.
    level : float
    replicates : int

    Returns
    -------
    (methods, 2) array
        Lower and upper bound of each RMSE [mm].
    """
    if not sums[..., 0].any():
        return np.full((len(sums), 2), np.nan)
    tail = (1 - level) / 2
    return np.asarray(np.nanquantile(_drawn(sums, length, replicates), [tail, 1 - tail], axis=1).T)


def surely_lower(one: Float64, other: Float64, length: int, level: float = 0.9) -> bool:
    """Whether the RMSE of one method is below that of another in all but ``(1 - level) / 2`` of the draws.

    All else as for `difference_bounds`.
    """
    return difference_bounds(one, other, length, level)[1] < 0


def difference_bounds(one: Float64, other: Float64, length: int, level: float = 0.9) -> tuple[float, float]:
    """Lower and upper bound [mm] of the RMSE of one method less that of another.

    ``one`` and ``other`` are (origins, groups, 2) arrays with errors in them, drawn alike; all else as for
    `block_bootstrap`.
    """
    first, second = _drawn(np.stack([one, other]), length, REPLICATES)
    low, high = np.nanquantile(first - second, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _drawn(sums: Float64, length: int, replicates: int) -> Float64:
    """RMSE (methods, replicates) of each draw."""
    rng = np.random.default_rng(0)
    _, n_origins, n_groups, _ = sums.shape
    filled = np.flatnonzero(sums[..., 0].sum(axis=(0, 1)))
    places = rng.multinomial(filled.size, np.full(filled.size, 1 / filled.size), replicates).astype(np.float64)
    space = np.zeros((replicates, n_groups))
    space[:, filled] = places
    starts = rng.integers(0, n_origins, (replicates, -(-n_origins // length)))
    runs = ((starts[:, :, None] + np.arange(length)) % n_origins).reshape(replicates, -1)[:, :n_origins]
    time = np.stack([(runs == origin).sum(axis=1) for origin in range(n_origins)], axis=1).astype(np.float64)
    drawn = np.einsum("ro,mrok->mrk", time, np.einsum("rg,mogk->mrok", space, sums))  # no BLAS: the same bits anywhere
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.sqrt(drawn[..., 1] / drawn[..., 0]))


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _with_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_nan(item) for item in value]
    return math.nan if value is None else value
