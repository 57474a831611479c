"""Files of other formats than EGMS to the raw cube of a group: read lazily, then saved shard by shard as any cube."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import fields, replace
from inspect import signature
from pathlib import Path
from typing import Any

import xarray as xr
from dask.system import CPU_COUNT

from insar_dask.cube import CubeError
from insar_dask.jobs.engine import Engine, StageReport
from insar_dask.jobs.progress.watch import Progress
from insar_dask.jobs.recipe import STEPS, Step, canonical_key
from insar_dask.jobs.steps.known_sources import by_content
from insar_dask.jobs.steps.rejected import keep_rejected, rejected_path
from insar_dask.jobs.steps.saving import store_cube, unrounded
from insar_dask.layout import CODEC
from insar_dask.machine import give_back
from insar_dask.readers.bucket_file import BucketFile, SourceFile, source_file
from insar_dask.readers.geotiff_stack import with_parts
from insar_dask.readers.mintpy_pixels import Companions
from insar_dask.readers.pair_cube import files_of_pairs, pair_files
from insar_dask.readers.raster import raster_files
from insar_dask.readers.source_files import SourceFiles

__all__ = ["INTERFEROGRAMS", "files_read", "ingest_cube", "product_of", "target_of"]

INTERFEROGRAMS = ("pairs", "ifgram_stack")
"""Readers of pair cubes, which become displacement later: they are kept as ``PRODUCT/pairs``."""

IN_MEMORY = ("psi_csv",)
"""Readers whose values are in this process: they are written from here, for arrays do not go through a scheduler."""


def product_of(source: str | SourceFile) -> str:
    """Name of the product that a source becomes: of a file or folder without its ending, of a glob its folder's.

    >>> product_of("site/geo_timeseries.h5"), product_of("site/stack/*.tif")
    ('geo_timeseries', 'stack')
    """
    path = source_file(source)
    if isinstance(path, BucketFile):
        return path.stem
    return path.parent.name if any(sign in path.name for sign in "*?[") else path.stem


def target_of(product: str, reader: str) -> str:
    """Group that a source of a reader is stored in.

    >>> target_of("site", "raster"), target_of("site", "ifgram_stack")
    ('site/raw', 'site/pairs')
    """
    return f"{product}/{'pairs' if reader in INTERFEROGRAMS else 'raw'}"


def ingest_cube(
    engine: Engine, source: str | Path, product: str, reader: str, options: Mapping[str, Any], shard_points: int
) -> StageReport:
    """Bring ``PRODUCT/raw``, or ``PRODUCT/pairs``, of a store up to date with a source of another format than EGMS.

    Parameters
    ----------
    engine : Engine
        Where tasks run and which store they write; its workers must see the source under the same path.
    source : str or Path
        A file; for rasters and interferograms also a folder or glob.
    product : str
        Name of the product's group.
    reader : str
        One of ``STEPS``: "mintpy", "raster", "psi_csv", "pairs" or "ifgram_stack".
    options : mapping
        Keyword arguments of the reader.
    shard_points : int
        Most points of a shard.

    Returns
    -------
    StageReport
        How many shards were written now; 0 when all were done, and then the source is only hashed.

    Raises
    ------
    ValueError, OSError
        What the reader says of bad files.
    """
    began, target = time.perf_counter(), target_of(product, reader)
    _check_options(source, reader, options)
    files = files_read(source, reader, options)
    content = SourceFiles.seen(files).hashed() if all(file.is_file() for file in files) else None
    note = engine.ledger.read_note(f"ingest/{product}") or {}
    key = None if content is None else _key(content, reader, options, shard_points)
    if key and note.get("key") == key and _stands(engine, target, note["shards"], key):
        return engine.report(StageReport(target, note["shards"], 0, 0, 0, time.perf_counter() - began))
    with Progress(f"{product}/reading", None, quiet=engine.quiet):
        cube, quarantine = _read(engine, source, product, reader, options)
    content = content or SourceFiles.seen(files).hashed()
    content.check()
    key = key or _key(content, reader, options, shard_points)
    give_back()  # of 1,000,000 pixels 75 MB, which would stay with this process for as long as the cube is saved
    here = replace(engine, client=None, threads=CPU_COUNT) if reader in IN_MEMORY else engine
    written = store_cube(here, cube, target, shard_points, key)
    receipts = engine.ledger.done(target)
    engine.ledger.write_note(
        f"ingest/{product}",
        {
            "source": cube.attrs["source"],
            "source_blake3": cube.attrs["source_blake3"],
            "source_size": cube.attrs["source_size"],
            "n_points": cube.sizes["point"],
            "n_rejected": cube.attrs["n_rejected"],
            "rejected": quarantine if cube.attrs["n_rejected"] else None,
            "shards": len(receipts),
            "options": {"reader": reader, **options},
            "key": key,
        },
    )
    points, size = (sum(getattr(receipts[index], what) for index in written) for what in ("points", "size"))
    return engine.report(StageReport(target, len(receipts), len(written), points, size, time.perf_counter() - began))


def _stands(engine: Engine, target: str, n_shards: int, key: str) -> bool:
    return any(not engine.stale(target, dict.fromkeys(range(n_shards), one)) for one in (key, unrounded(key)))


def _check_options(source: str | Path, reader: str, options: Mapping[str, Any]) -> None:
    _, *taken = signature(Step(reader, "files", "raw").resolve()).parameters  # the first one is the source
    taken.remove("rejected")
    if strange := sorted(set(options) - set(taken)):
        raise CubeError(
            f"{source}: {', '.join(strange)} is no option of the reader {reader!r}; it knows {', '.join(sorted(taken))}"
        )


def files_read(source: str | Path, reader: str, options: Mapping[str, Any]) -> list[Path]:
    """All files that a reader looks into for a source: its own, those named in options, those that lie beside it."""
    if reader == "pairs":
        found = with_parts(files_of_pairs(source, options))
    elif reader == "raster":  # columns of NetCDF are its own variables
        columns = (Path(str(column)) for column in (options.get("columns") or {}).values())
        found = with_parts([*raster_files(source), *(path for path in columns if path.is_file())])
    elif reader == "psi_csv":
        found = [Path(source)]
    else:
        beside = dict.fromkeys(("velocity", "coherence", "geometry"), "beside") if reader == "mintpy" else {}
        named = {**dict.fromkeys(field.name for field in fields(Companions)), **beside, **options}
        companions = Companions.of(Path(source), *(named[field.name] for field in fields(Companions)))
        found = [Path(source), *companions.paths()]
    return list(dict.fromkeys(path.absolute() for path in found))


def _read(
    engine: Engine, source: str | Path, product: str, reader: str, options: Mapping[str, Any]
) -> tuple[xr.Dataset, str | None]:
    """The cube, and where its rejected rows or pixels are listed."""
    read = Step(reader, "files", "raw").resolve()
    where = rejected_path(engine.path, product)
    known = {} if where is None else {"rejected": where}
    own = pair_files(source) if reader == "pairs" else raster_files(source) if reader == "raster" else [Path(source)]
    files = [path.absolute() for path in own]
    cube = read(files if reader == "pairs" or len(files) > 1 else files[0], **known, **options)
    if cube.attrs["n_rejected"]:
        keep_rejected(engine.path, product)
    return cube, None if where is None else str(where)


def _key(files: SourceFiles, reader: str, options: Mapping[str, Any], shard_points: int) -> str:
    how = {"reader": reader, "version": STEPS[reader][1], "options": by_content(options)}
    names = [file.name for file in files.paths]  # dates may stand in them
    return canonical_key(
        {"source": files.checksum, "names": names, "how": how, "shard_points": shard_points, "codec": CODEC}
    )
