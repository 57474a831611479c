"""What patterns are numbered by, read from a cube of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

__all__ = ["numbered_by"]


def numbered_by(patterns: xr.Dataset) -> tuple[str, str, npt.NDArray[np.float64]]:
    """What the patterns of `Clusters.predict` are numbered by, the lowest first.

    Returns
    -------
    name : str
        ``velocity``, or the first feature where a velocity is none of them.
    unit : str
        As people write it, such as mm/yr².
    values : (k,) array of float64
        Of the centroids.
    """
    names = ["velocity"] if "time" in patterns["centroid"].dims else list(map(str, patterns["feature"].values))
    if "velocity" in names:
        return "velocity", "mm/yr", patterns["centroid_velocity"].values.astype(np.float64)
    values = patterns["centroid"].isel(feature=0).values.astype(np.float64)
    unit = str(patterns[names[0]].attrs.get("units", "1")) if names[0] in patterns else "1"
    return names[0], unit.replace(" yr-1", "/yr").replace(" yr-2", "/yr²"), values
