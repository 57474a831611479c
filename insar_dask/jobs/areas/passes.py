"""The passes of tasks over a scene that find its moving areas; between them small numbers are put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.detect.areas import Areas, MapGrid
from insar_dask.detect.cards import nearest_of
from insar_dask.detect.finding import TILE, ways_of
from insar_dask.detect.labelling import Cells, join_tiles_of_runs, whole_objects
from insar_dask.detect.rules import Background, Rule, median_season
from insar_dask.detect.terrain import check_heights
from insar_dask.detect.windows import HALO
from insar_dask.jobs.areas.scene import AreaScene
from insar_dask.jobs.areas.tasks import outlines_of, packed_cells, packed_outlines, runs_by_way
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.memory import BASE_BYTES
from insar_dask.jobs.steps.part_jobs import Arrays, Order, run_parts

__all__ = ["Passes", "Survey"]

COARSE = 600
"""Cells a side of the map that is kept to be looked at, about."""

TASKS = "insar_dask.jobs.areas.tasks"

Window = tuple[slice, slice]
"""Rows and columns of the scene's cells."""


@dataclass(frozen=True)
class Survey:
    """What all tiles of a scene come to."""

    background: Background
    velocity: npt.NDArray[np.float32]
    """Coarse map [mm/yr], rows from north to south."""
    grid: MapGrid
    """Its cells."""


