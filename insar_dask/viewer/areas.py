"""Moving areas that a store keeps, as the page draws them: rings in steps of the map, and their evidence."""

from __future__ import annotations

import math
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from zarr.abc.store import Store

from insar_dask.cube import CubeError
from insar_dask.jobs.areas.stored import require_unchanged
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.progress.job_errors import LackingError
from insar_dask.jobs.receipts import Ledger
from insar_dask.viewer.survey import Tell

__all__ = ["current_scenes", "shown_areas"]

NOTES = "jobs/areas/"
DECIMETRE = 0.1
POLYGON, MULTIPOLYGON = 3, 6

Ring = list[int]


def current_scenes(engine: Engine, tell: Tell = lambda _: None) -> list[str]:
    """Scenes whose latest areas are of the displacement that is stored now; ``tell`` gets why others are left out."""
    found = []
    for scene, vintage in _latest(engine.ledger).items():
        try:
            require_unchanged(engine, scene, vintage)
        except (LackingError, FileNotFoundError) as error:
            tell(f"left out: {error}")
        else:
            found.append(scene)
    return found


def shown_areas(
    store: Store,
    product: str,
    wkt: str,
    extent: Sequence[float],
    offset: Sequence[float],
    scenes: Collection[str] | None = None,
) -> list[dict[str, Any]]:
    """Areas of the latest vintage of some scenes, or of all, found on a product, in its CRS, that meet its extent.

    A scene that does not say what it was found on is shown on every product of its CRS.

    Returns
    -------
    list of dict
        ``scene``, ``vintage``, ``rule``, ``component``; ``areas``: ``rings`` ([e, n, e, n, ...] in 0.1 m from the
        offset; outer rings and holes alike, as an even-odd filling has them) and ``card``, the columns of
        `insar_dask.jobs.areas.stored.stored_areas`.

    Raises
    ------
    CubeError
        When what is kept of them is no areas.
    """
    ledger = Ledger(store)
    found = []
    for scene, vintage in _latest(ledger).items():
        note = ledger.read_note(f"areas/{scene}/{vintage}") if scenes is None or scene in scenes else None
        if note is None or product not in note.get("products", [product]) or not _alike(note.get("crs_wkt"), wkt):
            continue
        try:
            areas, attrs = _areas(note, extent, offset), note["attrs"]
        except (KeyError, IndexError, TypeError, ValueError, struct.error) as error:
            raise CubeError(
                f"jobs/areas/{scene}/{vintage}.json holds no areas ({error}); `insar-dask areas` finds them anew"
            ) from error
        shared = {"rule": attrs.get("rule"), "component": str(attrs.get("component", ""))}
        if areas:
            found.append({"scene": scene, "vintage": vintage, **shared, "areas": areas})
    return found


def _alike(one: Any, other: str) -> bool:
    """Whether two texts are of one CRS, however it is written."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    if one == other:
        return True
    try:
        return bool(CRS.from_wkt(str(one)) == CRS.from_wkt(other))
    except CRSError:
        return False


def _areas(note: Mapping[str, Any], extent: Sequence[float], offset: Sequence[float]) -> list[dict[str, Any]]:
    columns = {name: values for name, (_, values) in note["columns"].items()}
    return [
        {"rings": rings, "card": {name: _json(values[k]) for name, values in columns.items()}}
        for k, text in enumerate(note["outlines"])
        if _meets(rings := [_steps(ring, offset) for ring in _rings(bytes.fromhex(text))], extent, offset)
    ]


def _latest(ledger: Ledger) -> dict[str, str]:
    """Scene -> its last vintage; vintages sort as they follow each other."""
    names = sorted(key[len(NOTES) : -len(".json")] for key in ledger.notes() if key.startswith(NOTES))
    return {scene: vintage for scene, _, vintage in (name.partition("/") for name in names) if vintage}


def _rings(data: bytes) -> Iterator[list[tuple[float, float]]]:
    """Rings of a polygon, or of several, in well-known bytes."""
    yield from _polygons(data, 0)[0]


def _polygons(data: bytes, at: int) -> tuple[list[list[tuple[float, float]]], int]:
    order = "<" if data[at] else ">"
    kind, count = struct.unpack_from(f"{order}II", data, at + 1)
    at += 9
    rings: list[list[tuple[float, float]]] = []
    if kind not in (POLYGON, MULTIPOLYGON):
        raise ValueError(f"an outline is of kind {kind}, and no polygon")
    for _ in range(count):
        if kind == MULTIPOLYGON:
            more, at = _polygons(data, at)
            rings += more
            continue
        (n,) = struct.unpack_from(f"{order}I", data, at)
        flat = struct.unpack_from(f"{order}{2 * n}d", data, at + 4)
        rings.append(list(zip(flat[::2], flat[1::2], strict=True)))
        at += 4 + 16 * n
    return rings, at


def _steps(ring: Sequence[tuple[float, float]], offset: Sequence[float]) -> Ring:
    """A ring in steps of the map, without its last corner, which is its first, and those on a straight side."""
    places = [tuple(round((x - o) / DECIMETRE) for x, o in zip(place, offset, strict=True)) for place in ring[:-1]]
    kept = []
    for i, (x, y) in enumerate(places):
        (a, b), (c, d) = places[i - 1], places[(i + 1) % len(places)]
        if (x - a) * (d - y) != (y - b) * (c - x):
            kept += [x, y]
    return kept


def _meets(rings: Sequence[Ring], extent: Sequence[float], offset: Sequence[float]) -> bool:
    east, north = [x for ring in rings for x in ring[::2]], [y for ring in rings for y in ring[1::2]]
    west, south, far, top = ((x - offset[i % 2]) / DECIMETRE for i, x in enumerate(extent))
    return bool(east) and max(east) >= west and min(east) <= far and max(north) >= south and min(north) <= top


def _json(value: Any) -> Any:
    """What JSON can say: no number is null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
