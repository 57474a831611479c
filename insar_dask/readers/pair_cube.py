"""Unwrapped interferograms, one a file, to a pair cube: GeoTIFF, GAMMA or ROI_PAC."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from pyproj import CRS

from insar_dask.cube import CubeError
from insar_dask.days import read_day
from insar_dask.readers.declared import describe_source
from insar_dask.readers.geotiff_stack import RASTERS, GeoTiffStack, look_at, raster_at, with_parts
from insar_dask.readers.grid import same_grid
from insar_dask.readers.named_columns import read_rows, to_number
from insar_dask.readers.pair_headers import GEOTIFF, PairFile, dates_in, headers_beside, look_at_pair
from insar_dask.readers.pair_stack import BinaryStack, SignedStack
from insar_dask.readers.pixel_points import Pixels, choose, count_pixels, lazy_values, points_of_pixels
from insar_dask.readers.pixels import PixelStack, Tile, find_pixels
from insar_dask.readers.projection import project
from insar_dask.readers.source_files import SourceFiles

__all__ = ["Ends", "cube_of_pairs", "files_of_pairs", "pair_files", "read_pairs"]

SUFFIXES = (*RASTERS, ".unw")
CURES = {
    "wavelength": "wavelength= in metres, such as 0.05547",
    "phase_sign": "phase_sign=1 where phase grows with the distance to the satellite, -1 where it falls",
}
NO_BASELINES = "and baselines='TABLE.csv', unless pairs of any baseline are wanted"
Days = npt.NDArray[np.datetime64]


@dataclass(frozen=True, eq=False)
class Ends:
    """Dates and baselines of pairs, (P,) each, first < second, and how many files had them the other way round."""

    first: Days
    second: Days
    bperp: npt.NDArray[np.float64]
    n_turned: int


def read_pairs(
    files: str | Path | Iterable[str | Path],
    *,
    coherence: str | Path | Iterable[str | Path] | None = None,
    baselines: str | Path | None = None,
    gamma_dem: str | Path | None = None,
    gamma_image: str | Path | None = None,
    wavelength: float | None = None,
    phase_sign: int | None = None,
    nodata: float | None = None,
    columns: Mapping[str, Any] | None = None,
    track: str | None = None,
    orbit_direction: str | None = None,
    release: str | None = None,
    area: Any = None,
    area_crs: Any = None,
    crs: Any = None,
    source_crs: Any = None,
    max_rejected: float = 0.01,
    rejected: str | Path | None = None,
) -> xr.Dataset:
    """Read unwrapped interferograms on one grid as a pair cube in Hilbert order.

    Dates are those of the header (``DATE12``, ``FIRST_DATE`` and ``SECOND_DATE``), else the two in the file's name. A
    pair whose first date is the later one is turned: its phase is negated, its baseline too.

    Parameters
    ----------
    files : path, folder, glob, or several paths
        GeoTIFF; ROI_PAC ``.unw`` with ``.unw.rsc`` beside it; or GAMMA ``.unw``, geocoded.
    coherence : path, folder, glob, or several paths, optional
        Coherence of each, in the same order: GeoTIFF, or bare float32 as GAMMA writes it.
    baselines : str or Path, optional
        CSV table ``first,second,bperp`` [m] with a line for each pair; goes before what headers say.
    gamma_dem, gamma_image : str or Path, optional
        GAMMA's parameters of the map and of an image; the second has wavelength and heading, and with
        ``FIRST-SECOND_base.par`` beside the interferogram gives its baseline. What ``base_perp`` printed, kept beside
        it as ``FIRST-SECOND_bperp`` (or ``.par``, ``.txt``), goes before.
    wavelength : float, optional
        Of the radar [m], where the files do not say it.
    phase_sign : {1, -1}, optional
        1 where phase grows with the distance to the satellite, -1 where it falls. Known of GAMMA, ROI_PAC and GeoTIFFs
        that name their processor; for others there is no default.
    nodata : float, optional
        A value that stands for no data beside what files declare; 0 is phase unless it is said here or there.
    columns : mapping, optional
        What else is known of the points: ``height``, ``incidence_angle``, ... to a raster on the same grid.
    track, orbit_direction, release, area, area_crs, crs, source_crs, max_rejected, rejected : optional
        As of `insar_dask.read_raster`.

    Returns
    -------
    xr.Dataset
        ``phase`` (point, pair) float32 [rad] and ``coherence``, read shard by shard when they are computed or saved;
        ``first``, ``second`` and ``bperp`` [m] over pair; ``row``, ``col`` and ``grid`` as of rasters.

    Raises
    ------
    ImportError
        Without rasterio, for GeoTIFF (extra ``geo``).
    FileNotFoundError, CubeError
        No such file or header; files of several kinds, or grids that differ; a pair twice, or without a baseline in
        the table; what neither files nor caller say; nothing left.
    ValueError
        For another ``phase_sign``.
    """
    if phase_sign not in (None, 1, -1):
        raise ValueError(f"phase_sign is {phase_sign!r}, wanted 1 or -1")
    paths = pair_files(files)
    dem, image = (None if given is None else Path(given) for given in (gamma_dem, gamma_image))
    content = SourceFiles.seen(with_parts(paths))
    found = [look_at_pair(path, dem, image, source_crs) for path in paths]
    _check_alike(found)
    content = content.hashed()
    order, ends, signs = _in_order(found, baselines)
    stack: PixelStack = SignedStack(_stack([found[k] for k in order], ends.second, nodata, content), signs)
    given = {"component": "los", "positive": "towards the satellite", "reference": "none yet: interferograms",
             "reference_date": str(ends.first.min())[:10], "track": track, "release": release,
             "orbit_direction": orbit_direction or found[0].orbit_direction}  # fmt: skip
    radar = {
        "wavelength": _agreed(found, "wavelength", wavelength),
        "phase_sign": _agreed(found, "phase_sign", phase_sign),
    }
    lacking = {name: CURES[name] for name, value in radar.items() if value is None}
    if lacking and np.isnan(ends.bperp).any():  # which whoever takes pairs of any baseline need not say
        lacking[list(lacking)[-1]] += f" ({NO_BASELINES})"
    attrs, _ = describe_source(stack.name, np.sort(ends.second), {}, given, lacking)
    zero = nodata is None and not all(file.declares_nodata for file in found)
    quarantine = None if rejected is None else Path(rejected)
    kept = find_pixels(
        stack, zero_is_missing=zero, max_rejected=max_rejected, quarantine=quarantine, alike="rad in every pair"
    )
    row, column = np.divmod(kept.pixels, stack.grid.columns)
    place = stack.grid.x(column), stack.grid.y(row), CRS.from_wkt(stack.grid.crs_wkt)
    places = project(*place, crs, stack.grid.centre, stack.name)
    beside = {
        name: raster_at(Path(file), stack.grid, kept.pixels, stack.name) for name, file in (columns or {}).items()
    }
    pixels = choose(Pixels(kept.pixels, places, beside), stack.name, area, area_crs, None)
    attrs |= {"product": "interferograms", **radar, "source": paths[0].name, "n_files": len(paths),
              "source_blake3": content.checksum, "source_size": content.size,
              **count_pixels(stack, kept, pixels)}  # fmt: skip
    quality = None if coherence is None else _coherence(pair_files(coherence), found, order, ends)
    return cube_of_pairs(stack, quality, pixels, ends, attrs)


def cube_of_pairs(
    phase: PixelStack, coherence: PixelStack | None, pixels: Pixels, ends: Ends, attrs: Mapping[str, Any]
) -> xr.Dataset:
    """Pair cube of some pixels in Hilbert order; one Dask chunk a shard, read when it is computed."""
    order, coords = points_of_pixels(phase.grid, pixels)
    flat = pixels.flat[order]
    about = {"long_name": "unwrapped phase", "units": "radian", "grid_mapping": "crs"}
    data: dict[str, Any] = {"phase": (("point", "pair"), lazy_values(phase, flat), about)}
    if coherence is not None:
        about = {"long_name": "coherence of the interferogram", "units": "1", "grid_mapping": "crs"}
        data["coherence"] = (("point", "pair"), lazy_values(coherence, flat), about)
    own = {
        "first": ("pair", ends.first.astype("datetime64[ns]"), {"long_name": "first date of the pair"}),
        "second": ("pair", ends.second.astype("datetime64[ns]"), {"long_name": "second date of the pair"}),
        "bperp": ("pair", ends.bperp, {"long_name": "perpendicular baseline", "units": "m"}),
    }
    return xr.Dataset(data, coords={**coords, **own}, attrs={**attrs, "n_turned": ends.n_turned})


def turned(first: Days, second: Days, bperp: npt.NDArray[np.float64], name: str) -> tuple[Ends, list[int], list[int]]:
    """Ends in order of first and second date, the file of each, and -1 where its dates were the other way round.

    Raises
    ------
    CubeError
        When a pair comes twice, whichever way round.
    """
    late = first > second
    low, high = np.where(late, second, first), np.where(late, first, second)
    order = np.lexsort((high, low))
    low, high = low[order], high[order]
    same = np.flatnonzero((low[1:] == low[:-1]) & (high[1:] == high[:-1]))
    if same.size:
        one = f"{low[same[0]]}/{high[same[0]]}"
        raise CubeError(f"{name}: the pair {one} is there twice (files {order[same[0]]} and {order[same[0] + 1]} of "
                        f"{order.size}, counted from 0): leave one of them out")  # fmt: skip
    signs = np.where(late, -1, 1)[order]
    return Ends(low, high, bperp[order] * signs, int(late.sum())), order.tolist(), signs.tolist()


def pair_files(files: str | Path | Iterable[str | Path]) -> list[Path]:
    """Interferograms behind a path, folder or glob, by name; raises FileNotFoundError where there is none."""
    if not isinstance(files, str | Path):
        found = [Path(file) for file in files]
    elif Path(files).is_dir():
        found = sorted(file for file in Path(files).iterdir() if file.suffix.lower() in SUFFIXES)
    else:
        found = sorted(Path(hit) for hit in glob(str(files)))  # noqa: PTH207 - Path.glob takes no absolute pattern
    if not found:
        raise FileNotFoundError(f"no interferograms: nothing matches {files}")
    return found


def files_of_pairs(source: str | Path, options: Mapping[str, Any]) -> list[Path]:
    """All files that `read_pairs` looks into for a source: interferograms, headers beside them, and what is named."""
    found = pair_files(source)
    beside = [header for path in found for header in headers_beside(path)]
    named = [Path(options[name]) for name in ("baselines", "gamma_dem", "gamma_image") if options.get(name)]
    columns = [Path(path) for path in (options.get("columns") or {}).values()]
    coherence = pair_files(options["coherence"]) if options.get("coherence") else []
    return list(dict.fromkeys([*found, *beside, *coherence, *named, *columns]))


def _check_alike(files: Sequence[PairFile]) -> None:
    first = files[0]
    for file in files[1:]:
        if file.kind != first.kind:
            raise CubeError(f"{first.path.name} is {first.kind}, {file.path.name} {file.kind}: read one kind at a time")
        same_grid(first.grid, file.grid, first.path.name, file.path.name, "bring all files to one grid")
    if not first.grid.on_map:
        raise CubeError(f"{first.path.name} is in radar geometry: geocode it first")


def _in_order(files: Sequence[PairFile], table: str | Path | None) -> tuple[list[int], Ends, tuple[int, ...]]:
    first, second = np.array([file.first for file in files]), np.array([file.second for file in files])
    bperp = np.array([file.bperp for file in files])
    if table is not None:
        known = _baselines(Path(table))
        for k, (one, other) in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
            if (one, other) in known:
                bperp[k] = known[one, other]
            elif (other, one) in known:
                bperp[k] = -known[other, one]
            else:
                raise CubeError(f"{Path(table).name} has no line for the pair {one},{other} of {files[k].path.name}")
    ends, order, signs = turned(first, second, bperp, files[0].path.name)
    return order, ends, tuple(signs)


def _baselines(path: Path) -> dict[tuple[Any, Any], float]:
    known: dict[tuple[Any, Any], float] = {}
    stands: dict[frozenset[Any], str] = {}
    for where, (*ends, metres) in read_rows(path, ("first", "second", "bperp")):
        days = [read_day(end, where).tolist() for end in ends]
        line = where.rpartition(", ")[2]
        if (before := stands.setdefault(frozenset(days), line)) != line:
            raise CubeError(f"{path.name}: the pair {days[0]}/{days[1]} stands in {before} and in {line}: remove one")
        known[days[0], days[1]] = to_number(metres, f"{where}: bperp [m]")
    return known


def _stack(files: Sequence[PairFile], second: Days, nodata: float | None, content: SourceFiles) -> PixelStack:
    first, paths = files[0], [file.path for file in files]
    times = second.astype("datetime64[ns]")
    if first.kind == GEOTIFF:
        bands = tuple((path, 1) for path in paths)
        tile = Tile.of(first.grid, 8, first.chunk)
        return GeoTiffStack(bands, first.grid, times, 1.0, nodata, tile, content, first.path.name)
    tile = Tile.of(first.grid, 8)
    return BinaryStack(tuple(paths), first.kind, first.grid, times, nodata, tile, content, first.path.name)


def _coherence(paths: list[Path], files: Sequence[PairFile], order: list[int], ends: Ends) -> PixelStack:
    """Coherence as a stack in the order of the pairs; 0 is kept, for it is a coherence."""
    if len(paths) != len(files):
        raise CubeError(f"{len(paths)} files of coherence for {len(files)} interferograms: wanted one each, in order")
    for path, file in zip(paths, files, strict=True):
        _check_of_pair(path, file)
    first, chosen = files[0], [paths[k] for k in order]
    times, content = ends.second.astype("datetime64[ns]"), SourceFiles.seen(with_parts(chosen)).hashed()
    if chosen[0].suffix.lower() in RASTERS:
        for path in chosen:
            same_grid(
                first.grid, look_at(path, first.grid.crs_wkt).grid, first.path.name, path.name, "bring it to that grid"
            )
        bands = tuple((path, 1) for path in chosen)
        return GeoTiffStack(bands, first.grid, times, 1.0, None, Tile.of(first.grid, 8), content, chosen[0].name)
    if wrong := [path.name for path in chosen if path.stat().st_size != 4 * first.grid.rows * first.grid.columns]:
        raise CubeError(f"{wrong[0]} has not {first.grid.rows} x {first.grid.columns} float32: is it of this grid?")
    return BinaryStack(tuple(chosen), "gamma", first.grid, times, None, Tile.of(first.grid, 8), content, chosen[0].name)


def _check_of_pair(path: Path, file: PairFile) -> None:
    """Raise where a file of coherence is called after other dates than its interferogram has."""
    said = dates_in(path.name)
    ends = {str(day).replace("-", "")[2:] for day in (file.first, file.second)}
    if len(said) == 2 and {digits[-6:] for digits in said} != ends:
        raise CubeError(f"the coherence {path.name} goes with {file.path.name}, of other dates: give both in one order")


def _agreed(files: Sequence[PairFile], name: str, given: Any) -> Any:
    """What the caller says, else what all files do; None where they do not."""
    if given is not None:
        return given
    found = [getattr(file, name) for file in files]
    said = {None if value != value else value for value in found}  # NaN of a file is none
    if len(said) > 1:
        raise CubeError(f"the interferograms have several values of {name}, {sorted(map(str, said))}: pass {name}=")
    (value,) = said
    return value
