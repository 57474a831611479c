"""What a chunk job computes on: the processor, or its worker's GPU, where series go once and come back once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from insar_dask.settings import known

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["DEVICE", "ON_GPU", "brought_back", "given_to"]

DEVICE = "INSAR_DASK_DEVICE"
"""Variable of a worker's environment: ``gpu``, or ``cpu``, as it is unless somebody says so. Keys and receipts do not
tell the two apart: a store whose runs mix them holds shards that differ by 1e-5 from those of either alone."""

ON_GPU = frozenset(
    {
        "regularise",
        "savgol",
        "moving_average",
        "motion",
        "holt_winters",
        "stl",
        "cumulative_displacement",
        "component_variances",
        "label_patterns",
    }
)
"""Steps whose kernels have a body for a GPU. All others take and give arrays of NumPy, on any worker."""


def given_to(function: str, data: Any) -> Any:
    """What a step is given: series on the GPU where both it and its worker have one, else all on the processor.

    Raises
    ------
    ValueError
        When the environment names another device.
    ImportError
        When it names a GPU, and CuPy is missing.
    """
    device = os.environ.get(DEVICE, "cpu")
    known(DEVICE, device, ("cpu", "gpu"))
    return _sent(data) if device == "gpu" and function in ON_GPU else brought_back(data)


def brought_back(data: Any) -> Any:
    """A data set in memory of the processor; anything else as it is."""
    import xarray as xr

    if not isinstance(data, xr.Dataset):
        return data
    there = {name: variable.data for name, variable in data.variables.items() if hasattr(variable.data, "get")}
    return data.assign({name: data[name].copy(data=array.get()) for name, array in there.items()}) if there else data


def _sent(data: xr.Dataset) -> xr.Dataset:
    """Its series of float32 as arrays of CuPy."""
    try:
        import cupy
    except ImportError as error:
        raise ImportError(
            f"{DEVICE} is 'gpu', and CuPy is missing on this worker ({error}): install insar-dask[gpu12] or [gpu13] "
            "there, or set it to 'cpu'"
        ) from None

    here = {
        name: variable.values
        for name, variable in data.data_vars.items()
        if variable.dims[-1:] == ("time",) and variable.dtype == np.float32 and isinstance(variable.data, np.ndarray)
    }
    return data.assign({name: data[name].copy(data=cupy.asarray(array)) for name, array in here.items()})
