"""Open a cube of a store: a whole one, unless what there is of it is asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import xarray as xr
from zarr.abc.store import Store

from insar_dask.cube import CubeError
from insar_dask.jobs.receipts import Ledger, Receipt
from insar_dask.objects import get_bytes, list_names, open_store
from insar_dask.shard_store import shard_sizes
from insar_dask.shards import shard_axis
from insar_dask.store import open_group, products, shard_plan
from insar_dask.tiling.checking import check_tiles

__all__ = ["TILES", "open_cube", "open_tiles", "tiles_group"]

TILES = "tiles"
"""Where the tile cubes of a store lie, each under its component."""


def open_cube(path: str | Path | Store, group: str | None = None, *, partial: bool = False) -> xr.Dataset:
    """Open a cube of a store, lazily.

    Parameters
    ----------
    path : str, Path or zarr Store
        The store.
    group : str, optional
        Such as ``"SITE/raw"``; default: the raw cube of the only product in the store.
    partial : bool
        Open a cube that is not done: the points of the shards that are, and ``attrs["incomplete"]`` saying so.

    Returns
    -------
    xr.Dataset
        Point cube; one Dask chunk a shard.

    Raises
    ------
    FileNotFoundError
        When there is no store.
    CubeError
        When the store holds several products and none was named, or no such group, or when shards of it lack their
        receipts (a run was killed, or is at work) or bytes of theirs (it was copied in part). Bytes are counted where
        the store is a folder, and looked at by `insar-dask verify` alone.
    """
    store = open_store(path)
    if get_bytes(store, "zarr.json") is None:
        raise FileNotFoundError(f"{path} is not a store; make one with insar_dask.save or `insar-dask ingest`")
    names = products(store)
    if group is None:
        if len(names) != 1:
            raise CubeError(f"{path} holds {len(names)} products, name one of: {[f'{name}/raw' for name in names]}")
        group = f"{names[0]}/raw"
    if get_bytes(store, f"{group}/zarr.json") is None:
        raise CubeError(f"{path} has no group {group!r}; its products are {names}")
    return _done_part(store, group, path, partial=partial)


def open_tiles(path: str | Path | Store, group: str | None = None, *, partial: bool = False) -> xr.Dataset:
    """Open a tile cube of a store, lazily.

    Parameters
    ----------
    path : str, Path or zarr Store
        The store.
    group : str, optional
        Such as ``"tiles/up"``; default: the only tile cube in the store.
    partial : bool
        Open one that is not done: its finished tiles, and ``attrs["incomplete"]`` saying so.

    Returns
    -------
    xr.Dataset
        Tile cube as `insar_dask.rasterise` has it; a Dask chunk is 32 dates of a tile of 64 x 64 cells.

    Raises
    ------
    FileNotFoundError, CubeError
        As `open_cube`.
    """
    store = open_store(path)
    group = tiles_group(path, group)
    return check_tiles(_done_part(store, group, path, partial=partial))


def tiles_group(path: str | Path | Store, group: str | None = None) -> str:
    """The tile cube that is meant, as for `open_tiles`."""
    store = open_store(path)
    if get_bytes(store, "zarr.json") is None:
        raise FileNotFoundError(f"{path} is not a store; make one with insar_dask.save_tiles or `insar-dask tiles`")
    names = [f"{TILES}/{name}" for name in list_names(store, TILES) if get_bytes(store, f"{TILES}/{name}/zarr.json")]
    if group is None:
        if len(names) != 1:
            raise CubeError(f"{path} holds {len(names)} tile cubes, name one of: {names}")
        group = names[0]
    if get_bytes(store, f"{group}/zarr.json") is None:
        raise CubeError(f"{path} has no group {group!r}; its tile cubes are {names}")
    return group


def _done_part(store: Store, group: str, path: str | Path | Store, *, partial: bool) -> xr.Dataset:
    plan = shard_plan(store, group)
    receipts = {index: receipt for index, receipt in Ledger(store).done(group).items() if index < plan.n_shards}
    stored = shard_sizes(store, group, receipts)
    done = [index for index, receipt in receipts.items() if stored.get(index, receipt.size) == receipt.size]
    if len(done) == plan.n_shards:
        return open_group(store, group, _revision(receipts.values()))
    came = f"{len(done)} of {plan.n_shards} shards"
    if not partial:
        raise CubeError(
            f"{group} of {path} is not whole: {came} are done. Run what makes it again: it goes on where it was "
            "(`insar-dask status` and `verify` say more); or take what there is with open_cube(..., partial=True)"
        )
    cube = open_group(store, group, _revision(receipts[index] for index in done))
    # joined slices keep one chunk a shard, where a list of points would cut them anew
    axis = str(shard_axis(cube.dims))
    parts = [cube.isel({axis: plan.slice(index)}) for index in done] or [cube.isel({axis: slice(0)})]
    joined = xr.concat(parts, axis, data_vars="minimal", coords="minimal", compat="override", join="override")
    return joined.assign_attrs(incomplete=came)


def _revision(receipts: Iterable[Receipt]) -> str:
    """Hash of what some shards hold, as their receipts say: nothing else is read."""
    digest = hashlib.sha256()
    for receipt in receipts:
        digest.update(f"{receipt.index} {receipt.checksum}\n".encode())
    return digest.hexdigest()
