"""A pair cube to a displacement cube: each point's own network, solved on its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError, describe, looks_ahead
from insar_dask.inversion.elimination import elimination_order
from insar_dask.inversion.pairs import Timeline, check_pairs, known_pairs, mm_per_radian, timeline
from insar_dask.inversion.velocity_network import VelocityNetwork
from insar_kernels.network import JOINED, Network, invert_network

__all__ = ["METHODS", "SOLVED", "invert"]

Floats = npt.NDArray[np.floating]
Float64 = npt.NDArray[np.float64]

METHODS = ("sbas", "nsbas", "svd", "laplacian")
TERMS = ("linear", "quadratic", "annual", "semiannual")

SOLVED = (*JOINED, "low_coherence")
"""What became of a point, as ``flag_meanings`` of ``solved``."""

LOW_COHERENCE, TOO_FEW, NO_PAIRS = SOLVED.index("low_coherence"), 4, 5
AT_ONCE = 4096
"""Points solved at once, lest copies of the phase double the memory of a shard."""

MOST_COUNTED = 255
"""Components are counted in a byte."""

LEAST, MOST = 0.01, 0.999
"""Coherence is taken to lie between: beyond, weights would be none or all there is."""

NAMES: dict[str, tuple[str, str, Any]] = {
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
}  # fmt: skip


def invert(
    pairs: xr.Dataset,
    method: Literal["sbas", "nsbas", "svd", "laplacian"] = "sbas",
    *,
    network: Literal["all", "tree"] = "all",
    weights: Literal["equal", "coherence"] = "equal",
    looks: float = 1.0,
    terms: Sequence[str] = ("linear",),
    index: Sequence[float] | None = None,
    fill: Literal["model"] | None = None,
    min_pairs: int = 10,
    min_coherence: float = 0.30,
    as_of: str | None = None,
    tree_weights: Sequence[float] | None = None,
    covariance: Sequence[Sequence[float]] | None = None,
) -> xr.Dataset:
    """Displacement of every date by least squares of each point's interferograms.

    d(pair) = x(second) - x(first), d = -+ 1000 wavelength / 4 pi phase [mm], positive towards the satellite; x = 0 at
    the first date that a point has. A year has 365.25 days.

    Parameters
    ----------
    pairs : xr.Dataset
        Pair cube, in memory or lazy, corrected and referenced.
    method : {"sbas", "nsbas", "svd", "laplacian"}
        Least squares in displacement, where components of a disconnected network are joined by the smallest velocities
        ("sbas") or by a model of motion ("nsbas"). "svd" and "laplacian" solve for velocities as older programmes do,
        drop what they cannot resolve, and give no errors.
    network : {"all", "tree"}
        Of "svd" and "laplacian": all pairs, or of each point a minimum spanning tree by ``tree_weights``.
    weights : {"equal", "coherence"}
        Equal, or 1 / sigma^2 with sigma^2 = (wavelength / 4 pi)^2 (1 - c^2) / (2 looks c^2) of the coherence c.
    looks : float
        Independent looks of the coherence.
    terms : sequence of {"linear", "quadratic", "annual", "semiannual"}
        Model of "nsbas" beside its constant.
    index : sequence of float, optional
        One more column of the model, a value for each date of the network, such as
        `insar_dask.inversion.season.composite_index` gives.
    fill : "model", optional
        Of "nsbas": dates at which a point has no pair get the model's value. Default: NaN.
    min_pairs : int
        Points with fewer valid pairs have no series.
    min_coherence : float
        Nor have points whose coherence, the mean over valid pairs, is lower, where the pair cube has coherence.
    as_of : date-like, optional
        Use only pairs that were complete on this day: the series as it was known then.
    tree_weights : sequence of float, optional
        One for each pair, such as its share of missing pixels; needed by ``network="tree"``.
    covariance : sequence of sequences of float, optional
        Of the pairs, for "laplacian".

    Returns
    -------
    xr.Dataset
        Point cube with ``displacement`` [mm]; ``displacement_std`` [mm], its error against the first date of its
        component from the residuals' own variance, NaN where there are no more pairs than dates; ``gap_bridged``,
        dates in another component than the first; ``coherence``, the temporal one, |mean exp(4 pi j r / wavelength)|;
        ``pair_coherence``; ``residual_rms`` [mm]; ``n_pairs``, ``rank``, ``components`` and ``solved``, which says how
        components were joined or why there is no series. ``sees_future`` is the length of the longest pair, or -1 where
        a model or smoothing reaches over all dates.

    Raises
    ------
    CubeError
        When the data set is no pair cube, lacks coherence that was asked for, or has no pairs by ``as_of``.
    ValueError
        For unknown methods, terms, or sequences of another length than dates or pairs.

    Notes
    -----
    Berardino et al. (2002), doi:10.1109/TGRS.2002.803792; Doin et al. (2011), Proc. Fringe, for "nsbas"; weights:
    Rodriguez & Martin (1992), doi:10.1049/ip-f-2.1992.0018.
    """
    check_pairs(pairs)
    whole = pairs.sizes["pair"]
    _check_choices(method, network, weights, fill, terms, tree_weights, covariance, whole)
    kept = known_pairs(pairs, as_of)
    chosen = slice(None) if as_of is None else pairs["second"].values <= np.datetime64(as_of)
    line = timeline(kept)
    if weights == "coherence" and "coherence" not in kept:
        raise CubeError("the pair cube has no coherence to weigh with: read it too, or pass weights='equal'")
    scale = mm_per_radian(kept)
    options: dict[str, Any] = {"line": line, "scale": scale, "min_pairs": min_pairs, "min_coherence": min_coherence}
    function: Callable[..., tuple[Any, ...]]
    if method == "sbas" or method == "nsbas":
        model = _model(line, terms, index) if method == "nsbas" else None
        looks = looks if weights == "coherence" else 0.0
        options |= {"model": model, "fill": fill == "model", "looks": looks, "order": elimination_order(line)}
        function = _least_squares
    else:
        own = None if tree_weights is None else np.asarray(tree_weights, np.float64)[chosen]
        between = None if covariance is None else np.asarray(covariance, np.float64)[chosen][:, chosen]
        options["solver"] = VelocityNetwork(line.first, line.second, line.years, method, min_pairs, own, between)
        function = _velocities
    arrays = [kept["phase"].variable] + ([kept["coherence"].variable] if "coherence" in kept else [])
    results = xr.apply_ufunc(
        function,
        *arrays,
        kwargs=options,
        input_core_dims=[["pair"]] * len(arrays),
        output_core_dims=[["time"]] * 3 + [[]] * (len(NAMES) - 3),
        dask="parallelized",
        output_dtypes=[dtype for _, _, dtype in NAMES.values()],
        dask_gufunc_kwargs={"output_sizes": {"time": len(line.dates)}},
    )
    ahead = line.longest if method in ("sbas", "svd") else -1
    return _cube(kept, line, dict(zip(NAMES, results, strict=True)), method, looks_ahead(kept, ahead))


def _least_squares(
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
    """Results of some points in the order of `NAMES`, a block after the other: what is made of phase is as large."""
    results = []
    for start in range(0, max(len(phase), 1), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        own = None if coherence is None else coherence[some]
        found, mean = _solve_block(phase[some], own, line, scale, min_pairs, min_coherence, model, fill, looks, order)
        results.append(_read_off(found, mean, min_coherence))
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


def _read_off(found: Network, mean: Floats, min_coherence: float) -> tuple[Any, ...]:
    return (
        found.displacement,
        _standard_errors(found),
        found.component > 0,
        found.coherence,
        mean,
        found.residual_rms,
        found.n_pairs,
        found.rank,
        np.minimum(found.component.max(axis=-1, initial=-1) + 1, MOST_COUNTED).astype(np.uint8),
        _solved(found.joined, mean, min_coherence),
    )


def _velocities(
    phase: Floats,
    coherence: Floats | None = None,
    *,
    line: Timeline,
    scale: float,
    min_pairs: int,
    min_coherence: float,
    solver: VelocityNetwork,
) -> tuple[Any, ...]:
    """As `_least_squares`, by velocities; dates after one that is not resolved are not either."""
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


def _model(line: Timeline, terms: Sequence[str], index: Sequence[float] | None) -> Float64:
    """Columns of order one at the dates, the constant first."""
    half = max(line.years[-1] / 2, 1e-9)
    centred, turn = line.years / half - 1, 2 * np.pi * line.years
    columns = {
        "linear": [centred],
        "quadratic": [centred**2],
        "annual": [np.cos(turn), np.sin(turn)],
        "semiannual": [np.cos(2 * turn), np.sin(2 * turn)],
    }
    chosen = [np.ones_like(centred), *(column for term in terms for column in columns[term])]
    if index is not None:
        if len(index) != len(line.dates):
            raise ValueError(f"index has {len(index)} values for {len(line.dates)} dates: wanted one for each")
        chosen.append(np.asarray(index, np.float64))
    return np.stack(chosen, axis=1)


def _check_choices(
    method: str, network: str, weights: str, fill: str | None, terms: Sequence[str], tree_weights: Any,
    covariance: Any, n_pairs: int,
) -> None:  # fmt: skip
    for name, value, known in (
        ("method", method, METHODS), ("network", network, ("all", "tree")),
        ("weights", weights, ("equal", "coherence")),
        ("fill", fill, (None, "model")), *(("terms", term, TERMS) for term in terms),
    ):  # fmt: skip
        if value not in known:
            raise ValueError(f"{name} is {value!r}, wanted one of {known}")
    by_velocities = method in ("svd", "laplacian")
    if (network == "tree") != (tree_weights is not None) or (network == "tree" and not by_velocities):
        raise ValueError("network='tree' goes with tree_weights=, one for each pair, and with 'svd' or 'laplacian'")
    if by_velocities and weights == "coherence":
        raise ValueError(f"method {method!r} knows no weights: pass weights='equal', or method='sbas'")
    if fill and method != "nsbas":
        raise ValueError(f"fill='model' needs the model of method='nsbas', not {method!r}")
    for name, sequence in (("tree_weights", tree_weights), ("covariance", covariance)):
        if sequence is not None and len(sequence) != n_pairs:
            raise ValueError(f"{name} has {len(sequence)} entries for {n_pairs} pairs: wanted one for each")


def _cube(pairs: xr.Dataset, line: Timeline, results: dict[str, Any], method: str, ahead: int) -> xr.Dataset:
    for name, variable in results.items():
        long_name, units, _ = NAMES[name]
        variable.attrs = {"long_name": long_name, "units": units}
    results["displacement"].attrs["grid_mapping"] = "crs"
    flags = {"flag_values": np.arange(len(SOLVED), dtype=np.int8), "flag_meanings": " ".join(SOLVED)}
    results["solved"].attrs |= flags
    gone = [name for name in pairs.variables if "pair" in pairs[name].dims or name in results]
    attrs = {name: value for name, value in pairs.attrs.items() if name not in ("phase_sign", "n_turned")}
    return (
        pairs.drop_vars(gone)
        .assign(results)
        .assign({"observed": ("time", np.ones(len(line.dates), bool), describe("observed"))})
        .assign_coords(time=("time", line.dates))
        .assign_attrs(
            {
                **attrs, "positive": "towards the satellite", "reference_date": str(line.dates[0])[:10],
                "method": method, "sees_future": ahead,
            }
        )
    )  # fmt: skip
