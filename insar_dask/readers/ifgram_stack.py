"""MintPy's ``ifgramStack.h5`` to a pair cube.

Layout of MintPy's documentation ("Data structure"): ``unwrapPhase`` and ``coherence`` (pair, row, column), ``date``
(pair, 2) as YYYYMMDD, ``bperp`` (pair) in metres, ``dropIfgram`` (pair), true where a pair is kept. Its phase grows
with the range, whatever processor it came from.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.readers.grid import PixelGrid
from insar_dask.readers.hdf5_source import dataset, open_hdf5
from insar_dask.readers.mintpy_attributes import Attributes, describe_series, grid_of
from insar_dask.readers.mintpy_pixels import Companions, find_places
from insar_dask.readers.pair_cube import cube_of_pairs, turned
from insar_dask.readers.pair_stack import SignedStack
from insar_dask.readers.pixel_points import choose, count_pixels
from insar_dask.readers.pixels import Piece, Pieces, Tile, find_pixels
from insar_dask.readers.source_files import SourceFiles

__all__ = ["PHASE", "IfgramStack", "pair_days", "read_ifgram_stack"]

PHASE = ("unwrapPhase_bridging_phaseClosure", "unwrapPhase_phaseClosure", "unwrapPhase_bridging", "unwrapPhase")
"""Corrected phase goes before the first one."""


@dataclass(frozen=True)
class IfgramStack:
    """One dataset of the file as a stack; ``planes`` has the place of each pair in it."""

    path: Path
    dataset: str
    grid: PixelGrid
    times: npt.NDArray[np.datetime64]
    planes: tuple[int, ...]
    nodata: float | None
    tile: Tile
    files: SourceFiles

    @property
    def name(self) -> str:
        """What messages call the source."""
        return self.path.name

    @property
    def identity(self) -> str:
        """Changes whenever the values might."""
        return f"{self.files.checksum} {self.dataset} {self.nodata!r} {self.planes}"

    @contextmanager
    def pieces(self) -> Iterator[Pieces]:
        """Hold the file open; a window comes pair by pair."""
        with self.files.unchanged(), open_hdf5(self.path) as file:
            values = dataset(file, self.dataset, self.path, 3)

            def read(rows: slice, columns: slice) -> Iterator[Piece]:
                for place, plane in enumerate(self.planes):
                    block = values[plane, rows, columns].astype(np.float32)
                    if self.nodata is not None:
                        block[block == np.float32(self.nodata)] = np.nan
                    yield np.array([place]), block[None]

            yield read


def read_ifgram_stack(
    path: str | Path,
    *,
    phase: str | None = None,
    geometry: str | Path | None = None,
    lookup: str | Path | None = None,
    mask: str | Path | None = None,
    keep_dropped: bool = False,
    area: Any = None,
    area_crs: Any = None,
    crs: Any = None,
    source_crs: Any = None,
    nodata: float | None = 0.0,
    release: str | None = None,
    track: str | None = None,
    orbit_direction: str | None = None,
    max_rejected: float = 0.01,
    rejected: str | Path | None = None,
) -> xr.Dataset:
    """Read MintPy's stack of unwrapped interferograms as a pair cube in Hilbert order.

    Parameters
    ----------
    path : str or Path
        ``ifgramStack.h5``, geocoded, or in radar geometry with ``lookup``.
    phase : str, optional
        Dataset of the phase; default: the most corrected one there is, `PHASE`.
    geometry, lookup, mask : str or Path, optional
        As of `insar_dask.read_mintpy`.
    keep_dropped : bool
        Also pairs that MintPy was told to drop (``dropIfgram``).
    nodata : float, optional
        A value that stands for no data; MintPy's format says 0. None for none.
    area, area_crs, crs, source_crs, release, track, orbit_direction, max_rejected, rejected : optional
        As of `insar_dask.read_mintpy`.

    Returns
    -------
    xr.Dataset
        Pair cube, as of `insar_dask.read_pairs`.

    Raises
    ------
    ImportError
        Without h5py (extra ``geo``).
    FileNotFoundError, CubeError
        No such file; not a stack of interferograms; pairs twice; what the file does not say; nothing left.
    """
    path = Path(path)
    content = SourceFiles.seen([path])
    with open_hdf5(path) as file:
        name = phase or next((one for one in PHASE if one in file), None)
        if name is None or "date" not in file:
            raise CubeError(
                f"{path.name} is no stack of interferograms (it has {sorted(file)[:8]}): pass ifgramStack.h5"
            )
        values = dataset(file, name, path, 3)
        attributes = Attributes(path.name, {**file.attrs, **values.attrs})
        first, second = pair_days(dataset(file, "date", path, 2)[()], path.name)
        wanted = {name: (len(first),), "coherence": values.shape, "bperp": (len(first),), "dropIfgram": (len(first),)}
        for one, shape in wanted.items():
            if one in file and file[one].shape[: len(shape)] != shape:
                raise CubeError(
                    f"{path.name}: {one!r} has shape {file[one].shape} for {len(first)} pairs: is it cut off?"
                )
        bperp = np.asarray(file["bperp"][()] if "bperp" in file else np.full(len(first), np.nan), np.float64)
        used = np.asarray(file["dropIfgram"][()], bool) if "dropIfgram" in file else np.ones(len(first), bool)
        grid, chunk = grid_of(attributes, values.shape[1:], source_crs), values.chunks and values.chunks[1:]
        has_coherence = "coherence" in file
    places = np.arange(len(first)) if keep_dropped else np.flatnonzero(used)
    if places.size == 0:
        raise CubeError(f"{path.name}: MintPy was told to drop all {len(first)} pairs: pass keep_dropped=True")
    ends, order, signs = turned(first[places], second[places], bperp[places], path.name)
    planes, times = tuple(places[order].tolist()), ends.second.astype("datetime64[ns]")
    common = grid, times, planes
    own = IfgramStack(path, name, *common, nodata, Tile.of(grid, 8, chunk), content.hashed())
    stack = SignedStack(own, tuple(signs))
    given = {"reference_date": str(ends.first.min()), "reference": "none yet: interferograms", "release": release,
             "track": track, "orbit_direction": orbit_direction}  # fmt: skip
    attrs = describe_series(attributes, np.sort(times), given)
    if "wavelength" not in attrs:
        raise CubeError(f"{path.name} has no attribute WAVELENGTH: mend it in the file")
    quarantine = None if rejected is None else Path(rejected)
    kept = find_pixels(
        stack, zero_is_missing=False, max_rejected=max_rejected, quarantine=quarantine, alike="rad in every pair"
    )
    files = Companions.of(path, None, None, geometry, lookup, mask)
    pixels = choose(find_places(grid, path.name, kept.pixels, files, crs), path.name, area, area_crs, None)
    attrs |= {"product": "interferograms", "phase_sign": 1, "source": path.name, "source_blake3": own.files.checksum,
              "source_size": own.files.size, "n_dropped": int((~used).sum()) if not keep_dropped else 0,
              **files.attributes(), **count_pixels(stack, kept, pixels)}  # fmt: skip
    quality = IfgramStack(path, "coherence", *common, None, own.tile, own.files) if has_coherence else None
    return cube_of_pairs(stack, quality, pixels, ends, attrs)


def pair_days(values: npt.NDArray[Any], name: str) -> tuple[npt.NDArray[np.datetime64], npt.NDArray[np.datetime64]]:
    """First and second dates of the pairs, (P,) each, of MintPy's texts (P, 2)."""
    texts = [value.decode() if isinstance(value, bytes) else str(value) for value in values.ravel().tolist()]
    try:
        days = np.array([f"{t[:4]}-{t[4:6]}-{t[6:8]}" for t in texts], "datetime64[D]").reshape(-1, 2)
    except ValueError:
        raise CubeError(f"{name}: 'date' holds {texts[:4]}, wanted pairs of YYYYMMDD") from None
    return days[:, 0], days[:, 1]
