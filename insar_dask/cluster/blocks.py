"""What is done with one block of points: draw a sample, sum for a step of k-means, label."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from dask.base import compute, is_dask_collection
from dask.delayed import delayed

import insar_kernels
from insar_dask.cluster.learning import Arrays, plain_centroids, scaled, velocities
from insar_dask.cluster.rows import axis_of, drawn, rows_of
from insar_dask.cube import describe

__all__ = ["label_block", "over_blocks", "sample_block", "sums_block"]

State = Mapping[str, npt.NDArray[Any]]
IN_MEMORY = 65_536
"""Points of a block of a cube in memory."""

TERMS = "centroids", "centred", "shift", "scale"
"""What rows are compared with, and how they are brought into its terms."""

RESULTS = {"cluster", "cluster_distance", "cluster_size", "centroid", "centroid_velocity"}


def over_blocks(cube: xr.Dataset, names: Iterable[str], function: Callable[[xr.Dataset], Arrays]) -> list[Arrays]:
    """Results of ``function`` for every block of a cube: its chunks, or runs of points where it is in memory.

    Of the cube's variables only those in ``names`` are read, and its dates.
    """
    cube = cube.drop_vars(set(cube.variables) - {*names, "time"})
    tasks = [delayed(function, pure=False)(cube.isel(point=where)) for where in _cuts(cube)]
    # threads share what is in memory; a cluster would have to be sent it
    return list(compute(*tasks, **({} if is_dask_collection(cube) else {"scheduler": "threads"})))


def _cuts(cube: xr.Dataset) -> list[slice]:
    lengths: tuple[int, ...] = cube.chunksizes.get("point", ())
    if not lengths:
        n_points = cube.sizes["point"]
        lengths = tuple(min(IN_MEMORY, n_points - first) for first in range(0, n_points, IN_MEMORY))
    ends = np.cumsum(lengths).tolist()
    return [slice(end - length, end) for end, length in zip(ends, lengths, strict=True)]


def sample_block(
    block: xr.Dataset, share: float, seed: int, features: Sequence[str] | None = None, until: str | None = None
) -> Arrays:
    """Rows of the points drawn, and their hashes: ``rows`` (m, T), ``hash`` (m,); those without any value are left out.

    Parameters
    ----------
    block : xr.Dataset
        Points in memory.
    share, seed : float, int
        Share of all points to draw, by `insar_dask.cluster.rows.drawn`.
    features : sequence of str, optional
        Variables over ``point`` to take instead of the series.
    until : str, optional
        Date from which on nothing is known.
    """
    chosen, hashes = drawn(block, share, seed)
    rows = rows_of(block.isel(point=chosen), axis_of(block, features, until)).values
    some = np.isfinite(rows).any(axis=1)
    return {"rows": rows[some], "hash": hashes[some]}


def sums_block(block: xr.Dataset, state: State) -> Arrays:
    """Sums of a block's rows by their nearest centroid, as `insar_kernels.lloyd_sums` has them."""
    rows = rows_of(block, state)
    given, terms = _with_terms(rows.data if hasattr(rows.data, "get") else rows.values, state)
    found = insar_kernels.lloyd_sums(scaled(given, terms), terms["centroids"])._asdict()
    return {name: np.asarray(sums.get() if hasattr(sums, "get") else sums) for name, sums in found.items()}


def label_block(block: xr.Dataset, state: State, until: str | None = None) -> xr.Dataset:
    """Label every point by its nearest centroid, as `insar_dask.Clusters.predict` says; lazy where the block is."""
    rows = rows_of(block, state)
    dtype = np.int8 if len(state["centroids"]) <= 127 else np.int16
    cluster, distance = xr.apply_ufunc(
        _label,
        rows,
        kwargs={"state": dict(state), "dtype": dtype},
        input_core_dims=[[rows.dims[1]]],
        output_core_dims=[[], []],
        dask="parallelized",
        output_dtypes=[dtype, np.float32],
    )
    flags = np.arange(-1, len(state["centroids"]), dtype=dtype)
    meanings = " ".join("none" if flag < 0 else f"pattern_{flag}" for flag in flags)
    cluster.attrs = {**describe("cluster"), "flag_values": flags, "flag_meanings": meanings}
    distance.attrs = describe("cluster_distance")
    if "features" in state or "scale" in state:
        distance.attrs["units"] = "1"
    if "crs" in block.variables:
        cluster.attrs["grid_mapping"] = distance.attrs["grid_mapping"] = "crs"
    dropped = [name for name in block.variables if name in RESULTS or "time" in block[name].dims]
    seen = {"sees_future": -1} if until is None else {"sees_future": 0, "until": until}
    labels = {"cluster": cluster, "cluster_distance": distance}
    return block.drop_vars(dropped).assign(labels).assign(_centroids(state)).assign_attrs(seen)


def _label(
    rows: npt.NDArray[np.float32], state: State, dtype: type[np.int8] | type[np.int16]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32]]:
    rows, state = _with_terms(rows, state)
    rows = scaled(rows, state)
    label, square = insar_kernels.nearest(rows, state["centroids"])
    used = ~np.isnan(state["centroids"]).any(axis=0)
    dates = (~np.isnan(rows) & used).sum(axis=1)
    return label.astype(dtype), np.sqrt(square / np.maximum(dates, 1).astype(np.float32))


def _with_terms(rows: Any, state: State) -> tuple[Any, dict[str, Any]]:
    """Rows, and what they are compared with: a GPU's rows go with a GPU's centroids."""
    library = insar_kernels.namespace(rows)
    return rows, {name: library.asarray(state[name]) for name in TERMS if name in state}


def _centroids(state: State) -> dict[str, Any]:
    """Curves, velocities and sizes of the clusters."""
    plain = plain_centroids(state)
    axis = "time" if "times" in state else "feature"
    return {
        axis: (axis, state[f"{axis}s"]),
        "centroid": (("pattern", axis), plain, describe("centroid") if axis == "time" else {}),
        "centroid_velocity": ("pattern", velocities(plain, state), describe("centroid_velocity")),
        "cluster_size": ("pattern", state["sizes"], describe("cluster_size")),
    }
