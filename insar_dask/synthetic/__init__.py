"""Scenes with known truth and realistic noise, as cubes and as EGMS files: for tests, the demo and benchmarks."""

from __future__ import annotations

from insar_dask.synthetic.egms_files import write_egms
from insar_dask.synthetic.interferograms import air_temperature, pair_cube
from insar_dask.synthetic.scenes import scene
from insar_dask.synthetic.tiles import TILES, egms_tile, write_egms_tiles
from insar_dask.synthetic.tracks import slope_tracks

__all__ = [
    "TILES",
    "air_temperature",
    "egms_tile",
    "pair_cube",
    "scene",
    "slope_tracks",
    "write_egms",
    "write_egms_tiles",
]
