"""What lies before any date of a tile, summed up: fits of every cell at every origin, from running sums."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError
from insar_dask.forecast.timetable import TooShortError

__all__ = ["LEAST_DATES", "MapHistory", "history_bytes"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

HARMONIC, ACCELERATING, CURVED = 4, 5, 6
"""Terms of the three nested models of EGMS (Product Description v3, Table 14), as in `insar_kernels.motion`: a
constant, cosine and sine of the year, and a line; then a parabola; then a cubic."""

LEAST_DATES = 12
"""Maps that a fit takes: twice as many as the largest model has terms."""

EVERY = 16
"""Dates between two sums that are kept: kept at every date they would be 14 times the size of the maps, so they are
as large as these, and the rest is added up in 1 ms."""


class MapHistory:
    """Maps of one tile and the running sums of their normal equations.

    A map is there for all cells or for none, so that all cells share one normal matrix, and the fit of 4,096 of them at
    an origin is one product.

    Parameters
    ----------
    maps : (T, Y, X) array of float32
        Displacement [mm]; a map without a value is NaN as a whole.
    years : (T,) array of float64
        Dates in years of 365 days since a date that does not depend on the origin.

    Raises
    ------
    CubeError
        When a map is missing in part: rasterised ones are whole or not there.
    """

    def __init__(self, maps: Float32, years: Float64) -> None:
        given = np.isfinite(maps).reshape(len(maps), -1)
        self.given: npt.NDArray[np.bool_] = np.asarray(given.all(axis=1))
        if partial := np.flatnonzero(given.any(axis=1) & ~self.given).tolist():
            lacking = int((~given[partial[0]]).sum())
            raise CubeError(
                f"map {partial[0]} lacks {lacking} of its {given.shape[1]} cells; wanted maps that are whole, or NaN "
                "throughout, as insar_dask.rasterise makes them"
            )
        self.maps, self.years = maps, years
        self.design = _design(years)
        self._latest: tuple[int, Float64] | None = None

    def coefficients(self, origin: int, terms: int = HARMONIC) -> Float64:
        """Least-squares coefficients (terms, Y, X) of the maps before column ``origin``.

        Raises
        ------
        TooShortError
            When there are fewer than `LEAST_DATES` of them.
        """
        if (n := int(self.given[:origin].sum())) < LEAST_DATES:
            raise TooShortError(f"{n} maps lie before date {origin}; a fit takes {LEAST_DATES}: begin with a later one")
        weighted = self.design[:origin] * self.given[:origin, None]
        normal = weighted[:, :terms].T @ weighted[:, :terms]
        solved = np.linalg.solve(normal, self._sums(origin)[:terms])
        return np.asarray(solved.reshape(terms, *self.maps.shape[1:]), np.float64)

    def statics(self, origin: int) -> Float32:
        """Velocity [mm/yr], acceleration [mm/yr²] and seasonality [mm] of what lies before ``origin``, (3, Y, X).

        Those of `insar_dask.motion` on the same dates.
        """
        velocity = self.coefficients(origin)[3]
        acceleration = self.coefficients(origin, ACCELERATING)[4]
        curved = self.coefficients(origin, CURVED)
        return np.stack([velocity, acceleration, np.hypot(curved[1], curved[2])]).astype(np.float32)

    def harmonic(self, origin: int, columns: slice | npt.NDArray[np.int64]) -> Float32:
        """Line and annual signal fitted before ``origin``, at the dates of ``columns``: (n, Y, X) [mm]."""
        basis = self.design[columns, :HARMONIC]
        return np.tensordot(basis, self.coefficients(origin), axes=1).astype(np.float32)

    def spread(self, origin: int) -> Float64:
        """Root mean square (Y, X) [mm] of what line and annual signal leave of the maps before ``origin``."""
        coefficients = self.coefficients(origin).reshape(HARMONIC, -1)
        sums = self._sums(origin)
        left = sums[CURVED] - (coefficients * sums[:HARMONIC]).sum(axis=0)
        mean = np.maximum(left, 0) / self.given[:origin].sum()
        return np.asarray(np.sqrt(mean).reshape(self.maps.shape[1:]))

    def _sums(self, origin: int) -> Float64:
        """Products of design and maps before ``origin``, and the squares of these, (6 + 1, cells).

        Those of the last origin are kept: a window asks for seven fits of one.
        """
        latest = self._latest
        if latest is None or latest[0] != origin:
            kept = origin // EVERY
            latest = origin, np.asarray(self._kept[kept] + self._products(kept * EVERY, origin))
            self._latest = latest
        return latest[1]

    @cached_property
    def _kept(self) -> list[Float64]:
        """Sums up to every `EVERY`-th date."""
        sums = [np.zeros((CURVED + 1, self.maps[0].size))]
        for start in range(0, len(self.maps) - EVERY + 1, EVERY):
            sums.append(sums[-1] + self._products(start, start + EVERY))
        return sums

    def _products(self, start: int, stop: int) -> Float64:
        given = np.flatnonzero(self.given[start:stop]) + start
        cells = self.maps[0].size
        maps = self.maps[given].reshape(-1, cells).astype(np.float64)
        return np.concatenate([self.design[given].T @ maps, (maps**2).sum(axis=0, keepdims=True)])


def history_bytes(n_dates: int, n_cells: int) -> int:
    """Bytes of the sums that are kept of a tile; its maps are whoever's they are."""
    return 8 * (CURVED + 1) * n_cells * (n_dates // EVERY + 1)


def _design(years: Float64) -> Float64:
    """Columns 1, cos, sin, t, t²/2, t³ at the dates, (T, 6)."""
    angle = 2 * np.pi * years
    return np.stack([np.ones_like(years), np.cos(angle), np.sin(angle), years, years**2 / 2, years**3], axis=1)
