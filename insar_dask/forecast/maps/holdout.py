"""Whole tiles kept from training, and the ground near them that does not count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError
from insar_dask.forecast.maps.map_material import Material, tiles_called

__all__ = ["BUFFER", "Holdout", "hold_out"]

BUFFER = 5_000.0
"""Metres from a tile of training within which a cell of a held-out tile is not scored: three cells, beyond which the
ground of two sides of a border shares neither an interpolated value nor, on real products, its noise."""


@dataclass(frozen=True)
class Holdout:
    """Which tiles are learned from, and which are not."""

    trained: tuple[int, ...]
    held: tuple[int, ...]
    buffer: float = BUFFER

    def counted(self, material: Material, tile: int) -> npt.NDArray[np.bool_]:
        """Cells (Y, X) of a tile that are scored: of one held out, those farther than the buffer from training."""
        rows, columns = material.mask.shape[2:]
        counted = np.ones((rows, columns), bool)
        if tile in self.trained:
            return counted
        west, south, east, north = material.edges[tile]
        x = west + (np.arange(columns) + 0.5) * (east - west) / columns
        y = north - (np.arange(rows) + 0.5) * (north - south) / rows
        for other in self.trained:
            left, low, right, high = material.edges[other]
            aside = np.maximum(np.maximum(left - x, x - right), 0)
            beyond = np.maximum(np.maximum(low - y, y - high), 0)
            counted &= np.hypot(aside[None, :], beyond[:, None]) > self.buffer
        return counted


def hold_out(
    material: Material, trained: Sequence[str], held: Sequence[str] | None = None, buffer: float = BUFFER
) -> Holdout:
    """Tiles to learn from and tiles kept from it.

    Parameters
    ----------
    material : Material
    trained : sequence of str
        Names of tiles to learn from.
    held : sequence of str, optional
        Names of tiles kept from it; default: all others.
    buffer : float
        Metres; see `BUFFER`.

    Raises
    ------
    ValueError
        When a name is not known, or nothing is learned from.
    CubeError
        When a tile is on both sides, as the training tile of MM-STT is among its withheld ones, or two tiles of
        different sides overlap.
    """
    if not trained:
        raise ValueError(f"no tile is named to learn from; there are {', '.join(material.names)}")
    held = [name for name in material.names if name not in trained] if held is None else list(held)
    if both := sorted(set(trained) & set(held)):
        raise CubeError(
            f"{', '.join(both)} is both learned from and held out, so its scores would not tell of unseen ground: "
            "name it on one side only"
        )
    made = Holdout(tuple(tiles_called(material, trained)), tuple(tiles_called(material, held)), buffer)
    for one in made.trained:
        for other in made.held:
            if _overlap(material.edges[one], material.edges[other]):
                names = material.names[one], material.names[other]
                raise CubeError(
                    f"{names[1]} is held out and overlaps {names[0]}, which is learned from: hold both out, or neither"
                )
    return made


def _overlap(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> bool:
    """Whether two tiles share more than a border."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    return bool((high - low > 1.0).all())
