"""Stored products whose motion makes one map: where their shards lie, and what still ground of each says."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from insar_dask.addresses import address
from insar_dask.cube import CubeError
from insar_dask.detect.areas import MapGrid, shapely_of
from insar_dask.detect.errors import floor_of, sum_errors, velocity_errors
from insar_dask.detect.mapping import check_alike, grid_of, side_of
from insar_dask.jobs.engine import Engine, str_path
from insar_dask.jobs.holding.lock import owned
from insar_dask.jobs.lineage import is_current, require_current
from insar_dask.jobs.recipe import Stage, Step
from insar_dask.jobs.steps.tile_jobs import TileSource, tile_sources
from insar_dask.settings import positive
from insar_dask.store import open_group, products

__all__ = ["AreaScene", "Product", "area_sources", "look_at"]

Float64 = npt.NDArray[np.float64]

SERIES = ("raw", "forecast", "outlook")
"""Stages of a product that cards are told from besides its motion; those it lacks, or that are of other displacement
than is stored now, are not told of."""

TOLD = (
    "velocity", "seasonality", "phase", "acceleration", "acceleration_std", "coherence", "rmse", "height",
)  # fmt: skip
"""What rules and cards look at, besides the error of the velocity."""

MOST_CELLS = 1e12
"""Of a scene, which is never in memory whole: a square of 30,000 km in cells of 30 m."""


@dataclass(frozen=True)
class Product:
    """A product of a scene; every list goes by its shards."""

    path: Any
    name: str
    boxes: Float64
    """(n, 4) west, south, east, north of the points [m]."""
    checksums: Mapping[str, Sequence[str]]
    """Of ``products``, ``errors`` and what there is of `SERIES`."""
    floor: float
    """Smallest error of a velocity [mm/yr]."""
    last_date: str
    shard_points: int


class _Index(NamedTuple):
    """Boxes of all shards of a scene, and whose they are."""

    tree: Any
    product: npt.NDArray[np.int64]
    shard: npt.NDArray[np.int64]
    most_points: int


@dataclass(frozen=True)
class AreaScene:
    """Products of one component, pass, reference and CRS."""

    products: tuple[Product, ...]
    grid: MapGrid
    names: tuple[str, ...]
    """Numbers over ``point`` that all products have."""
    attrs: Mapping[str, Any]

    @property
    def last_date(self) -> str:
        """The latest of all products."""
        return max(product.last_date for product in self.products)

    def tiles(self, side: int) -> list[tuple[slice, slice]]:
        """Rows and columns of the tiles that hold a shard's points, or some of it."""
        found = set()
        for product in self.products:
            for (top, bottom), (left, right) in zip(*self._spans(product.boxes, side), strict=True):
                found |= {(row, column) for row in range(top, bottom + 1) for column in range(left, right + 1)}
        return [
            (_run(row, side, self.grid.rows), _run(column, side, self.grid.columns)) for row, column in sorted(found)
        ]

    def order(self, rows: slice, columns: slice, halo: int = 0, cells_of: AreaScene | None = None) -> dict[str, Any]:
        """What a task is told of a window with a halo of cells; ``cells_of`` another scene whose cells they are."""
        whole = (cells_of or self).grid
        top, left = max(rows.start - halo, 0), max(columns.start - halo, 0)
        bottom, right = min(rows.stop + halo, whole.rows), min(columns.stop + halo, whole.columns)
        parts = self._within(whole.window(slice(top, bottom), slice(left, right)))
        return {
            "window": [top, bottom, left, right],
            "products": parts,
            "names": list(self.names),
            "most_points": self._index.most_points,
            "scene": [whole.west, whole.north, whole.cell, whole.rows, whole.columns, whole.crs_wkt],
            "attrs": {name: self.attrs.get(name) for name in ("component", "positive", "reference", "source")},
        }

    def _within(self, grid: MapGrid) -> list[dict[str, Any]]:
        """Products that have points on a grid, each with the shards that do: numbers, and checksums by stage."""
        east, south = grid.west + grid.columns * grid.cell, grid.north - grid.rows * grid.cell
        found = np.sort(self._index.tree.query(shapely_of().box(grid.west, south, east, grid.north)))
        parts: dict[int, dict[str, Any]] = {}
        for number, shard in zip(self._index.product[found].tolist(), self._index.shard[found].tolist(), strict=True):
            product = self.products[number]
            told = {"path": product.path, "name": product.name, "floor": product.floor, "shards": []}
            sums = {stage: of[shard] for stage, of in product.checksums.items()}
            parts.setdefault(number, told)["shards"].append([shard, sums])
        return list(parts.values())

    @cached_property
    def _index(self) -> _Index:
        """Made once: a scene of 1,500 products is asked thousands of times which shards lie where."""
        numbers = [len(product.boxes) for product in self.products]
        return _Index(
            shapely_of().STRtree(shapely_of().box(*np.concatenate([product.boxes for product in self.products]).T)),
            np.repeat(np.arange(len(numbers)), numbers),
            np.concatenate([np.arange(n) for n in numbers]),
            max(product.shard_points for product in self.products),
        )

    def _spans(self, boxes: Float64, side: int) -> tuple[list[list[int]], list[list[int]]]:
        """First and last row, and column, of the tiles that each shard's points lie in."""
        grid = self.grid
        west, north = round(grid.west / grid.cell), round(grid.north / grid.cell) - 1
        # as `maps_on` counts them: a point on the edge of two cells lies in the one to the north and east of it
        rows = (north - np.floor(boxes[:, [3, 1]] / grid.cell)).astype(np.int64) // side
        columns = (np.floor(boxes[:, [0, 2]] / grid.cell) - west).astype(np.int64) // side
        return rows.tolist(), columns.tolist()


