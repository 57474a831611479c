"""Which pairs a network keeps: short, near, coherent ones, and never so few that it falls apart."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from insar_dask.cube import CubeError
from insar_dask.inversion.pairs import Timeline, check_pairs, timeline

__all__ = ["Choice", "choose_pairs", "components_of", "n_components", "redundancies", "reject_pairs"]

Bools = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]

TOO_LARGE = 3.0
"""A residual beyond so many times the median of all pairs is a pair to be rejected."""


UNCHECKED = 1e-6
"""A redundancy below is that of a pair in no cycle, but for rounding."""

NO_NOISE = 1e-3
"""Residuals below so many mm are rounding."""


class Choice(NamedTuple):
    """What `choose_pairs` and `reject_pairs` return."""

    kept: Bools
    """(P,): give ``pairs.isel(pair=choice.kept.nonzero()[0])`` to what comes next."""
    reasons: dict[str, str]
    """Of each rejected pair, by its dates."""
    held: dict[str, str]
    """Of each pair that was kept against a reason, lest the network fall into more parts."""


def choose_pairs(
    pairs: xr.Dataset,
    *,
    max_days: float = 50.0,
    max_bperp: float | None = 100.0,
    min_coherence: float | None = None,
    coherence: npt.ArrayLike | None = None,
) -> Choice:
    """Choose pairs by their length, baseline and mean coherence.

    A pair whose rejection would leave the network in more parts than all pairs make is kept, the most coherent first.

    Parameters
    ----------
    pairs : xr.Dataset
        Pair cube; its phase is not read.
    max_days, max_bperp : float
        Most days, and metres of perpendicular baseline; None for any baseline.
    min_coherence : float, optional
        Least mean coherence.
    coherence : (P,) array, optional
        Mean coherence of each pair; default: computed of the pair cube where ``min_coherence`` asks for it.

    Returns
    -------
    Choice

    Raises
    ------
    CubeError
        Without the baselines or coherence that are asked for; when no pair at all is within the limits.
    ValueError
        When ``coherence`` has not one value for each pair.

    Notes
    -----
    50 days and 100 m are the limits of the published system (Remote Sensing 2024, 16, 1891).
    """
    check_pairs(pairs)
    line = timeline(pairs)
    length = line.days[line.second] - line.days[line.first]
    reasons: dict[int, str] = {}
    if max_bperp is not None:
        bperp = np.asarray(pairs["bperp"].values, np.float64) if "bperp" in pairs.variables else np.array([np.nan])
        if np.isnan(bperp).any():
            raise CubeError(
                f"{_without(line, bperp)}: read them with baselines=, or pass max_bperp=None (in a "
                "configuration, max_bperp = inf under [pairs], after `insar-dask invert` --max-bperp inf)"
            )
        reasons |= {k: f"baseline {bperp[k]:.0f} m" for k in np.flatnonzero(abs(bperp) > max_bperp).tolist()}
    quality = _quality(pairs, coherence, min_coherence)
    if min_coherence is not None:
        reasons |= {k: f"coherence {quality[k]:.2f}" for k in np.flatnonzero(~(quality >= min_coherence)).tolist()}
    reasons |= {k: f"{length[k]:.0f} days" for k in np.flatnonzero(length > max_days).tolist()}
    if len(reasons) == len(length):
        nearest = min(reasons, key=lambda k: length[k])
        raise CubeError(
            f"no pair is left of {len(length)}: all are longer than {max_days:g} days, of a larger baseline or less "
            f"coherent than was asked for; the shortest, {line.name(nearest)}, has {reasons[nearest]}: widen the limits"
        )
    return _held_together(line, reasons, np.nan_to_num(quality))


def reject_pairs(pairs: xr.Dataset, residuals: npt.ArrayLike) -> Choice:
    """Reject pairs whose residual after a first inversion is above three times the median; one round is enough.

    The median is that of the pairs that others can contradict: a pair in no cycle of the network leaves no residual,
    whatever is wrong with it.

    Parameters
    ----------
    pairs : xr.Dataset
        Pair cube.
    residuals : (P,) array
        Root mean square residual of each pair over the points [mm].

    Returns
    -------
    Choice
        As of `choose_pairs`: what holds the network together stays, the smallest residual first.
    """
    line, size = timeline(check_pairs(pairs)), np.asarray(residuals, np.float64)
    if size.shape != line.first.shape:
        raise ValueError(f"{size.shape} residuals for {len(line.first)} pairs: wanted one each")
    checked = (redundancies(line) > UNCHECKED) & np.isfinite(size)
    median = float(np.median(size[checked])) if checked.any() else 0.0
    bad = np.flatnonzero(np.isnan(size) | (checked & (size > max(TOO_LARGE * median, NO_NOISE)))).tolist()
    reasons = {k: "no values" if np.isnan(size[k]) else f"residual {size[k]:.1f} mm, median {median:.1f}" for k in bad}
    return _held_together(line, reasons, np.nan_to_num(-size, nan=-np.inf))


def redundancies(line: Timeline) -> Float64:
    """Share of each pair's error that stays in its residual, (P,): 1 less the diagonal of A (A'A)^+ A'."""
    design = np.zeros((len(line.first), len(line.dates)))
    design[np.arange(len(design)), line.first] = -1
    design[np.arange(len(design)), line.second] = 1
    return np.asarray(1 - np.einsum("pi,ij,pj->p", design, np.linalg.pinv(design.T @ design), design, optimize=True))


