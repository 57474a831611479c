"""Moving areas of stored products: errors as chunk jobs, then one map, and the names that earlier vintages gave."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from zarr.abc.store import Store

from insar_dask.cube import CubeError
from insar_dask.detect.areas import Areas, shapely_of
from insar_dask.detect.errors import velocity_errors, with_floor
from insar_dask.detect.finding import TILE, find_areas
from insar_dask.detect.mapping import area_maps
from insar_dask.detect.rules import Rule
from insar_dask.detect.vintages import carry_ids, first_ids
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.lock import owned
from insar_dask.jobs.receipts import Ledger
from insar_dask.jobs.recipe import Stage, Step
from insar_dask.objects import open_store
from insar_dask.store import open_group, products

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["save_areas", "store_areas", "stored_areas", "vintages_of"]

NOTES = "areas"
PLAIN = re.compile(r"\w[\w.-]*")


def save_areas(
    path: str | Path,
    names: Sequence[str] | None = None,
    *,
    scene: str = "scene",
    vintage: str | None = None,
    rule: Rule | None = None,
    cell: float | None = None,
    tile: int = TILE,
    client: Client | None = None,
    quiet: bool = False,
    **options: Any,
) -> Areas:
    """Find the moving areas of stored products, name them, and keep them in the store.

    Parameters
    ----------
    path : str or Path
        A store whose products have motion parameters (``PRODUCT/products``), as a run makes them.
    names : sequence of str, optional
        Products of one component and CRS, which make one map: seams between them cut no area. Default: the only one.
    scene : str
        What the areas are called after.
    vintage : str, optional
        Such as a date; those of one scene sort as they follow each other. Default: the last date of the products.
        Areas take the names of the latest vintage before; a vintage that is there already is found anew.
    rule, cell, tile, options
        As of `insar_dask.detect.finding.find_areas` and `insar_dask.detect.mapping.area_maps`.
    client : distributed.Client, optional
        Where the errors of the velocities are reckoned; default: in this process.
    quiet : bool
        No progress bar.

    Returns
    -------
    Areas
        With names; `stored_areas` gives them again. The same for any size of tiles and number of workers.

    Raises
    ------
    CubeError
        When there is no product, or several and none is named; when a later vintage has names already; what
        `find_areas` and `carry_ids` say.
    JobError
        When motion parameters are missing.
    """
    if rule is not None and options:
        raise TypeError(f"{sorted(options)} are of a rule, and one was given: say them there")
    with owned(path), Engine(path, client, quiet=quiet) as engine:
        chosen = list(names) if names is not None else _only(engine)
        return store_areas(engine, chosen, scene, vintage, rule or Rule(**options), cell, tile)


def store_areas(
    engine: Engine, names: Sequence[str], scene: str, vintage: str | None, rule: Rule, cell: float | None, tile: int
) -> Areas:
    """As `save_areas`, where an engine works already."""
    if not names:
        raise CubeError("no product was named to find areas on")
    for what, text in (("scene", scene), ("vintage", vintage or "last")):
        if not PLAIN.fullmatch(text):
            raise ValueError(f"{what} is {text!r}; wanted letters, digits, dots, dashes and underscores")
    motions = [_motion(engine, name) for name in names]
    maps = area_maps(motions, cell)
    vintage = vintage or max(str(open_group(engine.store, f"{n}/raw")["time"].values[-1])[:10] for n in names)
    found = find_areas(maps, rule, tile=tile)
    known = vintages_of(engine.store, scene)
    if known and vintage not in known and vintage < known[-1]:
        raise CubeError(
            f"vintage {vintage} of {scene!r} is before {known[-1]}, whose areas have their names already: find the "
            "vintages in their order, or under another scene="
        )
    earlier = [one for one in known if one < vintage]
    if earlier:
        found = carry_ids(stored_areas(engine.store, scene, earlier[-1]), found, vintage)
    else:
        found = first_ids(found, scene, vintage)
    engine.ledger.write_note(f"{NOTES}/{scene}/{vintage}", _to_note(found))
    return found


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
    known = vintages_of(path, scene)
    wanted = vintage or (known[-1] if known else "")
    note = Ledger(open_store(path)).read_note(f"{NOTES}/{scene}/{wanted}") if wanted in known else None
    if note is None:
        raise FileNotFoundError(f"the store keeps no areas of {scene!r} {wanted}; it has {known}: use save_areas")
    shapely = shapely_of()
    columns = {name: np.array(values, dtype=kind) for name, (kind, values) in note["columns"].items()}
    outlines = [shapely.from_wkb(bytes.fromhex(text)) for text in note["outlines"]]
    return Areas(outlines, columns, note["crs_wkt"], note["attrs"])


def _to_note(areas: Areas) -> dict[str, Any]:
    columns = {name: (values.dtype.str, values.tolist()) for name, values in areas.columns.items()}
    outlines = [shapely_of().to_wkb(outline, hex=True) for outline in areas.geometry]
    return {"outlines": outlines, "columns": columns, "crs_wkt": areas.crs_wkt, "attrs": dict(areas.attrs)}


def _motion(engine: Engine, name: str) -> xr.Dataset:
    """Motion of a product with honest errors; what its series tell is a stage of chunk jobs."""
    engine.require(f"{name}/products")
    step = Step(velocity_errors.__name__, "raw", "errors")
    engine.run(Stage(f"{name}/errors", f"{name}/raw", (step,), {"errors": f"{name}/errors"}))
    motion, errors = (open_group(engine.store, f"{name}/{group}").compute() for group in ("products", "errors"))
    return with_floor(motion, errors)


def _only(engine: Engine) -> list[str]:
    found = products(engine.store)
    if len(found) != 1:
        raise CubeError(f"the store has the products {found}: name those that areas are to be found on")
    return found
