"""Forecasts of maps cell by cell, without a network: what every table shows beside those with one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from insar_dask.forecast.catalogue import RAW_DATES_ONLY
from insar_dask.forecast.maps.lattice import NEXT
from insar_dask.forecast.maps.map_material import Material
from insar_dask.forecast.registry import Forecaster, new
from insar_dask.forecast.windows import Context
from insar_dask.readers.point_order import hilbert_order

__all__ = ["NAIVE", "fitted_to_maps", "naive_maps"]

Float32 = npt.NDArray[np.float32]
Index = npt.NDArray[np.int64]

NAIVE = ("persistence", "harmonic", "harmonic_ridge", "gaussian_process", "kriging")
"""The last two read raw dates, and so are left out where maps were averaged."""


def naive_maps(
    material: Material, trained: Sequence[int], names: Sequence[str] = NAIVE
) -> Iterator[tuple[str, Callable[[int, Sequence[int]], Float32]]]:
    """Forecasters of maps by name: what each says of a tile at some origins, (o, h, Y, X) [mm].

    What is pooled over cells is learned before the first validation origin, on the tiles that networks learn from; each
    cell's own fits use all that lies before the origin. Cells that never hold a point are NaN.

    Parameters
    ----------
    material : Material
    trained : sequence of int
        Numbers of the tiles to learn from.
    names : sequence of str
        Of `NAIVE`.
    """
    cells = {tile: _cells(material, tile) for tile in range(len(material.names))}
    for name in names:
        if material.protocol != "paper" or name not in RAW_DATES_ONLY:
            yield name, _maps_of(fitted_to_maps(material, trained, name), material, cells)


def fitted_to_maps(material: Material, trained: Sequence[int], name: str) -> Forecaster:
    """A forecaster of series, fitted to the cells of some tiles before the first validation origin."""
    model, pooled = new(name, material.plan), None
    for tile in trained:
        known = _context(material, tile, _cells(material, tile), material.first_unknown)
        part = model.partial(known)
        pooled = part if pooled is None else model.merge(pooled, part)
    return model.fit([pooled or {}], known.part(0, 0))


def _maps_of(model: Forecaster, material: Material, cells: dict[int, Index]) -> Callable[[int, Sequence[int]], Float32]:
    fitted: dict[int, Context] = {}

    def forecast(tile: int, origins: Sequence[int]) -> Float32:
        return np.stack([at(tile, int(origin)) for origin in origins])

    def at(tile: int, origin: int) -> Float32:
        if tile not in fitted:
            fitted.clear()
            fitted[tile] = _context(material, tile, cells[tile], material.first_unknown)
        said, _ = model.predict(_context(material, tile, cells[tile], origin, fitted[tile]))
        maps = np.full((material.horizon, material.mask[0, 0].size), np.nan, np.float32)
        maps[:, cells[tile]] = said.T
        return maps.reshape(material.horizon, *material.mask.shape[2:])

    return forecast


def _cells(material: Material, tile: int) -> Index:
    """Cells that ever hold a point, along the Hilbert curve."""
    at = np.flatnonzero(material.mask[tile].any(axis=0))
    rows, columns = np.divmod(at, material.mask.shape[3])
    order = hilbert_order(columns.astype(np.float64), -rows.astype(np.float64), at.astype(str), np.arange(len(at)))
    return at[order]


def _context(material: Material, tile: int, cells: Index, origin: int, fitted: Context | None = None) -> Context:
    """What lies before an origin; maps that are not there are left out."""
    series = np.ascontiguousarray(material.read[tile, :origin].reshape(origin, -1)[:, cells].T)
    given = np.isfinite(material.read[tile, :origin, 0, 0])
    rows, columns = np.divmod(cells, material.mask.shape[3])
    years = material.years
    return Context(
        values=np.ascontiguousarray(series[:, given]),
        years=years[:origin][given],
        grid_values=series,
        grid_years=years[:origin],
        target_years=years[origin : origin + material.horizon],
        fitted=fitted,
        places=NEXT * np.stack([columns, -rows], axis=1).astype(np.float64),
        first_day=material.plan.days[0],
    )
