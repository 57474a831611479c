import numpy as np
import pytest
import xarray as xr
from scipy.signal import lfilter

from insar_dask.detect.quality import quality_class, spatial_quality, temporal_quality
from insar_dask.synthetic.slumps import CELL
from tests.detect.test_evidence import TIMES, YEARS

MOST = 20
"""Points of an area."""


def classes(maps: xr.Dataset, memory: float, sigma: float, *, moves: bool) -> list[int]:
    """Quality of areas that lie where the slumps of a scene do: of their motion with noise, or of noise alone."""
    chance, found = np.random.default_rng(11), []
    for number in range(1, 21):
        row, column = (axis[:MOST] for axis in np.nonzero((maps.true_area.values == number) & maps.velocity.notnull()))
        white = chance.normal(0, sigma * np.sqrt(1 - memory**2), (len(row), 60 + len(TIMES)))
        series = lfilter([1], [1, -memory], white, axis=1)[:, 60:]
        if moves:
            rate, size, peak = (maps[n].values[row, column, None] for n in ("true_velocity", "seasonality", "phase"))
            series += rate * YEARS + size * np.cos(2 * np.pi * (YEARS - peak / 365))
        place = np.stack([column, row], axis=1) * CELL
        found.append(quality_class(temporal_quality(series, YEARS), spatial_quality(series, YEARS, place)))
    return found


@pytest.mark.parametrize("memory", [0.3, 0.9])
def test_areas_of_noise_are_of_the_lower_classes_and_slumps_of_the_upper(
    memory: float, scenes: list[xr.Dataset]
) -> None:
    assert set(classes(scenes[0], memory, 4.0, moves=False)) <= {3, 4}
    assert set(classes(scenes[0], memory, 4.0, moves=True)) == {1}
    still = scenes[0].assign(seasonality=xr.zeros_like(scenes[0].seasonality))  # only the rate tells them
    assert set(classes(still, memory, 6.0, moves=True)) <= {1, 2}
