"""Where points are, which neighbourhoods and groups of neighbours follow from."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError

__all__ = ["check_places"]


def check_places(easting: npt.NDArray[Any], northing: npt.NDArray[Any], names: npt.NDArray[Any]) -> None:
    """Raise `CubeError` for a point whose easting or northing [m] is missing or infinite; ``names`` are the points'."""
    lost = np.flatnonzero(~(np.isfinite(easting) & np.isfinite(northing)))
    if lost.size:
        at = lost[0]
        name = names[at].decode() if isinstance(names[at], bytes) else str(names[at])
        raise CubeError(
            f"point {name!r} has no place, one of {lost.size:,} such points: its easting is {easting[at]:g} and its "
            f"northing {northing[at]:g}; leave such points out, as in "
            "cube.isel(point=np.isfinite(cube.easting.values + cube.northing.values))"
        )
