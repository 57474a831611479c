"""What saw the future, step by step: everything after a date is moved, and whatever changes before it is named.

Each step is tried by itself: what it is given is moved from the audited date on, and left as it was before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.decompose import PARTS, holt_winters
from insar_dask.forecast.audit import LeakageError
from insar_dask.forecast.published.protocols import (
    PERIOD,
    Material,
    honest_material,
    learn_patterns,
    paper_material,
    smoothed,
)
from insar_dask.forecast.published.scaling import calendar, scaling
from insar_dask.resample import regular_dates, regularise
from insar_dask.smooth import savgol

__all__ = ["MOVED", "Finding", "audit", "none_leaking", "share_moved"]

Float32 = npt.NDArray[np.float32]

MOVED = 100.0
"""What the future is moved by [mm]; the sizes of the leaks are told in per cent of it."""


@dataclass(frozen=True)
class Finding:
    """What one step let through."""

    what: str
    leaks: bool
    says: str


def audit(cube: xr.Dataset, filtering: tuple[int, int] | None) -> list[dict[str, Any]]:
    """Try every step of a protocol on a raw cube.

    Parameters
    ----------
    cube : xr.Dataset
        Raw point cube; a few hundred points are enough.
    filtering : (int, int) or None
        Window and order of Savitzky-Golay as published; None for the honest protocol.

    Returns
    -------
    list of dict
        ``what``, ``leaks``, and what it ``says``, of each step.

    Raises
    ------
    LeakageError
        When a step of the honest protocol leaks.
    """
    if filtering is not None:
        return [asdict(finding) for finding in _published(cube, filtering)]
    return none_leaking(_honest(cube))


def none_leaking(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Findings of the honest protocol, as plain values.

    Raises
    ------
    LeakageError
        When one of them leaks.
    """
    found = list(findings)
    if leaking := [finding.what for finding in found if finding.leaks]:
        raise LeakageError(f"the honest protocol leaks: {', '.join(leaking)} change with what lies after the origin")
    return [asdict(finding) for finding in found]


def _published(cube: xr.Dataset, filtering: tuple[int, int]) -> Iterator[Finding]:
    patterns = learn_patterns(cube, filtering)
    material = paper_material(cube, patterns, filtering)
    origin = int(material.origins("test")[0])
    date = material.dates[origin]
    regular, smooth = regularise(cube, "12D", max_gap=None), smoothed(cube, filtering)
    made_up = np.flatnonzero(~regular["observed"].values.astype(bool))
    after_gap = int(made_up[-1]) + 1 if made_up.size else origin
    filled = regularise(_moved(cube, material.dates[after_gap]), "12D", max_gap=None)
    yield _compared("gap filling", _values(regular), _values(filled), after_gap, "a gap is filled from both its sides")
    later = savgol(_moved(regular, date), *filtering)
    why = f"a window reaches {filtering[0] // 2} dates ahead"
    yield _compared(f"Savitzky-Golay {filtering}", _values(smooth), _values(later), origin, why)
    parts = holt_winters(_moved(smooth, date), PERIOD)
    blind = replace(material, components={name: parts[name].values for name in PARTS})
    yield from _components(material, blind, origin, "parameters fit the whole series")
    again = learn_patterns(_moved(cube, date), filtering).predict(smooth)
    yield _differing("k-means patterns", material.patterns, again["cluster"].values)
    yield from _scales(material, blind)
    yield _calendar(material, origin)
    targets = paper_material(_moved(cube, date), patterns, filtering).whole
    yield _compared("targets", material.whole, targets, origin, "scored against smoothed values")


def _honest(cube: xr.Dataset) -> Iterator[Finding]:
    material = honest_material(cube, learn_patterns(cube, None))
    for stage in ("validation", "test"):
        origin = int(material.origins(stage)[0])
        moved = _moved(cube, material.dates[origin])
        blind = honest_material(moved, learn_patterns(moved, None))
        at = f" at the first {stage} origin"
        yield _compared(f"series{at}", material.whole, blind.whole, origin, "raw, missing dates masked")
        yield from _components(material, blind, origin, "fitted before validation, then causal", at)
        yield _differing(f"k-means patterns{at}", material.patterns, blind.patterns)
        yield from _scales(material, blind, at)
        yield _calendar(material, origin, at)
        known = regular_dates(cube["time"].values[cube["time"].values < material.dates[origin]], "12D")
        yield Finding(f"phase of the grid{at}", bool(known[0] != material.dates[0]), f"{known[0]:.10} either way")


def _components(known: Material, blind: Material, origin: int, why: str, at: str = "") -> Iterator[Finding]:
    for name in PARTS:
        yield _compared(f"Holt-Winters {name}{at}", known.components[name], blind.components[name], origin, why)


def _scales(known: Material, blind: Material, at: str = "") -> Iterator[Finding]:
    """Whether what series are scaled by changes with the future of the components."""
    rows = np.arange(len(known.patterns))
    for name in PARTS:
        ours, theirs = scaling(known, name, rows), scaling(blind, name, rows)
        change = max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))
        told = f"moves by up to {share_moved(change)}" if change > 0 else "does not move"
        yield Finding(f"scaling of the {name}{at}", change > 0, f"what is taken off and divided by {told}")


def _calendar(material: Material, origin: int, at: str = "") -> Finding:
    """Whether the features of known dates change when the record ends at the origin."""
    cut = calendar(replace(material, dates=material.dates[:origin]))
    change = float(np.abs(cut - calendar(material)[:origin]).max())
    return Finding(f"calendar{at}", change > 0, f"features of known dates change by up to {change:.2g}")


def _compared(what: str, known: Float32, blind: Float32, origin: int, why: str) -> Finding:
    """Whether anything before the origin differs, and by how much."""
    gap = np.isnan(known[:, :origin]) != np.isnan(blind[:, :origin])
    change = float(np.nanmax(np.abs(known[:, :origin] - blind[:, :origin])))
    leaks = bool(change > 0 or gap.any())
    told = (
        f"values before the origin move by up to {share_moved(change)}" if leaks else "nothing before the origin moves"
    )
    return Finding(what, leaks, f"{told}; {why}")


def _differing(what: str, known: npt.NDArray[Any], blind: npt.NDArray[Any]) -> Finding:
    number = int((known != blind).sum())
    told = f"{number} of {len(known)} points change their pattern" if number else "no point changes its pattern"
    return Finding(what, number > 0, told)


def _moved(cube: xr.Dataset, date: np.datetime64) -> xr.Dataset:
    """The cube with all values from a date on `MOVED` mm higher, every other point lower."""
    sign = np.where(np.arange(cube.sizes["point"]) % 2, MOVED, -MOVED).astype(np.float32)
    later = (cube["time"].values >= date).astype(np.float32)
    return cube.assign(displacement=cube["displacement"] + xr.DataArray(sign[:, None] * later, dims=("point", "time")))


def _values(cube: xr.Dataset) -> Float32:
    return np.asarray(cube["displacement"].values, np.float32)


def share_moved(change: float) -> str:
    """A change [mm] as a share of what the future was moved by."""
    return f"{100 * change / MOVED:.2g} % of what the future is moved by"
