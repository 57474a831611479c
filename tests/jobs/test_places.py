from pathlib import Path

import numpy as np
import zarr
from zarr.storage import LocalStore

from insar_dask.jobs.places import stage_boxes


def test_a_tile_lies_between_its_outermost_rows_and_columns(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path, path="tiles/up", mode="w", zarr_format=3)
    for name, dims, shape in (("easting", ("tile", "x"), (2, 8)), ("northing", ("tile", "y"), (2, 8))):
        made = group.create_array(name, shape=shape, chunks=(1, 8), dtype="f8", dimension_names=dims)
        made[...] = np.arange(16.0).reshape(2, 8)
    boxes = stage_boxes(LocalStore(tmp_path), "tiles/up", 2)
    assert boxes is not None
    assert boxes.tolist() == [[0.0, 0.0, 7.0, 7.0], [8.0, 8.0, 15.0, 15.0]]
