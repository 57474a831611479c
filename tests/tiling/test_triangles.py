import numpy as np
import numpy.typing as npt
import pytest
from scipy.spatial import Delaunay

from insar_dask.tiling import triangles
from insar_dask.tiling.triangles import triangulated

CHANCE = np.random.default_rng(0)
SCATTERED = CHANCE.uniform(0, 1000, (4000, 2))
TWO_SHORES = SCATTERED[(abs(SCATTERED[:, 0] - 500) > 200) & (np.hypot(*(SCATTERED - 150).T) > 90)]
CLUSTERS = np.concatenate([CHANCE.normal(place, 8, (700, 2)) for place in ((0, 0), (900, 100), (400, 900))])
LINE = np.linspace(300, 900, 200)[:, None] + np.array([[0, 1e-3]])
LINE_APART = np.concatenate([SCATTERED[:600] / 10, LINE])


@pytest.mark.parametrize(
    "points", [SCATTERED, TWO_SHORES, CLUSTERS, LINE_APART], ids=["all", "void", "clusters", "line"]
)
@pytest.mark.parametrize("at_once", [50, 300, 1500])
def test_boxes_find_what_all_points_at_once_do(
    at_once: int, points: npt.NDArray[np.float64], monkeypatch: pytest.MonkeyPatch
) -> None:
    places = CHANCE.uniform(-50, 1050, (3000, 2))
    whole, corners, weights = triangulated(points, places)
    assert len(whole) == len(Delaunay(points).simplices)
    monkeypatch.setattr(triangles, "AT_ONCE", at_once)
    some, others, shares = triangulated(points, places)
    order, mine = np.argsort(corners, axis=1), np.argsort(others, axis=1)
    np.testing.assert_array_equal(np.take_along_axis(corners, order, 1), np.take_along_axis(others, mine, 1))
    np.testing.assert_allclose(
        np.take_along_axis(weights, order, 1), np.take_along_axis(shares, mine, 1), rtol=0, atol=1e-7
    )
    assert set(map(frozenset, whole.tolist())) <= set(map(frozenset, some.tolist()))


def test_boxes_of_a_grid_interpolate_linearly(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = np.stack(np.meshgrid(np.arange(60.0), np.arange(40.0)), -1).reshape(-1, 2) * 100
    monkeypatch.setattr(triangles, "AT_ONCE", 200)
    places = CHANCE.uniform(0, [5900, 3900], (2000, 2))
    _, corners, weights = triangulated(grid, places)
    assert (corners >= 0).all()
    assert (weights > -1e-9).all()
    np.testing.assert_allclose((weights[..., None] * grid[corners]).sum(axis=1), places, atol=1e-6)
    assert np.ptp(grid[corners], axis=1).max() == 100
