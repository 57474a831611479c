import numpy as np
import pytest

from insar_dask.spacing import grid_step, lattice_of, spacing_of


def raster(fill: float, side: int = 120, step: float = 30.0, blocks: int = 1) -> np.ndarray:
    """Middles of cells of a raster, some of whose blocks of cells are left."""
    rough = np.random.default_rng(3).random((side // blocks, side // blocks)) < fill
    y, x = np.nonzero(np.kron(rough, np.ones((blocks, blocks))))
    return np.stack([x, y], axis=1) * step + 15.0


def burst(n: int = 6000, side: float = 1200.0) -> np.ndarray:
    return np.random.default_rng(4).uniform(0, side, (n, 2))


@pytest.mark.parametrize(("fill", "blocks"), [(1.0, 1), (0.5, 1), (0.1, 1), (0.02, 1), (0.1, 6), (0.02, 6)])
def test_a_raster_with_holes_is_one(fill: float, blocks: int) -> None:
    assert grid_step(raster(fill, blocks=blocks)) == 30.0


@pytest.mark.parametrize("digit", [1.0, 2.0, 5.0])
def test_points_in_whole_metres_are_not(digit: float) -> None:
    place = np.round(burst() / digit) * digit
    assert lattice_of(place).step == digit
    assert grid_step(place) is None


def test_crowds_in_whole_metres_that_share_places_are_not() -> None:
    """As dense as scatterers of a fine radar on roofs."""
    place = np.round(burst(2500, 100.0))
    assert spacing_of(place) < 4
    assert grid_step(place) is None


def test_rasters_that_overlap_are_one() -> None:
    place = raster(0.8)
    assert grid_step(np.concatenate([place, place[: len(place) // 3]])) == 30.0


def test_other_points_are_none() -> None:
    assert lattice_of(burst()) is None
    assert lattice_of(np.array([[0.0, 0.0], [100.0, 100.0]])) is None
    assert lattice_of(np.round(burst(), 1)) is None
    assert spacing_of(burst(4)) == np.inf
