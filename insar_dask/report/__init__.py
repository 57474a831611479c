"""What people look at and take away: figures, maps, one self-contained page, tables and rasters for GIS.

Everything here takes plain data sets, never paths into a store, and loads nothing heavy until it is called.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from insar_dask.report.decomposition import plot_decomposition
    from insar_dask.report.map_page import write_map_report
    from insar_dask.report.maps import plot_map
    from insar_dask.report.page import write_index, write_report
    from insar_dask.report.patterns import plot_centroids, plot_pattern_map
    from insar_dask.report.rasters import write_geotiff
    from insar_dask.report.series import plot_point
    from insar_dask.report.vectors import write_csv, write_geoparquet

__all__ = [
    "plot_centroids",
    "plot_decomposition",
    "plot_map",
    "plot_pattern_map",
    "plot_point",
    "write_csv",
    "write_geoparquet",
    "write_geotiff",
    "write_index",
    "write_map_report",
    "write_report",
]

_HOMES = {
    "plot_centroids": "patterns",
    "plot_decomposition": "decomposition",
    "plot_map": "maps",
    "plot_pattern_map": "patterns",
    "plot_point": "series",
    "write_csv": "vectors",
    "write_geoparquet": "vectors",
    "write_geotiff": "rasters",
    "write_index": "page",
    "write_map_report": "map_page",
    "write_report": "page",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
