"""A MintPy time series to a cube, its velocities, and back to a GeoTIFF on the series' own grid.

usage: mintpy.py [geo_timeseries.h5 [FOLDER]]      without a series: a bowl of subsidence in MintPy's layout

Velocity, coherence and geometry are taken along where MintPy left them beside the series.
"""

import sys
from pathlib import Path

import h5py
import numpy as np
import rasterio

import insar_dask as insar


def main(series: str | None = None, folder: str = "mintpy-output") -> None:
    out = Path(folder)
    out.mkdir(exist_ok=True)
    path = made_up(out / "timeseries.h5") if series is None else Path(series)

    insar.save(insar.read_mintpy(path), out / "site.zarr", "site/raw")  # pixels with a series become points
    cube = insar.open_cube(out / "site.zarr")
    velocity = insar.to_grid(insar.motion(cube))["velocity"].compute()  # and rows and columns again

    x, y = velocity["x"].values, velocity["y"].values
    step_x, step_y = x[1] - x[0], y[1] - y[0]
    place = rasterio.Affine(step_x, 0, x[0] - step_x / 2, 0, step_y, y[0] - step_y / 2)
    size = {"height": y.size, "width": x.size, "count": 1, "dtype": "float32", "nodata": np.nan}
    with rasterio.open(
        out / "velocity.tif", "w", crs=velocity["crs"].attrs["crs_wkt"], transform=place, **size
    ) as file:
        file.write(velocity.values.astype(np.float32), 1)
    print(
        f"{cube.sizes['point']:,} of {velocity.size:,} pixels move {float(velocity.min()):+.1f} to "
        f"{float(velocity.max()):+.1f} mm/yr, positive {cube.attrs['positive']}; see {out}"
    )


def made_up(path: Path) -> Path:
    """A series as MintPy lays it out: metres, zero at the reference pixel and date, zeros where there is no data."""
    days = np.datetime64("2019-01-05") + 12 * np.arange(60)
    row, column = np.mgrid[:120, :150]
    bowl = -0.03 * np.exp(-((row - 60) ** 2 + (column - 80) ** 2) / 800)  # m/yr
    years = (days - days[0]).astype(float) / 365
    values = (bowl - bowl[5, 5])[None] * years[:, None, None]
    values[:, 100:, :40] = 0  # a lake
    text = {
        "FILE_TYPE": "timeseries", "UNIT": "m", "X_FIRST": 13.0, "X_STEP": 0.001, "Y_FIRST": 38.8, "Y_STEP": -0.001,
        "X_UNIT": "degrees", "REF_DATE": "20190105", "REF_Y": 5, "REF_X": 5, "ORBIT_DIRECTION": "ASCENDING",
        "trackNumber": 117,
    }  # fmt: skip
    with h5py.File(path, "w") as file:
        file.create_dataset("timeseries", data=values.astype(np.float32), chunks=True)
        file["date"] = np.char.replace(days.astype(str), "-", "").astype("S8")
        file.attrs.update({name: str(value) for name, value in text.items()})
    return path


if __name__ == "__main__":
    main(*sys.argv[1:])