def area_sources(engine: Engine, names: Sequence[str]) -> list[TileSource]:
    """Products of an engine's store by their names, and of others by ``STORE`` or ``STORE/PRODUCT``.

    Raises
    ------
    CubeError
        When none is named, or one twice.
    FileNotFoundError
        When one is nowhere.
    """
    if not names:
        raise CubeError("no product was named to find areas on")
    own = set(products(engine.store))
    found: list[TileSource] = []
    for name in names:
        found += [TileSource(str_path(engine.path), f"{name}/raw")] if name in own else _elsewhere(name, own)
    told = [(address(source.path), source.group) for source in found]
    if len(set(told)) < len(told):
        raise CubeError(f"a product is named twice among {sorted(group.removesuffix('/raw') for _, group in told)}")
    return found


def look_at(engine: Engine, sources: Sequence[TileSource], cell: float | None) -> AreaScene:
    """Errors of the velocities of all products, as chunk jobs in the stores of each; then what they have in common.

    Raises
    ------
    CubeError
        When they are no one map, or a record is too short to be halved.
    JobError
        When motion parameters are missing, or of other displacement than is stored now.
    """
    groups = [(source.path, source.group.removesuffix("/raw")) for source in sources]
    motions = []
    for path, name in groups:
        with _at(engine, path) as own:
            require_current(own, f"{name}/products")
        motions.append(open_group(path, f"{name}/products"))
    check_alike(motions)
    summed = []
    for path, name in groups:
        with _at(engine, path) as own:
            summed.append(_summed(own, name))
    parts = [part for of_product in summed for part in of_product]
    side = side_of(parts) if cell is None else positive("cell", cell, of="metres")
    boxes = np.array([part["box"] for part in parts])
    box = [*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)]
    grid = grid_of(box, side, str(motions[0]["crs"].attrs.get("crs_wkt", "")), MOST_CELLS)
    sources_told = dict.fromkeys(str(motion.attrs.get("source", "")) for motion in motions)
    attrs = {**motions[0].attrs, "source": ", ".join(sources_told)}
    names = tuple(name for name in TOLD if all(name in motion.variables for motion in motions))
    return AreaScene(tuple(map(_product, groups, summed)), grid, names, attrs)


def _elsewhere(name: str, own: Collection[str]) -> list[TileSource]:
    try:
        return tile_sources(name)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"the store has no product {name}, it has {sorted(own)}; and {error}") from error


def _run(number: int, side: int, most: int) -> slice:
    return slice(number * side, min((number + 1) * side, most))


def _summed(engine: Engine, name: str) -> list[dict[str, npt.NDArray[Any]]]:
    """What the series of a product tell of its velocities, and what its shards add up to."""
    steps = Step(velocity_errors.__name__, "raw", "errors"), Step(sum_errors.__name__, "errors", "sums")
    saves = {"errors": f"{name}/errors", "sums": f"jobs/partials/{name}/velocity-errors"}
    engine.run(Stage(f"{name}/errors", f"{name}/raw", steps, saves))
    return list(engine.partials(saves["sums"]))


def _product(group: tuple[Any, str], sums: Sequence[Mapping[str, npt.NDArray[Any]]]) -> Product:
    path, name = group
    engine = Engine(path, quiet=True)
    stages = ["products", "errors", *(stage for stage in SERIES if is_current(engine, f"{name}/{stage}", _leave_out))]
    checksums = {stage: [r.checksum for r in engine.require(f"{name}/{stage}").values()] for stage in stages}
    # what somebody saved may be cut otherwise
    checksums = {stage: every for stage, every in checksums.items() if len(every) == len(checksums["products"])}
    last = str(open_group(path, f"{name}/raw")["time"].values[-1])[:10]
    points = max(int(part["n"]) for part in sums)
    return Product(path, name, np.array([part["box"] for part in sums]), checksums, floor_of(sums), last, points)


def _leave_out(why: str) -> None:
    warnings.warn(f"not on the cards of areas: {why}", stacklevel=2)


@contextmanager
def _at(engine: Engine, path: str | Path | Any) -> Iterator[Engine]:
    """The engine of a store: the one that works, or for a while another on the same cluster."""
    if address(path) == address(engine.path):
        yield engine
        return
    with owned(path), Engine(path, engine.client, engine.threads, quiet=engine.quiet) as other:
        yield other
