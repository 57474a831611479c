"""Areas of two vintages: which is which, what came, went, merged and split; names that stay."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError
from insar_dask.detect.areas import Areas, shapely_of

__all__ = ["EVENTS", "Match", "carry_ids", "check_alike", "check_order", "first_ids", "match_areas"]

OVERLAP = 0.3
"""Share of the smaller of two areas that they share, from which they are one through the years."""

EVENTS = ("same", "new", "merge", "split")

SHARED = ("cell", "reference", "rule", "component")
"""What two vintages must have been found alike in."""


class Match(NamedTuple):
    """Which areas of two vintages are one."""

    pairs: list[tuple[int, int]]
    """Numbers in the old and in the new vintage."""
    merged: list[tuple[int, int]]
    """Old areas that went up in a new one which continues another."""
    split: list[tuple[int, int]]
    """Old areas and new ones that broke off from them."""
    ended: list[int]
    new: list[int]


def match_areas(old: Areas, new: Areas) -> Match:
    """Match two vintages by what they share of the smaller area.

    Two areas that share at least 30 % of the smaller one may be one; pairs are taken by falling size of what they
    share, one to one. An old area that is left but overlaps a new one so was merged into it, a new one that is left but
    overlaps an old one so was split off. What overlaps nothing ended, or is new.

    Parameters
    ----------
    old, new : Areas
        Outlines in one CRS.

    Raises
    ------
    CubeError
        When both were found, but on other grids, by other rules or references, or lie in other CRSs; or when the
        older one is the later.
    """
    check_alike(old, new)
    shapely = shapely_of()
    links = []
    if len(old) and len(new):
        pairs = shapely.STRtree(list(new.geometry)).query(list(old.geometry), predicate="intersects")
        ones, others = np.array(old.geometry)[pairs[0]], np.array(new.geometry)[pairs[1]]
        shared = shapely.area(shapely.intersection(ones, others))
        share = shared / np.minimum(shapely.area(ones), shapely.area(others))
        links = [
            (float(size), int(a), int(b))
            for size, part, a, b in zip(shared, share, *pairs, strict=True)
            if part >= OVERLAP
        ]
    links.sort(key=lambda link: (-link[0], link[1], link[2]))
    by_old, by_new = {}, {}
    for _, a, b in links:
        if a not in by_old and b not in by_new:
            by_old[a], by_new[b] = b, a
    merged = [(a, b) for _, a, b in links if a not in by_old]
    split = [(a, b) for _, a, b in links if b not in by_new]
    seen = {a for _, a, _ in links}, {b for _, _, b in links}
    return Match(
        sorted(by_old.items()),
        _first_of(merged, 0),
        _first_of(split, 1),
        [a for a in range(len(old)) if a not in seen[0]],
        [b for b in range(len(new)) if b not in seen[1]],
    )


def first_ids(areas: Areas, scene: str, vintage: str) -> Areas:
    """Areas with the column ``area_id``: a hash of scene, first vintage and a point inside.

    Raises
    ------
    CubeError
        When two areas would have one name.
    """
    names = [_name(scene, vintage, outline) for outline in areas.geometry]
    if len(set(names)) < len(names):
        raise CubeError("two areas have the same point inside, so no names can tell them apart: leave one of them out")
    columns = {
        "area_id": np.array(names, dtype=object),
        "first_seen": np.array([vintage] * len(areas), dtype=object),
        "event": np.array(["new"] * len(areas), dtype=object),
        "parents": np.array([""] * len(areas), dtype=object),
    }
    return areas.with_columns(columns, scene=scene, vintage=vintage)


def carry_ids(old: Areas, new: Areas, vintage: str, match: Match | None = None) -> Areas:
    """Give new areas the names that they had, and names of their own to those that are new.

    Parameters
    ----------
    old : Areas
        With the columns of `first_ids` or of this.
    new : Areas
    vintage : str
        Of ``new``, such as its last date; later than that of ``old``.
    match : Match, optional
        What `match_areas` found.

    Returns
    -------
    Areas
        ``new`` with ``area_id``, ``first_seen``, ``event`` ("same", "new", "merge" where others went up in it, "split"
        where it broke off) and ``parents``, the names of those; ``ended`` among the attributes.

    Raises
    ------
    CubeError
        When ``old`` has no names, or is not the older one; what `match_areas` raises.
    """
    if "area_id" not in old.columns:
        raise CubeError("the older areas have no names: use first_ids(areas, scene, vintage)")
    check_order(old, vintage)
    match = match or match_areas(old, new)
    fresh = first_ids(new, str(old.attrs.get("scene", "")), vintage)
    columns = {name: fresh[name].copy() for name in ("area_id", "first_seen", "event", "parents")}
    for a, b in match.pairs:
        columns["area_id"][b], columns["first_seen"][b] = old["area_id"][a], old["first_seen"][a]
        columns["event"][b] = "same"
    for event, links in (("merge", match.merged), ("split", match.split)):
        for a, b in links:
            columns["event"][b] = event
            columns["parents"][b] = " ".join(filter(None, [columns["parents"][b], old["area_id"][a]]))
    return fresh.with_columns(columns, ended=[str(old["area_id"][a]) for a in match.ended])


def check_order(old: Areas, vintage: str) -> None:
    """Raise `CubeError` where a vintage is not after that of older areas."""
    before, file = str(old.attrs.get("vintage", "")), str(old.attrs.get("file", ""))
    if not before < vintage:
        where = f" of {file}" if file else ""
        raise CubeError(
            f"vintage {vintage!r} is not after {before!r}{where}: the older one was given as the newer; change them "
            "over, or give vintages names that sort as they follow each other"
        )


def check_alike(old: Areas, new: Areas) -> None:
    """Raise `CubeError` where two vintages were found otherwise, or lie in two CRSs."""
    if old.crs_wkt != new.crs_wkt:
        from pyproj import CRS

        one, other = CRS.from_user_input(old.crs_wkt), CRS.from_user_input(new.crs_wkt)
        if one != other:
            raise CubeError(
                f"{_named(old, 'the older areas')} are in {one.name}, {_named(new, 'the newer')} in {other.name}: read "
                f"one of them with read_areas(path, crs={one.to_epsg() or 'that of the other'})"
            )
    if old.attrs.get("vintage") and new.attrs.get("vintage"):
        check_order(old, str(new.attrs["vintage"]))
    for name in SHARED:
        here, there = old.attrs.get(name), new.attrs.get(name)
        if here is not None and there is not None and here != there:
            raise CubeError(
                f"the vintages differ in {name}: {here!r} and {there!r}; growth would be that of the method. Find both "
                "alike"
            )


def _named(areas: Areas, otherwise: str) -> str:
    """The file that areas came from."""
    return str(areas.attrs.get("file") or otherwise)


def _first_of(links: Sequence[tuple[int, int]], side: int) -> list[tuple[int, int]]:
    """The largest link of each area on one side: links come by falling size."""
    found: dict[int, tuple[int, int]] = {}
    for link in links:
        found.setdefault(link[side], link)
    return sorted(found.values())


def _name(scene: str, vintage: str, outline: Any) -> str:
    middle: npt.NDArray[np.float64] = np.array(shapely_of().point_on_surface(outline).coords[0])
    text = f"{scene}|{vintage}|{middle[0]:.1f}|{middle[1]:.1f}"
    return hashlib.sha256(text.encode()).hexdigest()[:10]