def n_components(line: Timeline, kept: Bools | None = None) -> int:
    """Parts into which the dates of a network fall."""
    return int(components_of(line, kept).max()) + 1


def components_of(line: Timeline, kept: Bools | None = None) -> npt.NDArray[np.int32]:
    """(T,) number of the part of the network that each date is in."""
    first, second = (line.first, line.second) if kept is None else (line.first[kept], line.second[kept])
    graph = coo_matrix((np.ones(first.size), (first, second)), (len(line.dates), len(line.dates)))
    return np.asarray(connected_components(graph, directed=False)[1])


def _without(line: Timeline, bperp: Float64) -> str:
    if bperp.size < len(line.first):
        return "the pairs have no baselines"
    lacking = np.flatnonzero(np.isnan(bperp))
    return f"{lacking.size} of {bperp.size} pairs have no baseline, such as {line.name(int(lacking[0]))}"


def _quality(pairs: xr.Dataset, given: npt.ArrayLike | None, needed: float | None) -> Float64:
    if given is not None:
        quality = np.asarray(given, np.float64)
        if quality.shape != (pairs.sizes["pair"],):
            raise ValueError(
                f"coherence has shape {quality.shape} for {pairs.sizes['pair']} pairs: wanted one value each"
            )
        return quality
    if needed is None:
        return np.zeros(pairs.sizes["pair"])
    if "coherence" not in pairs:
        raise CubeError("the pair cube has no coherence: read it too, or leave min_coherence out")
    return np.asarray(pairs["coherence"].mean("point", dtype=np.float64).values)


def _held_together(line: Timeline, reasons: dict[int, str], quality: Float64) -> Choice:
    """Take back rejections, of the best pairs first, until no more parts are left than the whole network has."""
    kept = np.ones(len(line.first), bool)
    kept[list(reasons)] = False
    whole, held = n_components(line), {}
    parts = n_components(line, kept)
    for k in sorted(reasons, key=lambda k: (-quality[k], k)):
        if parts == whole:
            break
        kept[k] = True
        now = n_components(line, kept)
        if now < parts:
            held[line.name(k)] = reasons[k]
        else:
            kept[k] = False
        parts = min(now, parts)
    return Choice(kept, {line.name(k): why for k, why in sorted(reasons.items()) if not kept[k]}, held)
