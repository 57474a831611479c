"""Which cubes can be brought together to east and up: checked at the door."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.zeros import CURE

__all__ = ["check_cells", "check_cubes", "check_ways"]


def check_cubes(cubes: Sequence[xr.Dataset]) -> None:
    """Raise `CubeError` where cubes are not lines of sight in one CRS."""
    if len(cubes) < 2:
        came = ", ".join(map(_name, cubes))
        raise CubeError(f"east and up take an ascending and a descending track; {len(cubes)} cube came: {came}")
    for cube in cubes:
        if cube.attrs.get("component") != "los":
            raise CubeError(
                f"{_name(cube)} is component {cube.attrs.get('component')!r}, wanted lines of sight ('los'): east and "
                "up are there already, or cannot be had"
            )
        if not str(cube.attrs.get("positive", "")).startswith("towards"):
            raise CubeError(
                f"{_name(cube)} is positive {cube.attrs.get('positive')!r}, wanted 'towards the satellite': turn the "
                "sign of displacement, and set attrs['positive']"
            )
    first = cubes[0]
    for cube in cubes[1:]:
        here, there = (str(c["crs"].attrs["crs_wkt"]) for c in (first, cube))
        if here != there:
            from pyproj import CRS

            one, other = CRS.from_wkt(here), CRS.from_wkt(there)
            if one != other:
                raise CubeError(
                    f"{_name(first)} is in {one.name}, {_name(cube)} in {other.name}: read one of them again with "
                    f"crs={one.to_epsg() or 'that of the other'}"
                )


def check_ways(ways: Sequence[bool], cubes: Sequence[xr.Dataset]) -> None:
    """Raise `CubeError` where all tracks look the same way; ``ways`` says which of them are ascending."""
    if len(set(ways)) == 1:
        way = "west (ascending)" if ways[0] else "east (descending)"
        names = ", ".join(_name(cube) for cube in cubes)
        raise CubeError(
            f"{names}: all look from the {way}, so that east and up cannot be told apart; add a track of the other pass"
        )


def check_cells(n_cells: int, boxes: Sequence[Sequence[float]], cubes: Sequence[xr.Dataset], n_later: int = 0) -> None:
    """Raise `CubeError` where there is no cell, saying where the tracks lie: west, south, east and north of each.

    ``n_later`` points were left out because they begin later than their record.
    """
    if n_cells:
        return
    if n_later:
        raise CubeError(
            "no cell holds points of both an ascending and a descending track that have a value at the first date of "
            f"their record; {n_later:,} points have none, and count displacement from dates of their own: {CURE}"
        )
    told = [
        f"{_name(cube)} ({', '.join(f'{edge:.0f}' for edge in box)})" for cube, box in zip(cubes, boxes, strict=True)
    ]
    raise CubeError(
        "no cell holds points of both an ascending and a descending track; west, south, east, north are "
        f"{'; '.join(told)}: take tracks that overlap, larger cells, or another extent"
    )


def _name(cube: xr.Dataset) -> str:
    return f"track {cube.attrs.get('track')} {cube.attrs.get('pass', '')} ({cube.attrs.get('source', 'no source')})"
