"""What each method had said of maps that came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.map_metrics import MapScores

__all__ = ["Hindcasts"]

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Hindcasts:
    """Forecasts from origins whose future is known.

    Attributes
    ----------
    methods : sequence of str
        The one that forecasts first.
    origins : array of datetime64
        The last one is drawn.
    dates : (h,) array of datetime64
        That the last origin's forecasts are of.
    every : int
        Days of a step.
    tiles : mapping
        Tile -> what `insar_dask.forecast.maps.hindcasts.hindcast_tile` made of it, methods in that order.
    """

    methods: Sequence[str]
    origins: npt.NDArray[np.datetime64]
    dates: npt.NDArray[np.datetime64]
    every: int
    tiles: Mapping[str, Mapping[str, Any]]

    def scores(self, tile: str) -> dict[str, MapScores]:
        """Scores of a tile by method."""
        found = self.tiles[tile]
        return {
            method: MapScores.of_sums(found["data_range"], found["errors"][at], found["alike"][at])
            for at, method in enumerate(self.methods)
        }

    def said(self, tile: str) -> dict[str, Float32]:
        """Maps (h, Y, X) [mm] of a tile at the last origin by method."""
        return dict(zip(self.methods, self.tiles[tile]["said"], strict=True))

    def coverage(self, tile: str, method: str) -> float:
        """Share of the values of a tile that lay in the interval of a method."""
        inside, given = self.tiles[tile]["inside"][list(self.methods).index(method)].sum(axis=0)
        return float(inside / given) if given else float("nan")

    def share(self, tile: str) -> float:
        """How much of what the network that forecasts adds is believed on a tile; NaN where none does."""
        return float(self.tiles[tile]["share"][0])
