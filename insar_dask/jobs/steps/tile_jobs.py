"""Many tiles to one tile cube of a store: one tile is one rasterising job and one shard."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import numpy as np
import xarray as xr
from zarr.abc.store import Store

from insar_dask.addresses import parent_address
from insar_dask.cube import CubeError, check_cube
from insar_dask.jobs.engine import Engine, StageReport, str_path
from insar_dask.jobs.groups import make_group
from insar_dask.jobs.holding.lock import owned
from insar_dask.jobs.memory import check_memory, tile_memory
from insar_dask.jobs.progress.watch import watched
from insar_dask.jobs.receipts import Ledger, Receipt
from insar_dask.jobs.recipe import STEPS, canonical_key
from insar_dask.layout import CODEC
from insar_dask.machine import one_blas_thread
from insar_dask.objects import get_bytes, open_store
from insar_dask.shard_store import checksum_block, write_block
from insar_dask.shards import ShardPlan
from insar_dask.store import newest_products, open_group, shard_plan
from insar_dask.tiling.checking import check_alike
from insar_dask.tiling.rasterising import map_tile, provided_by, square_of, tile_cube
from insar_dask.tiling.squares import Square, tile_name
from insar_dask.zeros import begin_later

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["TileSource", "is_stored", "save_tiles", "store_tiles", "tile_sources"]

Extents = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class TileSource:
    """A stored point cube that becomes a tile."""

    path: str | Store
    group: str


def is_stored(path: str | Path) -> bool:
    """Whether a path is a store or a product in one, not a file to read."""
    store = open_store(path)
    return any(get_bytes(store, f"{part}zarr.json") is not None for part in ("", "raw/"))


def tile_sources(path: str | Path | Store) -> list[TileSource]:
    """Cubes behind a path: the newest products of a store, or the one product that ``STORE/PRODUCT`` names.

    Raises
    ------
    FileNotFoundError
        When there is no store, or no product in it.
    """
    if not isinstance(path, Store) and get_bytes(open_store(path), "raw/zarr.json") is not None:
        parent, name = parent_address(path)
        return [TileSource(parent, f"{name}/raw")]
    found = [TileSource(str_path(path), f"{name}/raw") for name in newest_products(path)]
    if not found:
        raise FileNotFoundError(f"{path} is no store with products; make one with `insar-dask ingest FILES {path}`")
    return found


def save_tiles(
    sources: str | Path | Iterable[str | Path],
    path: str | Path,
    group: str | None = None,
    *,
    pixels: int = 256,
    cells: int = 64,
    extents: Extents | None = None,
    client: Client | None = None,
    quiet: bool = False,
) -> str:
    """Rasterise stored cubes, each into a tile of one stored tile cube; tiles that a killed call finished are kept.

    Parameters
    ----------
    sources : path or iterable of paths
        Stores, of which all products are taken, or ``STORE/PRODUCT``.
    path : str or Path
        The store, made when absent; it may be one of the sources.
    group : str, optional
        Default: ``tiles/COMPONENT``.
    pixels, cells : int
        As of `insar_dask.rasterise`.
    extents : mapping, optional
        Tile -> extent, as of `insar_dask.rasterise`.
    client : distributed.Client, optional
        Rasterise there; default: in this process.
    quiet : bool
        No progress bar.

    Returns
    -------
    str
        The group. Tiles are in order of their names; one more or less makes another cube, and all are made anew. It
        has maps of the provider's columns where all tiles have them.

    Raises
    ------
    CubeError
        When tiles have the same name, overlap, or differ in size, CRS, dates, component or release; what `rasterise`
        says of a tile.
    JobError
        When a source is not whole.
    """
    many = [sources] if isinstance(sources, str | Path) else list(sources)
    with owned(path), Engine(path, client, quiet=quiet) as engine:
        found = [source for one in many for source in tile_sources(one)]
        return store_tiles(engine, found, group, pixels=pixels, cells=cells, extents=extents).stage


def store_tiles(
    engine: Engine,
    sources: Sequence[TileSource],
    group: str | None = None,
    *,
    pixels: int = 256,
    cells: int = 64,
    extents: Extents | None = None,
) -> StageReport:
    """As `save_tiles`, where an engine works already; the report's ``stage`` is the group."""
    began = time.perf_counter()
    tiles = _looked_at(sources, pixels, cells, extents or {})
    first = next(iter(tiles.values()))
    group = group or f"tiles/{first.cube.attrs['component']}"
    plan = ShardPlan(len(tiles), 1)
    make_group(engine.ledger, group, _template(tiles), plan)
    keys = {index: tile.key() for index, tile in enumerate(tiles.values())}
    engine.ledger.supersede(group, keys)
    pending = sorted(engine.stale(group, keys))
    chosen = list(tiles.values())
    for index in pending:
        check_memory(f"rasterising {chosen[index].name}", chosen[index].memory(), engine.client)

    def task(index: int, _wanted: Mapping[str, str]) -> tuple[Any, ...]:
        return str_path(engine.path), group, index, plan, chosen[index].order(), keys[index]

    wanted = {index: {"tile": keys[index]} for index in pending}
    with watched(engine, group, plan, pending, [group], group) as progress:
        made = engine.settle(group, {"tile": group}, wanted, map_shard, task, progress, (CubeError,))
    counts = len(pending), sum(r.points for r in made.values()), sum(r.size for r in made.values())
    return engine.report(StageReport(group, plan.n_shards, *counts, time.perf_counter() - began))


