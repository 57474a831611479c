import os
from pathlib import Path

import numpy as np
import pytest

from insar_dask.kinematics import motion
from insar_dask.readers.egms import read_egms
from insar_dask.synthetic import scene
from tests import noise_figures as figures

pytestmark = pytest.mark.skipif("INSAR_DASK_DATA" not in os.environ, reason="INSAR_DASK_DATA names no real products")

PAIRS = [
    ("l2b", "EGMS_L2b_022_0845_IW2_VV_2020_2024_1.zip"),
    ("l2b", "EGMS_L2b_117_0227_IW2_VV_2020_2024_1.zip"),
    ("l3u", "EGMS_L3_E45N17_100km_U_2020_2024_1.zip"),
    ("l3e", "EGMS_L3_E45N17_100km_E_2020_2024_1.zip"),
]


@pytest.fixture(scope="module", params=PAIRS, ids=[name[5:19] for _, name in PAIRS])
def pair(request):
    """A real product and the stable ground of a scene of its kind, each with residuals and motion."""
    kind, name = request.param
    drawn = scene(kind, n_points=9000 if kind == "l2b" else 4000, seed=1).load()
    quiet = drawn.isel(point=np.flatnonzero(drawn["true_regime"].values == 0))
    real = read_egms(Path(os.environ["INSAR_DASK_DATA"]) / "egms" / name).load()
    return [_described(cube) for cube in (real, quiet)]


def _described(cube):
    residuals = figures.residuals(cube["displacement"].values, cube["time"].values)
    return cube, figures.standardised(residuals), motion(cube)


def test_noise_remembers_alike(pair):
    (_, real, _), (_, drawn, _) = pair
    # beyond a month real noise falls more slowly than that of one memory: 0.03 against -0.04 at lag 8
    for lags, bound in (([1, 2, 3], 0.045), ([5, 8], 0.08)):
        assert figures.autocorrelation(drawn, lags) == pytest.approx(figures.autocorrelation(real, lags), abs=bound)


def test_tails_are_alike(pair):
    (_, real, _), (_, drawn, _) = pair
    assert figures.excess_kurtosis(drawn) == pytest.approx(figures.excess_kurtosis(real), abs=0.3)


def test_motion_is_alike(pair):
    (_, _, real), (_, _, drawn) = pair
    levels = [0.05, 0.25, 0.5, 0.75, 0.95]
    for name in ("rmse", "velocity_std", "acceleration_std", "seasonality", "seasonality_std"):
        wanted, found = (np.quantile(fits[name], levels) for fits in (real, drawn))
        assert found == pytest.approx(wanted, rel=0.25, abs=0.08), name
    for name in ("velocity", "acceleration"):
        spread = [np.subtract(*np.quantile(fits[name], [0.95, 0.05])) for fits in (real, drawn)]
        assert spread[1] == pytest.approx(spread[0], rel=0.25), name


def test_neighbours_share_noise_alike(pair):
    (real_cube, real, _), (drawn_cube, drawn, _) = pair
    rings = [(30, 100), (100, 200), (400, 500)] if real_cube.attrs["component"] == "los" else [(90, 150), (400, 500)]
    found = [
        figures.correlation_by_distance(z, cube["easting"].values, cube["northing"].values, rings)
        for cube, z in ((real_cube, real), (drawn_cube, drawn))
    ]
    assert found[1] == pytest.approx(found[0], abs=0.03)


def test_quality_follows_noise_alike(pair):
    (real_cube, _, real), (drawn_cube, _, drawn) = pair
    if real_cube.attrs["component"] != "los":
        pytest.skip("Level 3 has no coherence")
    for name in ("coherence", "amplitude_dispersion"):
        wanted, found = (
            np.corrcoef(c[name], fits["rmse"])[0, 1] for c, fits in ((real_cube, real), (drawn_cube, drawn))
        )
        assert found == pytest.approx(wanted, abs=0.06), name
        levels = [0.05, 0.5, 0.95]
        assert np.quantile(drawn_cube[name], levels) == pytest.approx(np.quantile(real_cube[name], levels), abs=0.04)
