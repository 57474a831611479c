"""Points to maps: against SciPy's interpolator on the same triangles, and the memory of a full tile from a store.

``make bench TOPICS=tiling``, about two minutes, half of it to write a store of a million points.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from copy import copy
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from pyproj import CRS
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import Delaunay

import insar_dask as insar
from insar_dask.cube import describe
from insar_dask.readers.point_order import hilbert_order
from insar_dask.tiling.squares import Square
from insar_dask.tiling.surface import Mixture
from insar_kernels.barycentric import add_weighted, locate
from tests.benchmarks.measure import Row, gate, paired, row, size, worst

SQUARE = Square(4e6, 3e6, 100_000.0, 256, 64)
N_DATES, ON_A_SIDE = 300, 1000
SHARD = 65_536

RASTERISING = """
import json, sys, time
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.steps.tile_jobs import store_tiles, tile_sources, _looked_at

def peak():
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))

(tile,) = _looked_at(tile_sources(sys.argv[1]), 256, 64, {}).values()
began = time.process_time()
report = store_tiles(Engine(sys.argv[1], quiet=True), tile_sources(sys.argv[1]))
print(json.dumps({"seconds": time.process_time() - began, "peak": peak(), "predicted": tile.memory()}))
"""


def rows() -> list[Row]:
    return [many_dates(), weights_kept(), full_tile()]


def many_dates() -> Row:
    """All of a tile after its triangulation: where pixels lie, weights of cells, maps of all dates.

    The rival begins, as we do, with the triangulation as Qhull gives it: of the 0.38 s it takes, 0.25 go into the
    coordinate systems of all triangles, which SciPy keeps for the next time.
    """
    net, values, pixels, groups = tile()
    fresh = copy(net)

    def ours() -> Any:
        return product(matrix_of(net, pixels, groups), values)

    def rival() -> Any:
        return means(LinearNDInterpolator(copy(fresh), values)(pixels))

    what = f"maps of {len(values):,} points x {N_DATES} dates, after the triangulation"
    gates = [gate("mm from SciPy's", worst(np.nan_to_num(ours()), np.nan_to_num(rival())), at_most=1e-4)]
    return row(what, *swapped(paired(ours, rival), "LinearNDInterpolator of vectors"), bar=">= 10", gates=gates)


def weights_kept() -> Row:
    """The same again with other values, such as those of the other component: the weights are there.

    What is left is to fetch the rows of the points in use from memory, 1.2 KB each: 10 GB/s, measured, which no way of
    multiplying avoids. The rival's values are float64 beforehand, in memory twice ours.
    """
    net, values, pixels, groups = tile()
    matrix, interpolator = matrix_of(net, pixels, groups), LinearNDInterpolator(net, values)
    times = paired(lambda: product(matrix, values), lambda: means(interpolator(pixels)))
    return row("maps of as many again, weights kept", *swapped(times, "LinearNDInterpolator, values set"))


def full_tile() -> Row:
    """A million points from a store, in a process of its own: what it takes, and what was said it would."""
    n_points = size(ON_A_SIDE**2)
    with tempfile.TemporaryDirectory() as folder:
        insar.save(full_cube(n_points), f"{folder}/site.zarr", shard_points=SHARD, quiet=True)
        command = [sys.executable, "-c", RASTERISING, f"{folder}/site.zarr"]
        told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    ratio = told["peak"] / told["predicted"]
    return {
        "what": f"a tile of {n_points:,} points x {N_DATES} dates, from a store into one",
        "ours_s": told["seconds"],
        "gates": [gate("peak of memory over the predicted", ratio, at_least=0.8, at_most=1.2)],
        "note": f"peak {told['peak'] / 1e6:.0f} MB of predicted {told['predicted'] / 1e6:.0f} MB",
    }


def swapped(times: tuple[list[float], list[float]], rival: str) -> tuple[list[float], str, list[float]]:
    return times[0], rival, times[1]


def tile() -> tuple[Delaunay, Any, Any, Any]:
    places = grid_points(size(130_000))
    values = np.random.default_rng(1).normal(0, 10, (len(places), N_DATES)).astype(np.float32)
    middle = SQUARE.centres().mean(axis=0)
    return Delaunay(places - middle), values, SQUARE.centres() - middle, SQUARE.groups()


def matrix_of(net: Delaunay, pixels: Any, groups: Any) -> Any:
    found, weights = locate(pixels, net.points, net.simplices, net.neighbors)
    inside = found >= 0
    corners = np.where(inside[:, None], net.simplices[found], 0)
    return Mixture(corners, np.where(inside[:, None], weights, np.nan)).means(groups, len(net.points))


def product(matrix: Any, values: Any) -> Any:
    sums = np.zeros((matrix.shape[0], N_DATES))
    add_weighted(sums, matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data, values)
    return sums


def means(maps: Any) -> Any:
    step = SQUARE.pixels // SQUARE.cells
    return maps.reshape(SQUARE.cells, step, SQUARE.cells, step, -1).mean(axis=(1, 3)).reshape(SQUARE.cells**2, -1)


def grid_points(n: int) -> Any:
    """Cells of 100 m of a Level 3 tile, as stored: along the Hilbert curve."""
    chosen = np.random.default_rng(0).choice(ON_A_SIDE**2, n, replace=False)
    row_, column = np.divmod(chosen, ON_A_SIDE)
    places = np.stack([SQUARE.west + 50 + 100.0 * column, SQUARE.south + 50 + 100.0 * row_], axis=1)
    return places[hilbert_order(*places.T, np.zeros(n, "S1"), np.arange(n))]


def full_cube(n: int) -> xr.Dataset:
    places = grid_points(n)
    dates = np.arange(N_DATES) * np.timedelta64(6, "D") + np.datetime64("2020-01-03", "ns")
    waves = da.from_array(places.sum(axis=1)[:, None] / 7e3, chunks=(SHARD, 1)) + np.arange(N_DATES) / 60
    values = da.round(20 * da.sin(waves), 1).astype(np.float32)
    return xr.Dataset(
        {"displacement": (("point", "time"), values, describe("displacement"))},
        coords={
            "time": dates,
            "point_id": ("point", np.char.mod("%010d", np.arange(n))),
            "easting": ("point", places[:, 0]),
            "northing": ("point", places[:, 1]),
            "crs": ((), np.int32(0), {"crs_wkt": CRS(3035).to_wkt()}),
        },
        attrs={
            **dict.fromkeys(("positive", "reference_date", "reference", "release"), "x"),
            "component": "up",
            "product": "L3",
            "tile": "E40N30",
        },
    )
