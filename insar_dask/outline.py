"""The outline of a cube: all of it but its points or tiles. A store is laid out after one, without xarray.

Xarray brings Pandas and Arrow along: 0.5 s and 80 MB, which a process that only reads product files need not spend.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from insar_dask.shards import shard_axis

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Outline", "Part", "coded"]


@dataclass(frozen=True)
class Part:
    """One variable of a cube, as ``xr.Variable`` has it; cut into shards, only the dtype of ``values`` counts."""

    dims: tuple[str, ...]
    values: npt.NDArray[Any]
    attrs: Mapping[Any, Any]
    encoding: Mapping[Any, Any] = field(default_factory=dict)

    @property
    def sizes(self) -> dict[str, int]:
        """Length of every dimension."""
        return dict(zip(self.dims, self.values.shape, strict=True))


@dataclass(frozen=True)
class Outline:
    """Variables, attributes and names of the coordinates; what all shards share is as CF stores it."""

    parts: Mapping[str, Part]
    attrs: Mapping[Any, Any]
    coords: frozenset[str]

    @classmethod
    def of(cls, cube: xr.Dataset) -> Outline:
        """The outline of a data set, of any number of points or tiles."""
        import xarray as xr

        parts = {}
        for name, variable in cube.variables.items():
            cut = shard_axis(variable.dims) is not None
            if not cut:
                variable = xr.conventions.encode_cf_variable(variable.compute(), name=name)
            # what is cut into shards may be lazy, and stays so
            values = variable.values if not cut else _typed(variable.shape, variable.dtype)
            parts[str(name)] = Part(tuple(map(str, variable.dims)), values, variable.attrs, variable.encoding)
        return cls(parts, cube.attrs, frozenset(map(str, cube.coords)))

    @property
    def dims(self) -> set[str]:
        """Names of all dimensions."""
        return {dim for part in self.parts.values() for dim in part.dims}


def coded(part: Part) -> Part:
    """Dates of whole days, or truths, as CF stores them and as xarray would encode them; anything else as it is."""
    if part.values.dtype.kind == "b":
        return Part(part.dims, part.values.astype(np.int8), {**part.attrs, "dtype": "bool"})
    if part.values.dtype.kind == "M":
        days = part.values.astype("datetime64[D]")
        attrs = {"units": f"days since {days[0]} 00:00:00", "calendar": "proleptic_gregorian"}
        return Part(part.dims, (days - days[0]).astype(np.int64), {**part.attrs, **attrs})
    return part


def _typed(shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """An array of a shape that takes no memory."""
    return np.broadcast_to(np.empty((), dtype), shape)