@dataclass(frozen=True)
class Passes:
    """Passes over one scene by one rule.

    Parameters
    ----------
    engine : Engine
        Where tasks run, and whose store keeps what they find.
    name : str
        Of the stages, such as ``areas/scene/2023-12-30``.
    scene : AreaScene
    rule : Rule
    tile : int
        Cells a side of what one task looks at.
    years : float
        That recent rates are taken over.
    dem : str, optional
        Raster of heights.
    east : AreaScene, optional
        The same ground to the east, where this is up.
    """

    engine: Engine
    name: str
    scene: AreaScene
    rule: Rule
    tile: int = TILE
    years: float = 2.0
    dem: str | None = None
    east: AreaScene | None = None
    tiles: list[Window] = field(init=False)

    def __post_init__(self) -> None:
        """See which tiles there are."""
        object.__setattr__(self, "tiles", self.scene.tiles(self.tile))

    def survey(self) -> Survey:
        """Look over all tiles: the season of still ground, and a coarse map."""
        grid = self.scene.grid
        step = max(1, -(-max(grid.rows, grid.columns) // COARSE))
        orders = [self.scene.order(*tile) | {"coarse": step, "rule": asdict(self.rule)} for tile in self.tiles]
        parts = self._run("survey", "survey", orders, self.tiles)
        shape = -(-grid.rows // step), -(-grid.columns // step)
        sums, numbers, seasons = np.zeros(shape), np.zeros(shape), []
        for part in parts:
            (top, left), (rows, columns) = part["first"], part["sums"].shape
            sums[top : top + rows, left : left + columns] += part["sums"]
            numbers[top : top + rows, left : left + columns] += part["numbers"]
            seasons.append({name: part[name] for name in ("amplitudes", "counts")})
        with np.errstate(invalid="ignore"):
            velocity = (sums / np.where(numbers > 0, numbers, np.nan)).astype(np.float32)
        coarse = MapGrid(grid.west, grid.north, grid.cell * step, *shape, grid.crs_wkt)
        return Survey(median_season(seasons), velocity, coarse)

    def find(self, background: Background) -> list[Cells]:
        """Cells of each area, joined over the seams of tiles."""
        orders = []
        for rows, columns in self.tiles:
            size = [rows.stop - rows.start, columns.stop - columns.start]
            order = self.scene.order(rows, columns, HALO)
            orders.append({**order, "first": [rows.start, columns.start], "size": size, **self._judged(background)})
        parts, objects = self._run("find", "find", orders, self.tiles), []
        for way in ways_of(self.rule):
            objects += join_tiles_of_runs(runs_by_way(part, way.sign) for part in parts)
        return whole_objects(objects, self.rule.fewest)

    def tell(self, cells: Sequence[Cells], background: Background, given: Areas | None = None) -> Areas:
        """Areas with their outlines, unless these were given, and their cards; as many in a task as begin in a tile."""
        batches: dict[tuple[int, int], list[int]] = {}
        for number, mine in enumerate(cells):
            batches.setdefault((int(mine.row[0]) // self.tile, int(mine.column[0]) // self.tile), []).append(number)
        windows = [_window([cells[k] for k in batch]) for batch in batches.values()]
        orders = [
            self._batch(cells, batch, window, background, given)
            for batch, window in zip(batches.values(), windows, strict=True)
        ]
        parts = self._run("cards", "tell", orders, windows)
        outlines: list[Any] = [None] * len(cells)
        columns: dict[str, npt.NDArray[Any]] = {}
        for batch, part in zip(batches.values(), parts, strict=True):
            for number, outline in zip(batch, outlines_of(part), strict=True):
                outlines[number] = outline
            _fill(columns, part, batch, len(cells))
        columns["nearest_m"] = nearest_of(outlines)
        known = {} if given is None else given.columns
        return Areas(outlines, {**known, **columns}, self.scene.grid.crs_wkt)

    def _batch(
        self, cells: Sequence[Cells], batch: list[int], window: Window, background: Background, given: Areas | None
    ) -> Order:
        """What a task is told of some areas: their cells as a state, and a window that holds them all."""
        mine = [cells[k] for k in batch]
        state = packed_cells(mine)
        if given is not None:
            state |= packed_outlines([given.geometry[k] for k in batch])
        rows, columns = window
        east = None if self.east is None else self.east.order(rows, columns, HALO, self.scene)
        return {
            **self.scene.order(rows, columns, HALO),
            **self._judged(background),
            "state": self.engine.ledger.write_state(state),
            "years": self.years,
            "dem": None if self.dem is None else _look(self.dem),
            "east": east,
        }

    def _judged(self, background: Background) -> Order:
        season = None if np.isnan(background.season) else background.season
        return {"rule": asdict(self.rule), "background": season}

    def _run(self, what: str, work: str, orders: Sequence[Order], windows: Sequence[Window]) -> list[Arrays]:
        most, boxes = max(map(_memory, orders), default=0), np.array([self._box(*window) for window in windows])
        stage, work = f"{self.name}/{what}", f"{TASKS}:{work}"
        return list(run_parts(self.engine, stage, work, orders, step="find_areas", memory=most, boxes=boxes))

    def _box(self, rows: slice, columns: slice) -> tuple[float, float, float, float]:
        """West, south, east and north of a window, without its halo [m]."""
        grid = self.scene.grid
        west, south = grid.west + columns.start * grid.cell, grid.north - rows.stop * grid.cell
        return west, south, grid.west + columns.stop * grid.cell, grid.north - rows.start * grid.cell


def _window(cells: Sequence[Cells]) -> Window:
    """Rows and columns that hold all cells of some areas."""
    rows, columns = (
        slice(int(min(one[axis].min() for one in cells)), int(max(one[axis].max() for one in cells)) + 1)
        for axis in (0, 1)
    )
    return rows, columns


def _fill(columns: dict[str, npt.NDArray[Any]], part: Mapping[str, npt.NDArray[Any]], batch: list[int], n: int) -> None:
    """Put what a task told of some areas into the columns of all; what it did not tell of them stays unknown."""
    for key, values in part.items():
        if not key.startswith("column_"):
            continue
        name, text = key.removeprefix("column_"), values.dtype.kind == "U"
        if name not in columns:
            unknown: Any = "" if text else np.nan if values.dtype.kind == "f" else 0
            columns[name] = np.full(n, unknown, object if text else values.dtype)
        columns[name][batch] = values


def _look(path: str) -> dict[str, Any]:
    """A file as it lies there."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no terrain model {path}: give a raster of heights, or none")
    check_heights(path)
    found = Path(path).stat()
    return {"path": str(Path(path).absolute()), "size": found.st_size, "changed": found.st_mtime_ns}


def _memory(order: Mapping[str, Any]) -> int:
    """Maps of the window twice, as votes take copies; and shards that are read one by one."""
    top, bottom, left, right = order["window"]
    maps = (bottom - top) * (right - left) * 4 * (len(order["names"]) + 3)
    return int(BASE_BYTES + 4 * maps + order["most_points"] * 8 * (len(order["names"]) + 30))
