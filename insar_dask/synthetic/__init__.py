"""Scenes with known truth and realistic noise, as cubes and as EGMS files: for tests, the demo and benchmarks."""

from __future__ import annotations

from insar_dask.synthetic.egms_files import write_egms
from insar_dask.synthetic.scenes import scene

__all__ = ["scene", "write_egms"]