def map_shard(
    path: str | Path | Store,
    group: str,
    index: int,
    plan: ShardPlan,
    order: Mapping[str, Any],
    key: str,
) -> list[Receipt]:
    """Rasterise one tile on this thread, from a source that holds what its receipts say, and write it."""
    began, store, source = time.perf_counter(), open_store(path), TileSource(*order["source"])
    for shard, checksum in enumerate(order["checksums"]):
        if checksum_block(open_store(source.path), source.group, shard)[0] != checksum:
            raise CubeError(
                f"tile {order['name']}: shard {shard} of {source.group} in {source.path} does not hold the bytes of "
                "its receipt: read or save it again, which rebuilds what is damaged"
            )
    cube = open_group(source.path, source.group)
    with one_blas_thread():
        tile = map_tile(cube, order["name"], Square(**order["square"]), scheduler="synchronous")
    claim = Ledger(store).check_free(group, index, key)
    stored = write_block(store, group, plan, index, tile)
    receipt = Receipt.sign(index, key, stored, cube.sizes["point"], began)
    Ledger(store).write(group, receipt, claim)
    return [receipt]


@dataclass(frozen=True)
class _Tile:
    """A source as it was found: its cube, whole, and the square it is mapped to."""

    name: str
    source: TileSource
    cube: xr.Dataset
    square: Square
    checksums: tuple[str, ...]
    n_later: int
    """Points that are left out because they begin later than their record."""

    def order(self) -> dict[str, Any]:
        """What a task is told of it."""
        source = self.source.path, self.source.group
        return {"name": self.name, "source": source, "square": asdict(self.square), "checksums": self.checksums}

    def key(self) -> str:
        what = {"input": self.checksums, "tile": self.name, "square": asdict(self.square)}
        return canonical_key({**what, "version": STEPS["rasterise"][1], "codec": CODEC})

    def memory(self) -> int:
        n_points, n_dates = self.cube.sizes["point"], self.cube.sizes["time"]
        shard = shard_plan(open_store(self.source.path), self.source.group).shard
        return tile_memory(n_points, n_dates, min(shard, n_points), self.square.cells**2, self.square.pixels**2)


def _looked_at(sources: Sequence[TileSource], pixels: int, cells: int, extents: Extents) -> dict[str, _Tile]:
    """Tiles by name, in order of their names; all that is wrong with them together is said before any work."""
    tiles: dict[str, _Tile] = {}
    for source in sources:
        receipts = Engine(source.path, quiet=True).require(source.group)
        cube = check_cube(open_group(source.path, source.group))
        name = tile_name(cube)
        if name in tiles:
            one, other = (f"{s.group} of {s.path}" for s in (tiles[name].source, source))
            raise CubeError(f"{one} and {other} are both tile {name}: name only one of them")
        with dask.config.set(scheduler="threads"):  # here: a worker may be too small for the tile that is asked for
            square = square_of(cube, name, pixels, cells, extents.get(name))
            n_later = int(begin_later(cube).sum())
        checksums = tuple(receipt.checksum for receipt in receipts.values())
        tiles[name] = _Tile(name, source, cube, square, checksums, n_later)
    if not tiles:
        raise CubeError("no tile was named: give stores that hold products, or STORE/PRODUCT")
    if strange := set(extents) - set(tiles):
        raise CubeError(f"extents are given for {sorted(strange)}, which are none of the tiles {sorted(tiles)}")
    tiles = dict(sorted(tiles.items()))
    check_alike({n: t.cube for n, t in tiles.items()}, {n: t.square.extent for n, t in tiles.items()})
    return tiles


def _template(tiles: Mapping[str, _Tile]) -> xr.Dataset:
    """A tile cube of the first tile, without its values, that says what all of them are."""
    first = next(iter(tiles.values()))
    maps = np.zeros((first.square.cells**2, first.cube.sizes["time"]))
    common = set.intersection(*(set(provided_by(tile.cube)) for tile in tiles.values()))
    template = tile_cube(
        first.cube, first.name, first.square, maps, maps > 0, dict.fromkeys(sorted(common), maps[:, 0]),
        sum(tile.n_later for tile in tiles.values()),
    )  # fmt: skip
    return template.assign_attrs(sources=[str(tile.cube.attrs.get("source", n)) for n, tile in tiles.items()])
