import numpy as np
import pytest
from pyproj import CRS, Transformer

from insar_dask.viewer.degrees import degrees_of


@pytest.mark.parametrize(
    ("epsg", "extent"),
    [
        (3035, (4_500_000, 1_700_000, 4_600_000, 1_800_000)),
        (32631, (400_000, 4_900_000, 460_000, 4_940_000)),
        (3857, (1_000_000, 6_000_000, 1_000_000, 6_000_000)),  # one point
        (3035, (3_000_000, 1_500_000, 5_500_000, 4_500_000)),  # most of Europe
    ],
)
def test_degrees_are_those_of_proj(epsg: int, extent: tuple[float, ...]) -> None:
    found = degrees_of(CRS(epsg).to_wkt(), extent)
    assert found is not None
    chance = np.random.default_rng(epsg)
    x, y = chance.uniform(extent[0], extent[2], 500), chance.uniform(extent[1], extent[3], 500)
    u, v = ((a - m) / h for a, m, h in zip((x, y), found["middle"], found["half"], strict=True))
    wanted = Transformer.from_crs(epsg, 4326, always_xy=True).transform(x, y)
    for name, true in zip(("longitude", "latitude"), wanted, strict=True):
        got = np.polynomial.chebyshev.chebval2d(u, v, np.array(found[name]))
        assert np.abs(got - true).max() <= 2 * found["error"] + 1e-9
    assert found["error"] <= (1e-4 if extent[2] - extent[0] > 1e6 else 1e-6)


def test_a_crs_without_a_place_on_the_ground_has_none() -> None:
    assert degrees_of("LOCAL_CS[]", (0, 0, 1000, 1000)) is None
    assert degrees_of("", (0, 0, 1000, 1000)) is None


def test_across_a_pole_there_are_none() -> None:
    assert degrees_of(CRS(3995).to_wkt(), (-1e6, -1e6, 1e6, 1e6)) is None
