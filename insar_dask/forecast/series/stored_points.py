"""Series that lie in a store, opened by name: a process that trains is sent this and no data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
import zarr

from insar_dask.bucket_reads import with_documents
from insar_dask.cube import CubeError
from insar_dask.forecast.series.point_source import BLOCK, Days, Patterns, Points, no_patterns
from insar_dask.objects import open_store
from insar_dask.stored_arrays import arrays_below
from insar_dask.tenths import decode_tenths

__all__ = ["StoredPoints"]


@dataclass(frozen=True)
class StoredPoints:
    """A series variable of a stored cube: a source, see `insar_dask.forecast.series.point_source`."""

    path: str
    """Folder or address of the store."""
    group: str
    """Group of the series in it, such as ``"site/raw"``."""
    variable: str = "displacement"
    labels: str | None = None
    """Group that holds ``cluster`` for the same points, such as ``"site/patterns"``."""

    block = BLOCK

    @cached_property
    def _root(self) -> zarr.Group:
        return _opened(self.path, self.group)

    @property
    def attrs(self) -> Mapping[str, Any]:
        """Attributes of the cube."""
        return dict(self._root.attrs)

    @cached_property
    def _arrays(self) -> dict[str, Any]:
        arrays: dict[str, Any] = arrays_below(self._root)
        missing = [name for name in (self.variable, "easting", "northing", "time") if name not in arrays]
        if missing:
            raise CubeError(f"group {self.group} of {self.path} lacks {missing}; it has {sorted(arrays)}")
        if self.labels is not None:
            arrays["cluster"] = self._labels(arrays[self.variable].shape[0])
        return arrays

    def _labels(self, n_points: int) -> Any:
        labels = arrays_below(_opened(self.path, str(self.labels))).get("cluster")
        if labels is None or labels.shape != (n_points,):
            raise CubeError(
                f"group {self.labels} of {self.path} has no pattern for each of {n_points} points of {self.group}: "
                "label these points"
            )
        return labels

    @property
    def n_points(self) -> int:
        """Number of points."""
        return int(self._arrays[self.variable].shape[0])

    @cached_property
    def days(self) -> Days:
        """Dates (T,) in days from 1970-01-01."""
        stored = self._arrays["time"]
        times = xr.conventions.decode_cf_variable("time", xr.Variable("time", stored[...], dict(stored.attrs)))
        return times.values.astype("datetime64[D]").astype(np.int64)

    @cached_property
    def observed(self) -> npt.NDArray[np.bool_]:
        """Whether each date (T,) is one of a real acquisition."""
        stored = self._arrays.get("observed")
        return np.ones(len(self.days), bool) if stored is None else np.asarray(stored[...], bool)

    def read(self, start: int, stop: int) -> Points:
        """Points ``start`` to ``stop - 1``."""
        stored = self._arrays[self.variable]
        values = np.asarray(stored[start:stop])
        values = decode_tenths(values) if values.dtype == np.int16 else values.astype(np.float32)
        places = np.stack([self._arrays[name][start:stop] for name in ("easting", "northing")], axis=1)
        return Points(values, places, self.patterns(start, stop))

    def patterns(self, start: int, stop: int) -> Patterns:
        """Patterns of these points alone."""
        if self.labels is None:
            return no_patterns(stop - start)
        return np.asarray(self._arrays["cluster"][start:stop], np.int16)


def _opened(path: str, group: str) -> zarr.Group:
    return zarr.open_group(with_documents(open_store(path), group), path=group, mode="r", zarr_format=3)
