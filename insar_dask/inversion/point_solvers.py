"""What is made of the phase of some points: plain arrays in, one array a result out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.cube import describe
from insar_dask.inversion.pairs import Timeline
from insar_dask.inversion.velocity_network import VelocityNetwork
from insar_dask.zeros import ZERO
from insar_kernels.network import JOINED, Network, invert_network

__all__ = ["RESULTS", "SOLVED", "least_squares", "velocities"]

Floats = npt.NDArray[np.floating]
Float64 = npt.NDArray[np.float64]

SOLVED = (*JOINED, "low_coherence")
"""What became of a point, as ``flag_meanings`` of ``solved``."""

TOO_FEW, NO_PAIRS, LOW_COHERENCE = (SOLVED.index(name) for name in ("too_few_pairs", "no_pairs", "low_coherence"))
AT_ONCE = 4096
"""Points solved at once, lest copies of the phase double the memory of a shard."""

MOST_COUNTED = 255
"""Components are counted in a byte."""

LEAST, MOST = 0.01, 0.999
"""Coherence is taken to lie between: beyond, weights would be none or all there is."""

RESULTS: dict[str, tuple[str, str, Any]] = {
    "displacement": (describe("displacement")["long_name"], "mm", np.float32),
    "displacement_std": ("standard error of the displacement", "mm", np.float32),
    "gap_bridged": ("whether no pairs join the date to the first one", "1", np.bool_),
    "coherence": (describe("coherence")["long_name"], "1", np.float32),
    "pair_coherence": ("mean coherence of the interferograms", "1", np.float32),
    "residual_rms": ("root mean square residual of the interferograms", "mm", np.float32),
    "n_pairs": ("number of valid interferograms", "1", np.int32),
    "rank": ("dates with an interferogram, less components", "1", np.int32),
    "components": ("number of components of the network", "1", np.uint8),
    "solved": ("what became of the network of the point", "1", np.int8),
    ZERO: ("date at which the displacement is 0, counted from the first one of all points", "d", np.int32),
}  # fmt: skip


def least_squares(
    phase: Floats,
    coherence: Floats | None = None,
    *,
    line: Timeline,
    scale: float,
    min_pairs: int,
    min_coherence: float,
    model: Float64 | None,
    fill: bool,
    looks: float,
    order: npt.NDArray[np.int64] | None,
) -> tuple[Any, ...]:
    """Results of some points in the order of `RESULTS`, a block after the other: what is made of phase is as large."""

    def solve(some: Floats, own: Floats | None) -> tuple[Any, ...]:
        found, mean = _solve_block(some, own, line, scale, min_pairs, min_coherence, model, fill, looks, order)
        return _read_off(found, mean, min_coherence, line)

    return _in_blocks(solve, phase, coherence)


def _in_blocks(
    solve: Callable[[Floats, Floats | None], tuple[Any, ...]], phase: Floats, coherence: Floats | None
) -> tuple[Any, ...]:
    results = []
    for start in range(0, max(len(phase), 1), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        results.append(solve(phase[some], None if coherence is None else coherence[some]))
    return tuple(np.concatenate(parts) for parts in zip(*results, strict=True))


def _solve_block(
    phase: Floats, coherence: Floats | None, line: Timeline, scale: float, min_pairs: int, min_coherence: float,
    model: Float64 | None, fill: bool, looks: float, order: npt.NDArray[np.int64] | None,
) -> tuple[Network, Floats]:  # fmt: skip
    mean, phase = _incoherent(phase, coherence, min_coherence)
    found = invert_network(
        phase * np.float32(scale), line.first, line.second, line.days,
        None if not looks or coherence is None else _weights(coherence, looks, scale),
        model=model, fill=fill, cycle=2 * np.pi * abs(scale), min_pairs=min_pairs, order=order,
    )  # fmt: skip
    return found, mean


def _read_off(found: Network, mean: Floats, min_coherence: float, line: Timeline) -> tuple[Any, ...]:
    filled = ~np.isnan(found.displacement[:, :1])  # a model that reaches the first date brings its zero there
    series = found.displacement - np.where(filled, found.displacement[:, :1], np.float32(0))
    return (
        series,
        _standard_errors(found),
        found.component > 0,
        found.coherence,
        mean,
        found.residual_rms,
        found.n_pairs,
        found.rank,
        np.minimum(found.component.max(axis=-1, initial=-1) + 1, MOST_COUNTED).astype(np.uint8),
        _solved(found.joined, mean, min_coherence),
        _zero_day(series, line),
    )


def _zero_day(series: Floats, line: Timeline) -> Any:
    """Days to the first value of each series, -1 where there is none."""
    valid = ~np.isnan(series)
    return np.where(valid.any(axis=-1), line.days[valid.argmax(axis=-1)], -1).astype(np.int32)


def velocities(
    phase: Floats,
    coherence: Floats | None = None,
    *,
    line: Timeline,
    scale: float,
    min_coherence: float,
    solver: VelocityNetwork,
) -> tuple[Any, ...]:
    """As `least_squares`, by velocities; dates after one that is not resolved are not either."""

    def solve(some: Floats, own: Floats | None) -> tuple[Any, ...]:
        return _by_velocities(some, own, line, scale, min_coherence, solver)

    return _in_blocks(solve, phase, coherence)


def _by_velocities(
    phase: Floats, coherence: Floats | None, line: Timeline, scale: float, min_coherence: float, solver: VelocityNetwork
) -> tuple[Any, ...]:
    mean, phase = _incoherent(phase, coherence, min_coherence)
    values = phase.astype(np.float64) * scale
    increments = solver.increments(values)
    start = np.where(np.isnan(increments).all(axis=-1, keepdims=True), np.nan, 0.0)
    series = np.concatenate([start, np.cumsum(increments, axis=-1)], axis=-1)
    residual = values - (series[:, line.second] - series[:, line.first])
    count = (~np.isnan(values)).sum(axis=-1)
    left, n = np.nan_to_num(residual), np.maximum((~np.isnan(residual)).sum(axis=-1), 1)
    some = np.where(np.isnan(residual).all(axis=-1), np.nan, 1.0)
    phasor = np.where(np.isnan(residual), 0, np.exp(1j * left / scale)).sum(axis=-1) / n
    joined = np.where(count == 0, NO_PAIRS, np.where(np.isnan(start[:, 0]), TOO_FEW, 0)).astype(np.int8)
    return (
        series.astype(np.float32),
        np.full(series.shape, np.nan, np.float32),
        np.zeros(series.shape, np.bool_),
        (some * abs(phasor)).astype(np.float32),
        mean,
        (some * np.sqrt((left**2).sum(axis=-1) / n)).astype(np.float32),
        count.astype(np.int32),
        (~np.isnan(increments)).sum(axis=-1).astype(np.int32),
        np.isfinite(start[:, 0]).astype(np.uint8),
        _solved(joined, mean, min_coherence),
        _zero_day(series, line),
    )


def _incoherent(phase: Floats, coherence: Floats | None, least: float) -> tuple[Floats, Floats]:
    """Mean coherence of each point over its pairs, and the phase without points below the least one."""
    if coherence is None:
        return np.full(phase.shape[:-1], np.nan, np.float32), phase
    valid = ~np.isnan(phase) & ~np.isnan(coherence)
    count = np.maximum(valid.sum(axis=-1), 1)
    mean = np.where(valid, coherence, 0).sum(axis=-1, dtype=np.float64) / count
    mean = np.where(valid.any(axis=-1), mean, np.nan).astype(np.float32)
    return mean, np.where((mean < least)[..., None], np.float32(np.nan), phase)


def _weights(coherence: Floats, looks: float, scale: float) -> Floats:
    square = np.clip(coherence, LEAST, MOST) ** 2
    return np.asarray(2 * looks * square / (1 - square) / scale**2, np.float32)


def _standard_errors(found: Network) -> Floats:
    spare = (found.n_pairs - found.rank).astype(np.float64)
    variance = np.divide(found.sum_squares, spare, out=np.full(spare.shape, np.nan), where=spare > 0)
    return np.asarray(np.sqrt(found.cofactor * variance[..., None]), np.float32)


def _solved(joined: Any, mean: Floats, least: float) -> Any:
    return np.where(mean < least, np.int8(LOW_COHERENCE), joined).astype(np.int8)
