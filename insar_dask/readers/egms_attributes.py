"""What a cube says about the EGMS product it was read from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError
from insar_dask.readers.egms_names import EgmsHeader, EgmsName

__all__ = ["GEOMETRY", "describe_column", "describe_product"]

GEOMETRY = ("track_angle", "los_east")
"""Columns that the pass follows from."""

ATTRIBUTION = "Generated using European Union's Copernicus Land Monitoring Service information"
POSITIVE = {"los": "towards the satellite", "up": "up", "east": "east"}
REFERENCES = {
    "L2a": "a local reference of the processing of each burst; comparable within one product only",
    "L2b": "a velocity model of GNSS stations, in ETRF2000",
    "L3": "a velocity model of GNSS stations, in ETRF2000",
}
FIRST_YEAR = 2015
"""First year of the releases whose file names say no period: 2015-2020 (baseline) and 2015-2021."""


COLUMNS: dict[str, dict[str, str]] = {
    name: {"long_name": f"{what}, as published", "units": units}
    for name, (what, units) in {
        "egms_rmse": ("root mean square residual of the model", "mm"),
        "egms_mean_velocity": ("mean velocity", "mm yr-1"),
        "egms_mean_velocity_std": ("standard error of the mean velocity", "mm yr-1"),
        "egms_acceleration": ("acceleration", "mm yr-2"),
        "egms_acceleration_std": ("standard error of the acceleration", "mm yr-2"),
        "egms_seasonality": ("amplitude of the annual signal", "mm"),
        "egms_seasonality_std": ("standard error of the annual amplitude", "mm"),
        "egms_gnss_velocity": ("velocity of the GNSS model along the line of sight", "mm yr-1"),
        "egms_gnss_velocity_n": ("north velocity of the GNSS model", "mm yr-1"),
        "egms_gnss_velocity_e": ("east velocity of the GNSS model", "mm yr-1"),
        "egms_gnss_velocity_u": ("up velocity of the GNSS model", "mm yr-1"),
        "mp_type": ("type of the measurement point", "1"),
        "cluster_label": ("cluster that the point belongs to", "1"),
        "line": ("line of the point in the radar image", "1"),
        "pixel": ("pixel of the point in the radar image", "1"),
    }.items()
}


def describe_column(name: str) -> dict[str, str]:
    """CF attributes (``long_name``, ``units``) of a column that only EGMS has.

    >>> describe_column("egms_mean_velocity")["units"]
    'mm yr-1'
    """
    return dict(COLUMNS[name])


def describe_product(
    product: EgmsName, header: EgmsHeader, columns: Mapping[str, npt.NDArray[Any]], source: str
) -> dict[str, Any]:
    """Attributes of a cube: what it measures, against what, and which product it is.

    Parameters
    ----------
    product : EgmsName
        Parts of the file's name.
    header : EgmsHeader
        Its columns and dates.
    columns : mapping of ndarray
        Those of ``GEOMETRY`` that the file has, of the points kept.
    source : str
        What messages call the file.

    Raises
    ------
    CubeError
        When the geometry of an L2 product is missing.
    """
    attrs: dict[str, Any] = {
        "product": product.product,
        "component": product.component,
        "positive": POSITIVE[product.component],
        "reference_date": str(header.dates[0].astype("datetime64[D]")),
        "reference": REFERENCES[product.product],
        "release": _release(product, header),
        "sees_future": 0,
        "Conventions": "CF-1.11",
        "featureType": "timeSeries",
        "attribution": ATTRIBUTION,
    }
    named = {"track": product.track, "burst": product.burst, "swath": product.swath, "tile": product.tile}
    attrs |= {name: text for name, text in {**named, "polarisation": product.polarisation}.items() if text}
    if product.component == "los":
        attrs["pass"] = _pass(columns, source)
    if header.ignored:
        attrs["ignored_columns"] = ",".join(header.ignored)
    if not header.sorted_in_file:
        attrs["dates_in_file"] = "unsorted; sorted here, each with its column"
    return attrs


def _release(product: EgmsName, header: EgmsHeader) -> str:
    if product.period:
        return f"{product.period[0]}-{product.period[1]}"
    return f"{FIRST_YEAR}-{str(header.dates[-1])[:4]}"


def _pass(columns: Mapping[str, npt.NDArray[Any]], source: str) -> str:
    """Ascending: the satellite flies north, and, looking right, stands west of what it sees."""
    if "track_angle" in columns and not np.isnan(columns["track_angle"]).all():
        north = float(np.nanmean(np.cos(np.radians(columns["track_angle"].astype(np.float64)))))
    elif "los_east" in columns and not np.isnan(columns["los_east"]).all():
        north = -float(np.nanmean(columns["los_east"]))
    else:
        raise CubeError(f"{source} has no track_angle and no los_east: whether the pass ascends cannot be told")
    return "ascending" if north > 0 else "descending"
