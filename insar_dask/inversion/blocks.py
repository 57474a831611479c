"""What a chunk job does to a shard of a pair cube: corrections whose parameters are known, and sums to find them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.inversion.closure import correct_cycles
from insar_dask.inversion.delays import without_delays
from insar_dask.inversion.pairs import timeline
from insar_dask.inversion.reference import subtract_offsets
from insar_dask.inversion.rough import rough_velocity
from insar_dask.inversion.surfaces import Surface, surface_sums, without_surfaces
from insar_kernels.network_closure import triplets

__all__ = [
    "coherence_block",
    "delays_from_state",
    "delays_to_state",
    "flatten_block",
    "known_block",
    "missing_block",
    "prepare_block",
    "surface_block",
]

Arrays = Mapping[str, npt.NDArray[Any]]

DIRECTIONS = ("zenith", "los")


def prepare_block(
    pairs: xr.Dataset,
    kept: Sequence[int] | None = None,
    closure: bool = False,
    state: Arrays | None = None,
    delays: Arrays | None = None,
    allow_missing: bool = False,
) -> xr.Dataset:
    """Some pairs of a block, cycles corrected, delays taken off, referred by ``state["offsets"]`` [rad]."""
    if kept is not None:
        pairs = pairs.isel(pair=list(kept))
    if closure:
        line = timeline(pairs)
        pairs = correct_cycles(pairs, triplets(line.first, line.second))
    if delays is not None:
        pairs = without_delays(pairs, delays_from_state(delays), allow_missing=allow_missing)
    return pairs if state is None else subtract_offsets(pairs, state["offsets"])


def surface_block(pairs: xr.Dataset, surface: Mapping[str, Any], limit: float) -> dict[str, npt.NDArray[np.float64]]:
    """Sums of a surface over the ground of a block whose rough velocity is below ``limit`` [mm/yr]."""
    return surface_sums(pairs, Surface.of(surface), abs(rough_velocity(pairs)) < limit)


def missing_block(pairs: xr.Dataset) -> dict[str, npt.NDArray[Any]]:
    """Of each pair, the number of valid points, and of all."""
    return {"valid": (~np.isnan(pairs["phase"].values)).sum(axis=0), "points": np.array([pairs.sizes["point"]])}


def coherence_block(pairs: xr.Dataset) -> dict[str, npt.NDArray[Any]]:
    """Of each pair, the sum of the coherence of a block's points, and how many have one; they add."""
    values = pairs["coherence"].values
    known = ~np.isnan(values)
    return {"sum": np.where(known, values, 0).sum(axis=0, dtype=np.float64), "count": known.sum(axis=0)}


def flatten_block(pairs: xr.Dataset, surface: Mapping[str, Any], state: Arrays) -> xr.Dataset:
    """Surfaces of ``state["slopes"]`` taken off, and again ``state["offsets"]``."""
    return subtract_offsets(without_surfaces(pairs, Surface.of(surface), state["slopes"]), state["offsets"])


def known_block(cube: xr.Dataset) -> xr.Dataset:
    """An inverted cube as what is known at the end of its record, where a forecast sets out.

    Scores at earlier origins then know what later pairs and surfaces changed, and have to say so.
    """
    return cube.assign_attrs(sees_future=0)


def delays_to_state(delays: xr.DataArray) -> dict[str, npt.NDArray[Any]]:
    """Delays (date, y, x) as plain arrays, which go with the tasks of every shard."""
    grid = delays.transpose("date", "y", "x")
    wkt = str(delays.attrs.get("crs_wkt", "")).encode()
    return {
        "field": np.asarray(grid.values, np.float32),
        "date": grid["date"].values.astype("datetime64[D]").astype(np.int64),
        "y": np.asarray(grid["y"].values, np.float64),
        "x": np.asarray(grid["x"].values, np.float64),
        "direction": np.array([DIRECTIONS.index(delays.attrs["direction"])]),
        "crs_wkt": np.frombuffer(wkt, np.uint8),
    }


def delays_from_state(state: Arrays) -> xr.DataArray:
    """The way back."""
    axes = {"date": state["date"].astype("datetime64[D]").astype("datetime64[ns]"), "y": state["y"], "x": state["x"]}
    attrs = {"direction": DIRECTIONS[int(state["direction"][0])]}
    wkt = state["crs_wkt"].tobytes().decode()
    return xr.DataArray(state["field"], axes, ("date", "y", "x"), attrs=attrs | ({"crs_wkt": wkt} if wkt else {}))
