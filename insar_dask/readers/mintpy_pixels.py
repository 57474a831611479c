"""Pixels of a MintPy file: where they lie, and what the files beside it say of them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pyproj import CRS

from insar_dask.cube import CubeError
from insar_dask.readers.grid import PixelGrid
from insar_dask.readers.mintpy_files import geometry_at, has_plane, plane_at
from insar_dask.readers.pixel_points import Pixels
from insar_dask.readers.projection import Places, project

__all__ = ["Beside", "Companions", "find_places"]

Whole = npt.NDArray[np.int64]
Beside = str | Path | None | Literal["beside"]

BESIDE = {
    "velocity": ("{prefix}velocity.h5",),
    "coherence": ("{prefix}temporalCoherence.h5",),
    "geometry": (
        "{prefix}geometryRadar.h5", "geometryGeo.h5", "inputs/geometryGeo.h5", "../inputs/geometryGeo.h5",
    ),
}  # fmt: skip
"""Where MintPy's own workflow leaves what belongs to a series."""


@dataclass(frozen=True)
class Companions:
    """Files that go with one of MintPy's, each of its grid; None for none."""

    velocity: Path | None = None
    coherence: Path | None = None
    geometry: Path | None = None
    lookup: Path | None = None
    mask: Path | None = None

    @classmethod
    def of(
        cls,
        path: Path,
        velocity: Beside,
        coherence: Beside,
        geometry: Beside,
        lookup: str | Path | None,
        mask: str | Path | None,
    ) -> Companions:
        """Those that were named, and those that lie beside ``path``; a look-up table is a geometry too."""
        return cls(
            _beside(path, "velocity", velocity),
            _beside(path, "coherence", coherence),
            Path(lookup) if lookup and geometry == "beside" else _beside(path, "geometry", geometry),
            None if lookup is None else Path(lookup),
            None if mask is None else Path(mask),
        )

    def paths(self) -> list[Path]:
        """Those that there are, each once."""
        found = (getattr(self, field.name) for field in fields(self))
        return list(dict.fromkeys(file for file in found if file is not None))

    def attributes(self) -> dict[str, str]:
        """Their names, as attributes of a cube."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {f"{what}_source": file.name for what, file in found.items() if file is not None}


def _beside(path: Path, what: str, given: Beside) -> Path | None:
    if given is None or given != "beside":
        return None if given is None else Path(given)
    prefix = "geo_" if path.name.startswith("geo_") else ""
    found = (path.parent / name.format(prefix=prefix) for name in BESIDE[what])
    return next((file for file in found if file.is_file()), None)


def find_places(grid: PixelGrid, name: str, flat: Whole, files: Companions, crs: Any) -> Pixels:
    """Where the pixels lie, and what the other files say of them."""
    if files.mask is not None:
        wanted = plane_at(files.mask, ("mask", "waterMask"), grid, flat)
        flat = flat[np.nan_to_num(wanted) != 0]
        if flat.size == 0:
            raise CubeError(f"{name}: no pixel with a series is inside the mask {files.mask.name}")
    flat, places = _placed(grid, name, flat, files.lookup, crs)
    columns: dict[str, npt.NDArray[np.float32]] = {}
    if files.coherence is not None:
        columns["coherence"] = plane_at(files.coherence, ("temporalCoherence", "coherence"), grid, flat)
    if files.velocity is not None:
        for column, stored in (("mintpy_velocity", "velocity"), ("mintpy_velocity_std", "velocityStd")):
            if stored == "velocity" or has_plane(files.velocity, stored):
                columns[column] = plane_at(files.velocity, (stored,), grid, flat, in_mm=True)
    if files.geometry is not None:
        columns |= geometry_at(files.geometry, grid, flat)
    return Pixels(flat, places, columns)


def _placed(grid: PixelGrid, name: str, flat: Whole, lookup: Path | None, crs: Any) -> tuple[Whole, Places]:
    if lookup is None or grid.on_map:
        row, column = np.divmod(flat, grid.columns)
        x, y, centre = grid.x(column), grid.y(row), grid.centre
        return flat, project(x, y, CRS.from_wkt(grid.crs_wkt), crs, centre, name)
    longitude = plane_at(lookup, ("longitude",), grid, flat).astype(np.float64)
    latitude = plane_at(lookup, ("latitude",), grid, flat).astype(np.float64)
    # a look-up table has 0 or NaN where a pixel was seen from no place
    known = np.isfinite(longitude) & np.isfinite(latitude) & ((longitude != 0) | (latitude != 0))
    if not known.any():
        raise CubeError(f"{lookup.name} places no pixel of {name}: is it another track's?")
    longitude, latitude = longitude[known], latitude[known]
    return flat[known], project(longitude, latitude, CRS.from_epsg(4326), crs, None, lookup.name)
