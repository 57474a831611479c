"""Ascending and descending tracks to east and up, as series or velocities; frames of one pass to one reference."""

from insar_dask.geometry.cubes import EastUp
from insar_dask.geometry.frames import align_frames, compare_frames
from insar_dask.geometry.series import east_up
from insar_dask.geometry.velocities import east_up_velocity

__all__ = ["EastUp", "align_frames", "compare_frames", "east_up", "east_up_velocity"]
