from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from pyproj import CRS

from insar_dask.cube import CubeError
from insar_dask.inversion.delays import correct_delays
from insar_dask.inversion.pairs import timeline
from insar_dask.readers.delays import read_delays
from insar_dask.readers.temperature import read_temperature
from insar_dask.synthetic import pair_cube

DAYS = np.array(["2020-01-15", "2020-01-03"], "datetime64[ns]")


def netcdf(path: Path, **attrs: str) -> Path:
    """Two dates, the later one first, on degrees."""
    values = np.arange(24.0).reshape(2, 3, 4) / 1000
    axes = {"time": DAYS, "latitude": [33.5, 33.4, 33.3], "longitude": [80.9, 81.0, 81.1, 81.2]}
    data = xr.Dataset({"delay": (("time", "latitude", "longitude"), values, {"units": "m", **attrs})}, axes)
    data["longitude"].attrs["units"] = "degrees_east"
    data.to_netcdf(path, engine="h5netcdf")
    return path


def test_delays_are_read_in_the_order_of_their_dates(tmp_path: Path) -> None:
    delays = read_delays(netcdf(tmp_path / "era5.nc", direction="zenith"))
    assert delays.dims == ("date", "y", "x") and delays.attrs["direction"] == "zenith"
    np.testing.assert_array_equal(delays["date"].values, DAYS[::-1])
    np.testing.assert_allclose(delays.values[1], np.arange(12).reshape(3, 4), rtol=1e-6)
    with pytest.raises(CubeError, match="delay_direction under"):
        read_delays(netcdf(tmp_path / "none.nc"))


def test_delays_on_degrees_meet_points_on_a_plane() -> None:
    pairs = pair_cube(4, 4, 12, atmosphere=0, decorrelation=0.1)
    line = timeline(pairs)
    field = np.zeros((12, 2, 2))
    field[:, :, 1] = np.arange(12)[:, None]  # grows to the east, from 80.5 to 81.5 degrees
    attrs = {"direction": "los", "crs_wkt": CRS.from_epsg(4326).to_wkt()}
    axes = {"date": line.dates, "y": [33.0, 34.0], "x": [80.5, 81.5]}
    delays = xr.DataArray(field, axes, ("date", "y", "x"), attrs=attrs)
    change = pairs["phase"].values - correct_delays(pairs, delays)["phase"].values
    per_mm = 4 * np.pi / (1000 * pairs.attrs["wavelength"])
    # the scene lies at 81 degrees, half way
    np.testing.assert_allclose(change, 0.5 * per_mm * (line.second - line.first) * np.ones((16, 1)), rtol=0.01)


def test_temperatures_are_sorted_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("date,temperature\n2020-01-02,-3\n20200101,-1.5\n")
    assert read_temperature(path).values.tolist() == [-1.5, -3]
    for text, message in (
        ("date,temperature\n2020-01-02,-3\n20200102,-1.5\n", "line 3: 2020-01-02 stands there twice"),
        ("date,temperature\n2020-01-02,cold\n", "line 2: temperature .* is 'cold', wanted a number"),
        ('date,temperature,note\n2020-01-02,1,"x\n2020-01-03,2,\n', "no CSV table"),
        ("date,temperature,date\n2020-01-02,1,2020-01-03\n", "date in several columns"),
        ("date,temperature\n", "no line below its header"),
        ("day,t\n1,2\n", "wanted date,temperature"),
    ):
        path.write_text(text)
        with pytest.raises(CubeError, match=message):
            read_temperature(path)
