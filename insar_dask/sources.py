"""What a configuration names to be read: files, folders and globs, one source a product."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from insar_dask.bucket_address import is_bucket
from insar_dask.config import Source
from insar_dask.cube import CubeError
from insar_dask.jobs.steps.cube_ingest import product_of
from insar_dask.readers.bucket_file import SourceFile
from insar_dask.readers.egms import find_egms
from insar_dask.readers.geotiff_stack import look_at
from insar_dask.readers.netcdf_stack import is_netcdf
from insar_dask.readers.recognise import files_behind, reader_of

__all__ = ["listed", "named_products"]


def listed(source: Source) -> list[SourceFile]:
    """Sources of a configuration, one a product: files, and folders and globs of rasters, each of which is one stack.

    Raises
    ------
    CubeError, FileNotFoundError
        What no reader is for; a stack whose files were named one by one; what is not there.
    """
    named = [(name, source.reader or reader_of(name)) for name in source.files]
    egms = [name for name, reader in named if reader == "egms"]
    others = [path for name, reader in named if reader != "egms" for path in _behind(name, reader)]
    stacks = [(Path(name), reader) for name, reader in named if reader in ("raster", "pairs")]
    for path, reader in stacks[1:]:
        if path.is_file() and (reader == "pairs" or _is_of_one_date(path, source.options.get("source_crs"))):
            raise CubeError(
                f"{stacks[0][0]} and {len(stacks) - 1} more rasters are named one by one, each a product: for one "
                f'stack name their folder, {path.parent}, or a glob in quotes, "{path.parent / "*"}{path.suffix}"'
            )
    return (find_egms(egms) if egms else []) + others


def named_products(source: Source) -> dict[str, SourceFile]:
    """Sources of a configuration by the names of their products, in the order of the sources.

    Raises
    ------
    CubeError, FileNotFoundError
        As `listed`; when two of them would be one product.
    """
    found = listed(source)
    files = {product_of(one): one for one in found}
    if twice := [one for one in found if files[product_of(one)] != one]:
        raise CubeError(f"{twice[0]} and {files[product_of(twice[0])]} would be one product: name only one of them")
    return files


def _is_of_one_date(path: Path, source_crs: Any) -> bool:
    return not is_netcdf(path) and look_at(path, source_crs).n_bands == 1


def _behind(name: str, reader: str) -> list[Path]:
    if is_bucket(name):
        raise CubeError(f"{name} lies in a bucket, where EGMS files alone are read: copy it here for {reader!r}")
    return [Path(name)] if reader in ("raster", "pairs") else files_behind(name) or [Path(name)]
