"""Report and exports of 588,600 points against what a user would write: matplotlib scatter, geopandas, pandas."""

import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from pyproj import CRS

from insar_dask.cube import describe
from insar_dask.report import plot_map, write_csv, write_geoparquet, write_report
from insar_dask.report.style import png_bytes

N_POINTS = 588_600
RUNS = 5
NAMES = ("velocity", "seasonality", "acceleration", "rmse")


def rows() -> list[dict[str, Any]]:
    products = make_products()
    with tempfile.TemporaryDirectory() as folder:
        return [
            report_row(Path(folder), products),
            maps_row(products),
            parquet_row(Path(folder), products),
            csv_row(Path(folder), products),
        ]


def report_row(folder: Path, products: xr.Dataset) -> dict[str, Any]:
    """First of all, so that the peak memory is its own; series come lazily, in the chunks that a store has."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    raw = make_cube(products, 158)
    times = []
    for _ in range(3):
        began, busy = time.perf_counter(), time.process_time()
        write_report(folder / "site", raw=raw, products=products, ingest={}, timings=[], config_text="", title="bench")
        times.append((time.perf_counter() - began, time.process_time() - busy))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = (statistics.median(column) for column in zip(*times, strict=True))
    memory = f"whole process at most {peak / 1024:.0f} MB (bar 600), {before / 1024:.0f} MB of it before"
    note = f"{cpu:.1f} s of processor; {memory}"
    return {"what": "report of 588,600 points", "ours_s": wall, "clock": "wall", "bar": "<= 20 s", "note": note}


def maps_row(products: xr.Dataset) -> dict[str, Any]:
    def ours() -> None:
        for name in NAMES:
            png_bytes(plot_map(products, name))

    def rival() -> None:
        for name in NAMES:
            figure = Figure(figsize=(4.7, 4.7), dpi=160)
            FigureCanvasAgg(figure)
            axes = figure.add_subplot(aspect="equal")
            figure.colorbar(axes.scatter(products["easting"], products["northing"], 1, products[name], linewidths=0))
            figure.canvas.draw()

    return compare("four maps as PNG", ours, "matplotlib scatter", rival)


def parquet_row(folder: Path, products: xr.Dataset) -> dict[str, Any]:
    names = [str(name) for name in products.variables if products[name].dims == ("point",)]

    def rival() -> None:
        table = pd.DataFrame({name: products[name].values for name in names})
        points = geopandas.points_from_xy(products["easting"], products["northing"])
        frame = geopandas.GeoDataFrame(table, geometry=points, crs=3035)
        frame.to_parquet(folder / "rival.parquet", compression="zstd", write_covering_bbox=True)

    return compare("GeoParquet", lambda: write_geoparquet(products, folder / "ours.parquet"), "geopandas", rival)


def csv_row(folder: Path, products: xr.Dataset) -> dict[str, Any]:
    cube = make_cube(products.isel(point=slice(0, 10_000)), 158).compute()

    def rival() -> None:
        table = pd.DataFrame(cube["displacement"].values, columns=cube["time"].dt.strftime("D%Y%m%d").values)
        table.insert(0, "point_id", cube["point_id"].values)
        table.to_csv(folder / "rival.csv", index=False)

    return compare("CSV of 10,000 x 158", lambda: write_csv(cube, folder / "ours.csv"), "pandas", rival)


def compare(what: str, ours: Callable[[], object], name: str, rival: Callable[[], object]) -> dict[str, Any]:
    """Medians of interleaved runs after one to warm up."""
    ours(), rival()
    pairs = [(seconds(ours), seconds(rival)) for _ in range(RUNS)]
    mine, theirs = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(b / a for a, b in pairs)
    return {"what": what, "ours_s": mine, "rival": name, "rival_s": theirs, "ratio": ratio}


def seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def make_products() -> xr.Dataset:
    rng = np.random.default_rng(0)
    drawn = {"velocity": rng.normal(-1, 4, N_POINTS), "acceleration": rng.normal(0, 1, N_POINTS)}
    drawn |= {"seasonality": rng.gamma(2, 1, N_POINTS), "rmse": rng.gamma(9, 0.3, N_POINTS)}
    return xr.Dataset(
        {name: ("point", values.astype(np.float32), describe(name)) for name, values in drawn.items()},
        coords={
            "point_id": ("point", np.arange(N_POINTS).astype("U10")),
            "easting": ("point", rng.uniform(4.50e6, 4.53e6, N_POINTS).round(1), describe("easting")),
            "northing": ("point", rng.uniform(1.70e6, 1.72e6, N_POINTS).round(1), describe("northing")),
            "crs": ((), np.int32(0), {"crs_wkt": CRS.from_epsg(3035).to_wkt(), "epsg": 3035}),
        },
        attrs={"component": "up", "positive": "up", "reference_date": "2020-01-03", "reference": "", "release": ""},
    )


def make_cube(products: xr.Dataset, n_times: int) -> xr.Dataset:
    import dask.array as da

    shape = (products.sizes["point"], n_times)
    values = da.random.default_rng(1).normal(0, 3, shape, chunks=(1024, -1)).astype(np.float32).round(1)
    times = np.datetime64("2020-01-03", "ns") + np.arange(n_times) * np.timedelta64(12, "D")
    cube = products.drop_vars(NAMES).assign_coords(time=times)
    return cube.assign(displacement=(("point", "time"), values, describe("displacement")))


if __name__ == "__main__":
    for row in rows():
        print(row)
