"""A pair cube to a displacement cube: each point's own network, solved on its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError, describe
from insar_dask.inversion.elimination import elimination_order
from insar_dask.inversion.pairs import Timeline, check_pairs, complete_by, known_pairs, mm_per_radian, timeline
from insar_dask.inversion.point_solvers import RESULTS, SOLVED, least_squares, velocities
from insar_dask.inversion.velocity_network import VelocityNetwork

__all__ = ["METHODS", "invert"]

Float64 = npt.NDArray[np.float64]

METHODS = ("sbas", "nsbas", "svd", "laplacian")
TERMS = ("linear", "quadratic", "annual", "semiannual")


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

    So points that have no pairs at first count from another zero than the others, and their displacement is not to be
    averaged with that of others as it stands. ``zero_day`` says which they are; what averages looks at it.

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
        Equal, or 1 / sigma^2 with sigma^2 = (wavelength / 4 pi)^2 (1 - c^2) / (2 looks c^2) of the coherence c;
        pairs without a coherence count for nothing then.
    looks : float
        Independent looks of the coherence.
    terms : sequence of {"linear", "quadratic", "annual", "semiannual"}
        Model of "nsbas" beside its constant.
    index : sequence of float, optional
        One more column of the model, a value for each date of the network, such as
        `insar_dask.inversion.season.composite_index` gives.
    fill : "model", optional
        Of "nsbas": dates at which a point has no pair get the model's value. All its points then count from the first
        date of all. Default: NaN.
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
        components were joined or why there is no series; ``zero_day``, days from the first date of all points to the
        one at which the point's displacement is 0, -1 where it has none. ``sees_future`` is -1: where there are more
        pairs than dates, later ones have a say in all earlier values. ``as_of`` gives what was known on a day.

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
    _check_choices(method, network, weights, looks, fill, terms, index, tree_weights, covariance, whole)
    kept = known_pairs(pairs, as_of)
    chosen = complete_by(pairs, as_of)
    line = timeline(kept)
    if weights == "coherence" and "coherence" not in kept:
        raise CubeError(
            "the pair cube has no coherence to weigh with: read it too (--coherence), or pass weights='equal'"
        )
    scale = mm_per_radian(kept)
    options: dict[str, Any] = {"line": line, "scale": scale, "min_coherence": min_coherence}
    function: Callable[..., tuple[Any, ...]]
    if method == "sbas" or method == "nsbas":
        model = _model(line, terms, index) if method == "nsbas" else None
        looks = looks if weights == "coherence" else 0.0
        options |= {"model": model, "fill": fill == "model", "looks": looks, "order": elimination_order(line)}
        options["min_pairs"] = min_pairs
        function = least_squares
    else:
        own = None if tree_weights is None else np.asarray(tree_weights, np.float64)[chosen]
        between = None if covariance is None else np.asarray(covariance, np.float64)[chosen][:, chosen]
        options["solver"] = VelocityNetwork(line.first, line.second, line.years, method, min_pairs, own, between)
        function = velocities
    arrays = [kept["phase"].variable] + ([kept["coherence"].variable] if "coherence" in kept else [])
    results = xr.apply_ufunc(
        function,
        *arrays,
        kwargs=options,
        input_core_dims=[["pair"]] * len(arrays),
        output_core_dims=[["time"]] * 3 + [[]] * (len(RESULTS) - 3),
        dask="parallelized",
        output_dtypes=[dtype for _, _, dtype in RESULTS.values()],
        dask_gufunc_kwargs={"output_sizes": {"time": len(line.dates)}},
    )
    return _cube(kept, line, dict(zip(RESULTS, results, strict=True)), method)


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
    method: str, network: str, weights: str, looks: float, fill: str | None, terms: Sequence[str], index: Any,
    tree_weights: Any, covariance: Any, n_pairs: int,
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
    if not looks > 0:
        raise ValueError(f"looks is {looks!r}, wanted a number above 0")
    for name, value, needed, solver in (
        ("fill", fill, "model", "nsbas"), ("index", index, "model", "nsbas"),
        ("covariance", covariance, "smoothing", "laplacian"),
    ):  # fmt: skip
        if value is not None and method != solver:
            raise ValueError(f"{name}= needs the {needed} of method={solver!r}, not {method!r}")
    for name, sequence in (("tree_weights", tree_weights), ("covariance", covariance)):
        if sequence is not None and len(sequence) != n_pairs:
            raise ValueError(f"{name} has {len(sequence)} entries for {n_pairs} pairs: wanted one for each")


def _cube(pairs: xr.Dataset, line: Timeline, results: dict[str, Any], method: str) -> xr.Dataset:
    for name, variable in results.items():
        long_name, units, _ = RESULTS[name]
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
                "method": method, "sees_future": -1,
            }
        )
    )  # fmt: skip
