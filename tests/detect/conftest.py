import numpy as np
import pytest
import xarray as xr
from pyproj import CRS

from insar_dask.detect.areas import Areas, MapGrid
from insar_dask.detect.labelling import Cells
from insar_dask.synthetic.slumps import CELL, ORIGIN, SIDE, slump_scene

GRID = MapGrid(ORIGIN[0], ORIGIN[1] + SIDE * CELL, CELL, SIDE, SIDE, CRS(3035).to_wkt())


@pytest.fixture(scope="session")
def scenes() -> list[xr.Dataset]:
    return [slump_scene(seed) for seed in range(6)]


def areas_of(labels: np.ndarray, **attrs: object) -> Areas:
    """Outlines of labelled cells, in order of their labels."""
    outlines = []
    for number in np.unique(labels[labels > 0]):
        row, column = np.nonzero(labels == number)
        outlines.append(GRID.outline(Cells(row, column)))
    return Areas(outlines, {}, GRID.crs_wkt, {"cell": CELL, **attrs})
