"""Imported by the process that workers are forked from: what a chunk job needs is loaded, and compiled, before."""

import tempfile
from pathlib import Path

from tests.chaos.chunk_job import undisturbed

with tempfile.TemporaryDirectory() as folder:
    undisturbed(Path(folder) / "site.zarr", shards=1)
