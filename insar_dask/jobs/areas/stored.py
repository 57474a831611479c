"""Areas that a store keeps: of each vintage of a scene a note, with what their page is drawn from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from zarr.abc.store import Store

from insar_dask.addresses import address
from insar_dask.cube import CubeError
from insar_dask.detect.areas import Areas, MapGrid, shapely_of
from insar_dask.jobs.areas.places import NOTES
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.lineage import data_of
from insar_dask.jobs.makers import maker_of
from insar_dask.jobs.progress.job_errors import LackingError
from insar_dask.jobs.receipts import Ledger
from insar_dask.objects import open_store
from insar_dask.store import products

__all__ = ["found_on", "require_unchanged", "stored_areas", "stored_overview", "to_note", "vintages_of"]


def to_note(areas: Areas) -> dict[str, Any]:
    """What `stored_areas` makes areas of again, as JSON takes it."""
    columns = {name: (values.dtype.str, values.tolist()) for name, values in areas.columns.items()}
    outlines = [shapely_of().to_wkb(outline, hex=True) for outline in areas.geometry]
    return {"outlines": outlines, "columns": columns, "crs_wkt": areas.crs_wkt, "attrs": dict(areas.attrs)}


def found_on(path: str | Path | Store, scene: str, vintage: str | None = None) -> list[str]:
    """Products of a store that its areas were found on.

    Raises
    ------
    FileNotFoundError
        When there are no areas.
    CubeError
        When they were found on products of other stores too: who reads a store opens no other that it names.
    """
    note = _note(path, scene, vintage)
    names, own = note.get("products", []), products(open_store(path))
    if not names or not note.get("own", True) or not set(names) <= set(own):
        raise CubeError(
            f"{address(path)} does not hold all products that areas of {scene} were found on; their page can be drawn "
            "where it does, and `insar-dask areas` finds them anew"
        )
    return list(names)


def require_unchanged(engine: Engine, scene: str, vintage: str | None = None) -> None:
    """Ask whether the products of a store have the displacement that its areas were found on.

    Notes of before this was asked for do not say what they are of, and are taken as they are; so are products of other
    stores.

    Raises
    ------
    FileNotFoundError
        When there are no areas.
    LackingError
        When a product has other displacement now, or none: the cure is named.
    """
    for name, data in _note(engine.store, scene, vintage).get("data", {}).items():
        if data != data_of(engine, f"{name}/raw"):
            maker = maker_of(engine.store, f"{name}/errors")
            told = f"areas of {scene} were found on other data than {name}/raw holds now"
            raise LackingError(f"{told}: {maker} finds them anew")


def vintages_of(path: str | Path | Store, scene: str = "scene") -> list[str]:
    """Vintages of a scene whose areas a store keeps, the oldest first."""
    start, end = f"jobs/{NOTES}/{scene}/", ".json"
    keys = Ledger(open_store(path)).notes()
    return sorted(key[len(start) : -len(end)] for key in keys if key.startswith(start))


def stored_areas(path: str | Path | Store, scene: str = "scene", vintage: str | None = None) -> Areas:
    """Areas that `save_areas` kept; of the latest vintage where none is named.

    Raises
    ------
    FileNotFoundError
        When there are none.
    """
    note, shapely = _note(path, scene, vintage), shapely_of()
    columns = {name: np.array(values, dtype=kind) for name, (kind, values) in note["columns"].items()}
    outlines = [shapely.from_wkb(bytes.fromhex(text)) for text in note["outlines"]]
    return Areas(outlines, columns, note["crs_wkt"], note["attrs"])


def stored_overview(
    path: str | Path | Store, scene: str = "scene", vintage: str | None = None
) -> tuple[npt.NDArray[np.float32], MapGrid]:
    """Coarse map of the velocity [mm/yr] that areas were found on, and its cells.

    Raises
    ------
    FileNotFoundError
        When there are no areas.
    """
    note = _note(path, scene, vintage)
    about = note["overview"]
    velocity = Ledger(open_store(path)).read_state(about["state"])["velocity"]
    rows, columns = velocity.shape
    return velocity, MapGrid(about["west"], about["north"], about["cell"], rows, columns, note["crs_wkt"])


def _note(path: str | Path | Store, scene: str, vintage: str | None) -> dict[str, Any]:
    known = vintages_of(path, scene)
    wanted = vintage or (known[-1] if known else "")
    note = Ledger(open_store(path)).read_note(f"{NOTES}/{scene}/{wanted}") if wanted in known else None
    if note is None:
        raise FileNotFoundError(f"the store keeps no areas of {scene!r} {wanted}; it has {known}: use save_areas")
    return note
