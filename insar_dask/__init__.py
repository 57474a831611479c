"""Satellite-radar ground-motion time series on Dask: from EGMS files to honest forecasts and maps.

Everything public is reached from here; a name's module is imported when the name is first used (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from insar_dask.cluster.estimator import Clusters
    from insar_dask.cluster.number import choose_n_clusters
    from insar_dask.config import load_config
    from insar_dask.cube import CubeError, check_cube
    from insar_dask.decompose import holt_winters, stl
    from insar_dask.detect.finding import find_areas
    from insar_dask.forecast.exponential import holt_winters_forecast
    from insar_dask.geometry.series import east_up
    from insar_dask.inversion.solve import invert
    from insar_dask.jobs.areas.area_jobs import save_areas
    from insar_dask.jobs.areas.stored import stored_areas
    from insar_dask.jobs.forecasting.prediction import fit_stored, predict_stored
    from insar_dask.jobs.forecasting.tile_prediction import predict_tiles
    from insar_dask.jobs.opening import open_cube, open_tiles
    from insar_dask.jobs.pairs.inversion_jobs import invert_stored
    from insar_dask.jobs.steps.east_up_jobs import save_east_up
    from insar_dask.jobs.steps.saving import save
    from insar_dask.jobs.steps.tile_jobs import save_tiles
    from insar_dask.kinematics import motion
    from insar_dask.pipeline import run
    from insar_dask.readers.delays import read_delays
    from insar_dask.readers.egms import find_egms, read_egms
    from insar_dask.readers.grid import to_grid
    from insar_dask.readers.ifgram_stack import read_ifgram_stack
    from insar_dask.readers.mintpy import read_mintpy
    from insar_dask.readers.mintpy_velocity import read_mintpy_velocity
    from insar_dask.readers.pair_cube import read_pairs
    from insar_dask.readers.psi_csv import read_psi_csv
    from insar_dask.readers.raster import read_raster
    from insar_dask.readers.temperature import read_temperature
    from insar_dask.report import plot_point, write_csv, write_report
    from insar_dask.resample import regularise
    from insar_dask.selection import select
    from insar_dask.sessions import session
    from insar_dask.smooth import moving_average, savgol
    from insar_dask.store import products
    from insar_dask.tiling.cell_points import sample_tiles, tile_points, to_tiles
    from insar_dask.tiling.checking import join_tiles
    from insar_dask.tiling.rasterising import rasterise
    from insar_dask.totals import component_shares, component_variances, cumulative_displacement
    from insar_dask.updates import update

_HOMES = {
    "Clusters": "cluster.estimator",
    "CubeError": "cube",
    "check_cube": "cube",
    "choose_n_clusters": "cluster.number",
    "component_shares": "totals",
    "component_variances": "totals",
    "cumulative_displacement": "totals",
    "east_up": "geometry.series",
    "find_areas": "detect.finding",
    "find_egms": "readers.egms",
    "fit_stored": "jobs.forecasting.prediction",
    "holt_winters": "decompose",
    "holt_winters_forecast": "forecast.exponential",
    "invert": "inversion.solve",
    "invert_stored": "jobs.pairs.inversion_jobs",
    "join_tiles": "tiling.checking",
    "load_config": "config",
    "motion": "kinematics",
    "moving_average": "smooth",
    "open_cube": "jobs.opening",
    "open_tiles": "jobs.opening",
    "plot_point": "report",
    "predict_stored": "jobs.forecasting.prediction",
    "predict_tiles": "jobs.forecasting.tile_prediction",
    "products": "store",
    "rasterise": "tiling.rasterising",
    "read_delays": "readers.delays",
    "read_egms": "readers.egms",
    "read_ifgram_stack": "readers.ifgram_stack",
    "read_mintpy": "readers.mintpy",
    "read_mintpy_velocity": "readers.mintpy_velocity",
    "read_pairs": "readers.pair_cube",
    "read_psi_csv": "readers.psi_csv",
    "read_raster": "readers.raster",
    "read_temperature": "readers.temperature",
    "regularise": "resample",
    "run": "pipeline",
    "sample_tiles": "tiling.cell_points",
    "save": "jobs.steps.saving",
    "save_areas": "jobs.areas.area_jobs",
    "save_east_up": "jobs.steps.east_up_jobs",
    "save_tiles": "jobs.steps.tile_jobs",
    "savgol": "smooth",
    "select": "selection",
    "session": "sessions",
    "stl": "decompose",
    "stored_areas": "jobs.areas.stored",
    "tile_points": "tiling.cell_points",
    "to_grid": "readers.grid",
    "to_tiles": "tiling.cell_points",
    "update": "updates",
    "write_csv": "report",
    "write_report": "report",
}

__all__ = [
    "Clusters",
    "CubeError",
    "check_cube",
    "choose_n_clusters",
    "component_shares",
    "component_variances",
    "cumulative_displacement",
    "east_up",
    "find_areas",
    "find_egms",
    "fit_stored",
    "holt_winters",
    "holt_winters_forecast",
    "invert",
    "invert_stored",
    "join_tiles",
    "load_config",
    "motion",
    "moving_average",
    "open_cube",
    "open_tiles",
    "plot_point",
    "predict_stored",
    "predict_tiles",
    "products",
    "rasterise",
    "read_delays",
    "read_egms",
    "read_ifgram_stack",
    "read_mintpy",
    "read_mintpy_velocity",
    "read_pairs",
    "read_psi_csv",
    "read_raster",
    "read_temperature",
    "regularise",
    "run",
    "sample_tiles",
    "save",
    "save_areas",
    "save_east_up",
    "save_tiles",
    "savgol",
    "select",
    "session",
    "stl",
    "stored_areas",
    "tile_points",
    "to_grid",
    "to_tiles",
    "update",
    "write_csv",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
