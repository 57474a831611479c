from typing import Any

import pytest
import torch
import xarray as xr

from insar_dask.forecast import Forecaster
from insar_dask.synthetic import scene
from tests.gaps import with_gaps

TINY: dict[str, Any] = {
    "method": "spacetimeformer_components",
    "n_patterns": 2,
    "stride": 9,
    "sizes": {"width": 8, "hidden": 16, "heads": 1, "head_width": 8, "encoder_layers": 1, "decoder_layers": 1},
    "training": {"max_steps": 3, "check_every": 3, "checkpoint_every": 1, "batch": 16, "first_rate": 1e-3, "warmup": 0},
}
"""Six networks of three steps each."""


@pytest.fixture(scope="session")
def plateau() -> xr.Dataset:
    """150 points x 158 dates every 12 days; one without any value, one that ends early, one with gaps of its own."""
    return with_gaps(scene("chumar", n_points=150, seed=6), 9, (17, slice(25, None)), (23, slice(None, None, 7)))


@pytest.fixture(scope="session")
def fitted(plateau: xr.Dataset) -> Forecaster:
    torch.set_num_threads(1)
    return Forecaster(**TINY).fit(plateau)
