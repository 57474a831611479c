"""Cubes to files in the layout of EGMS products (2020-2024): csv, or csv and xml in a zip."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from insar_dask.cube import check_cube
from insar_dask.kinematics import motion

__all__ = ["write_egms"]

L2B_COLUMNS = (
    "pid", "mp_type", "latitude", "longitude", "easting", "northing", "height_ortho", "height_ellipse", "line", "pixel",
    "rmse_ts", "temporal_coherence", "amplitude_dispersion", "incidence_angle", "track_angle", "los_east", "los_north",
    "los_up", "mean_velocity", "mean_velocity_std", "acceleration", "acceleration_std", "seasonality",
    "seasonality_std", "gnss_velocity",
)  # fmt: skip
L3_COLUMNS = (
    "pid", "easting", "northing", "height_ortho", "rmse_ts", "mean_velocity", "mean_velocity_std", "acceleration",
    "acceleration_std", "seasonality", "seasonality_std", "gnss_velocity_n", "gnss_velocity_e", "gnss_velocity_u",
)  # fmt: skip
OURS = {
    "pid": "point_id", "height_ortho": "height", "temporal_coherence": "coherence", "rmse_ts": "rmse",
    "mean_velocity": "velocity", "mean_velocity_std": "velocity_std",
}  # fmt: skip
DECIMALS = {
    "latitude": 6, "longitude": 6, "easting": 2, "northing": 2, "temporal_coherence": 2, "amplitude_dispersion": 2,
    "incidence_angle": 2, "track_angle": 2, "los_east": 3, "los_north": 3, "los_up": 3, "acceleration": 2,
    "acceleration_std": 2, "mp_type": 0, "line": 0, "pixel": 0,
}  # fmt: skip


def write_egms(path: str | Path, cube: xr.Dataset, *, progress: Callable[[int, int], None] | None = None) -> Path:
    """Write a cube as an EGMS product: ``.csv``, or ``.zip`` with a csv and an xml."""
    check_cube(cube)
    path = Path(path)
    text = io.StringIO()
    columns = L2B_COLUMNS if cube.attrs["component"] == "los" else L3_COLUMNS
    dates = [str(t)[:10].replace("-", "") for t in cube["time"].values]
    text.write(",".join([*columns, *dates]) + "\n")
    n, step = cube.sizes["point"], 4096
    for start in range(0, n, step):
        block = cube.isel(point=slice(start, start + step)).load()
        fits = motion(block)
        printed: list[Any] = []
        for name in columns:
            ours = OURS.get(name, name)
            values = fits[ours].values if ours in fits else np.zeros(block.sizes["point"])
            decimals = (
                0 if name.startswith(("easting", "northing")) and columns is L3_COLUMNS else DECIMALS.get(name, 1)
            )
            printed.append([_number(v, decimals) if name != "pid" else str(v) for v in values.tolist()])
        for row, series in zip(zip(*printed, strict=True), block["displacement"].values.tolist(), strict=True):
            text.write(",".join([*row, *("" if v != v else f"{v:.1f}" for v in series)]) + "\n")
        if progress:
            progress(min(start + step, n), n)
    if path.suffix == ".csv":
        path.write_text(text.getvalue())
        return path
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(
            zipfile.ZipInfo(f"{path.stem}.xml"), "<?xml version='1.0' encoding='UTF-8'?>\n<TILE>\n</TILE>\n"
        )
        member = zipfile.ZipInfo(f"{path.stem}.csv")
        member.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(member, text.getvalue())
    return path


def _number(value: float, decimals: int) -> str:
    if value != value:
        return ""
    text = f"{value:.{decimals}f}"
    return text if decimals < 2 else text.rstrip("0") + ("0" if text.rstrip("0").endswith(".") else "")
