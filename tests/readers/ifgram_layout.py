"""A stack of interferograms in MintPy's published layout, with a phase known in closed form."""

from pathlib import Path

import h5py
import numpy as np

from tests.readers.mintpy_layout import ATTRIBUTES

ROWS, COLUMNS = 30, 40
DATES = ["20200103", "20200115", "20200127", "20200220", "20200303"]
PAIRS = [(0, 1), (0, 2), (1, 2), (2, 3), (1, 3), (3, 4)]


def radians(pairs=PAIRS, rows=ROWS, columns=COLUMNS):
    """(pair, rows, columns) float32: the second date's phase less the first's; no data in the first two columns."""
    row, column = np.mgrid[:rows, :columns]
    series = np.array([k**1.5 * (0.01 * row + 0.02 * column + 0.3) for k in range(len(DATES))])
    values = np.array([series[b] - series[a] for a, b in pairs], np.float32)
    values[:, :, :2] = 0
    return values


def write_stack(path: Path, pairs=PAIRS, *, attributes=None, used=None, drop=()) -> Path:
    values = radians(pairs)
    given = {**ATTRIBUTES, "FILE_TYPE": "ifgramStack", "UNIT": "radian", "LENGTH": str(ROWS), "WIDTH": str(COLUMNS)}
    with h5py.File(path, "w") as file:
        file["unwrapPhase"] = values
        file["coherence"] = np.full(values.shape, 0.7, np.float32)
        file["connectComponent"] = np.ones(values.shape, np.int16)
        file["date"] = np.array([[DATES[a], DATES[b]] for a, b in pairs], "S8")
        file["bperp"] = np.array([10.0 * (b - a) for a, b in pairs], np.float32)
        file["dropIfgram"] = np.ones(len(pairs), bool) if used is None else np.array(used, bool)
        file.attrs.update({**given, **(attributes or {})})
        for name in drop:
            del file[name]
    return path
