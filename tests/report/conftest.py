import numpy as np
import pytest
import xarray as xr

from tests.report.scenes import make_cube


@pytest.fixture
def regular_cube() -> xr.Dataset:
    """12 x 9 cells of 100 m, a few left out, centres on ...50 as EGMS Level 3 has them."""
    x, y = np.meshgrid(4_500_050.0 + 100 * np.arange(12), 1_700_050.0 + 100 * np.arange(9))
    keep = np.ones(x.size, bool)
    keep[[5, 40, 77]] = False
    return make_cube(x.ravel()[keep], y.ravel()[keep])


@pytest.fixture
def scattered_cube() -> xr.Dataset:
    rng = np.random.default_rng(6)
    return make_cube(4_500_000 + rng.uniform(0, 3000, 400).round(1), 1_700_000 + rng.uniform(0, 2000, 400).round(1))
