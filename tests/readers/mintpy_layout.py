"""Series, velocity, coherence and geometry written in MintPy's published layout, with a truth known in closed form."""

from pathlib import Path

import h5py
import numpy as np

ROWS, COLUMNS = 60, 80
DATES = ["20200103", "20200115", "20200127", "20200220", "20200303", "20200315", "20200408", "20200420"]
REFERENCE = (20, 30)
REFERENCE_DATE = 2
ATTRIBUTES = {
    "FILE_TYPE": "timeseries",
    "UNIT": "m",
    "LENGTH": str(ROWS),
    "WIDTH": str(COLUMNS),
    "length": "3252",  # of the raw frame
    "width": "2906",
    "X_FIRST": "130.82",
    "X_STEP": "0.0005",
    "Y_FIRST": "31.98",
    "Y_STEP": "-0.0005",
    "X_UNIT": "degrees",
    "Y_UNIT": "degrees",
    "REF_Y": str(REFERENCE[0]),
    "REF_X": str(REFERENCE[1]),
    "REF_LAT": "31.96975",
    "REF_LON": "130.83525",
    "REF_DATE": DATES[REFERENCE_DATE],
    "DATE12": "200103-200420",
    "ORBIT_DIRECTION": "DESCENDING",
    "HEADING": "-169.6",
    "ANTENNA_SIDE": "-1",
    "WAVELENGTH": "0.2384035",
    "relative_orbit": "None",
    "trackNumber": "23",
    "PLATFORM": "Alos2",
    "PROCESSOR": "isce",
}


def metres(rows=ROWS, columns=COLUMNS, n_dates=8):
    """(time, rows, columns) float32 m: zero at the reference date and pixel, no data in the first three columns."""
    date, row, column = np.ogrid[:n_dates, :rows, :columns]
    values = ((date - REFERENCE_DATE) * (row - REFERENCE[0] + 0.37 * (column - REFERENCE[1])) * 1e-5).astype(np.float32)
    values[:, :, :3] = 0
    return values


def write_series(path: Path, values=None, *, dates=DATES, attributes=None, drop=(), chunks=None) -> Path:
    values = metres() if values is None else values
    given = {**ATTRIBUTES, "LENGTH": str(values.shape[1]), "WIDTH": str(values.shape[2]), **(attributes or {})}
    with h5py.File(path, "w") as file:
        file.create_dataset("timeseries", data=values, chunks=chunks)
        file["date"] = np.array(dates, "S8")
        file["bperp"] = np.zeros(len(dates), np.float32)
        file.attrs.update({key: value for key, value in given.items() if key not in drop})
    return path


def write_plane(path: Path, attributes=None, *, drop=(), **planes) -> Path:
    first = next(iter(planes.values()))
    given = {**ATTRIBUTES, "LENGTH": str(first.shape[0]), "WIDTH": str(first.shape[1]), **(attributes or {})}
    with h5py.File(path, "w") as file:
        for name, plane in planes.items():
            file[name] = plane
        file.attrs.update({key: value for key, value in given.items() if key not in drop})
    return path
