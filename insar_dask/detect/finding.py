"""Moving areas on maps of motion: votes, components, outlines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.detect.areas import Areas, MapGrid, recipe_hash
from insar_dask.detect.cards import cards_of
from insar_dask.detect.labelling import Cells, Runs, join_tiles_of_runs, runs_of, tiles_of, whole_objects
from insar_dask.detect.rules import Background, Rule, background_of, evidence_of
from insar_dask.detect.windows import HALO, closed
from insar_dask.settings import whole

__all__ = ["check_background", "find_areas", "find_cells_of_areas", "recipe_of", "runs_of_window", "ways_of"]

TILE = 512


def find_areas(maps: xr.Dataset, rule: Rule | None = None, *, tile: int = TILE, **options: Any) -> Areas:
    """Outlines of ground that moves, and the evidence for each.

    Per cell the rule's votes on medians over 3 x 3 cells (`insar_dask.detect.rules`); the body of all areas closed by
    one cell; of its components (cells that meet at a side or a corner) those that hold a seed, without their holes and
    of at least ``fewest`` cells. Found tile by tile and joined over the seams: the same for any size of tiles.

    Parameters
    ----------
    maps : xr.Dataset
        Maps of motion over (y, x), as `insar_dask.detect.mapping.area_maps` makes them: ``velocity`` and
        ``velocity_std`` [mm yr-1], ``seasonality`` [mm] for thaw, and whatever else the cards shall tell.
    rule : Rule, optional
    tile : int
        Cells a side of a tile.
    **options
        Of a `Rule`, where none is given.

    Returns
    -------
    Areas
        By their first cell from north to south; their columns are those of `insar_dask.detect.cards.cards_of`.

    Raises
    ------
    CubeError
        When the maps lack what the rule asks for, or still ground whose season thaw is told by.
    ImportError
        Without shapely.
    """
    if rule is not None and options:
        raise TypeError(f"{sorted(options)} are of a rule, and one was given: say them there")
    rule = rule or Rule(**options)
    if "velocity" not in maps or maps["velocity"].dims != ("y", "x"):
        raise CubeError("wanted 'velocity' over ('y', 'x'): make maps with area_maps(motion)")
    grid, background = MapGrid.of(maps), background_of(maps, rule)
    if "seasonality" in maps:
        check_background(rule, background)
    found = find_cells_of_areas(maps, rule, background, tile)
    attrs = recipe_of(maps.attrs, rule, grid.cell, background)
    areas = Areas([grid.outline(cells) for cells in found], {}, grid.crs_wkt, attrs)
    return cards_of(areas, maps, found, rule, background)


def check_background(rule: Rule, background: Background) -> None:
    """Raise `CubeError` where a rule judges by a season that no still ground has."""
    if rule.season is not None and np.isnan(background.season):
        raise CubeError(
            f"no cell slower than {rule.body:g} mm/yr has a season, so none tells what thaw adds to it: give maps with "
            "still ground, or season=None"
        )


def recipe_of(attrs: Mapping[str, Any], rule: Rule, cell: float, background: Background) -> dict[str, Any]:
    """What the areas of maps share: where they come from, how they were found, and a hash of that."""
    recipe = {"rule": rule.to_dict(), "cell": cell, "background": list(map(float, background))}
    told = {name: str(attrs.get(name, "")) for name in ("source", "component", "reference")}
    return {**told, **recipe, "recipe": recipe_hash(recipe)}


def find_cells_of_areas(maps: xr.Dataset, rule: Rule, background: Background, tile: int = TILE) -> list[Cells]:
    """Cells of each area, by its first cell; what moves one way is no part of what moves the other."""
    side = whole("tile", tile, of="cells")
    objects = [found for way in ways_of(rule) for found in join_tiles_of_runs(_runs(maps, way, background, side))]
    return whole_objects(objects, rule.fewest)


def ways_of(rule: Rule) -> list[Rule]:
    """A rule for each way that ground may move by it: what moves one way is no part of what moves the other."""
    return [replace(rule, sign=sign) for sign in ("away", "towards")] if rule.sign == "both" else [rule]


def runs_of_window(
    maps: xr.Dataset, rule: Rule, background: Background, inner: tuple[slice, slice], top: int, left: int
) -> Runs:
    """Runs of the cells that move in the ``inner`` cells of a window of maps.

    Parameters
    ----------
    maps : xr.Dataset
        The window: `HALO` cells more than the inner ones on each side, but for the scene's edges.
    rule : Rule
        Of one way.
    background : Background
        Of the whole scene.
    inner : tuple of slice
        Rows and columns of the window that are looked at.
    top, left : int
        Row and column of the first of them in the scene.
    """
    evidence = evidence_of(maps, rule, background)
    body = evidence.body if rule.method == "paper" else closed(evidence.body)
    return runs_of(body[inner], (evidence.seed & body)[inner], top, left)


def _runs(maps: xr.Dataset, rule: Rule, background: Background, side: int) -> Iterator[Runs]:
    n_rows, n_columns = maps["velocity"].shape
    for rows, columns in tiles_of((n_rows, n_columns), side):
        top, left = max(rows.start - HALO, 0), max(columns.start - HALO, 0)
        part = maps.isel(y=slice(top, rows.stop + HALO), x=slice(left, columns.stop + HALO))
        inner = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
        yield runs_of_window(part, rule, background, inner, rows.start, columns.start)
