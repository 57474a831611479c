"""Moving areas of stored products: found tile by tile, told by evidence, and named as earlier vintages named them.

Passes of tasks: errors of velocities, shard by shard; a survey of tiles for what still ground has; what moves in each
tile, as runs of cells; the evidence for the areas that these join to. To this process come the runs, and a card an
area: never a map, and never a series.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from zarr.abc.store import Store

from insar_dask.addresses import address
from insar_dask.cube import CubeError
from insar_dask.detect.areas import OURS, Areas
from insar_dask.detect.finding import TILE, check_background, recipe_of
from insar_dask.detect.given import cells_of_outlines, checked, in_crs
from insar_dask.detect.rules import Rule, lenient
from insar_dask.detect.vintages import carry_ids, check_alike, check_order, first_ids
from insar_dask.jobs.areas.passes import Passes, Survey
from insar_dask.jobs.areas.places import NOTES
from insar_dask.jobs.areas.scene import AreaScene, Product, area_sources, look_at
from insar_dask.jobs.areas.stored import stored_areas, to_note, vintages_of
from insar_dask.jobs.engine import Engine, JobError
from insar_dask.jobs.holding.lock import owned
from insar_dask.jobs.lineage import data_of
from insar_dask.jobs.steps.tile_jobs import TileSource
from insar_dask.layout import create_root
from insar_dask.settings import whole
from insar_dask.store import newest_products, open_group, products

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Search", "save_areas", "scene_of", "store_areas"]

PLAIN = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True)
class Search:
    """How areas are looked for, and what they are called; see `save_areas`."""

    rule: Rule = field(default_factory=Rule)
    scene: str = "scene"
    vintage: str | None = None
    cell: float | None = None
    tile: int = TILE
    inventory: Areas | None = None
    before: Areas | None = None
    years: float = 2.0
    dem: str | None = None

    def __post_init__(self) -> None:
        """Look at what is written down."""
        for what, text in (("scene", self.scene), ("vintage", self.vintage or "last")):
            if not PLAIN.fullmatch(text):
                raise ValueError(f"{what} is {text!r}; wanted letters, digits, dots, dashes and underscores")
        whole("tile", self.tile, of="cells")


def save_areas(
    path: str | Path,
    names: Sequence[str] | None = None,
    *,
    scene: str = "scene",
    vintage: str | None = None,
    rule: Rule | None = None,
    cell: float | None = None,
    tile: int = TILE,
    inventory: Areas | None = None,
    before: Areas | None = None,
    years: float = 2.0,
    dem: str | None = None,
    client: Client | None = None,
    quiet: bool = False,
    **options: Any,
) -> Areas:
    """Find the moving areas of stored products, tell the evidence, name them, and keep them in the store.

    Parameters
    ----------
    path : str or Path
        A store whose products have motion parameters (``PRODUCT/products``), as a run makes them.
    names : sequence of str, optional
        Products of one component, pass and CRS, which make one map: seams between them cut no area; those of other
        stores by ``STORE`` or ``STORE/PRODUCT``. Default: the only one.
    scene : str
        What the areas are called after.
    vintage : str, optional
        Such as a date; those of one scene sort as they follow each other. Default: the last date of the products.
        Areas take the names of the latest vintage before; a vintage that is there already is found anew.
    rule, cell, tile, options
        As of `insar_dask.detect.finding.find_areas` and `insar_dask.detect.mapping.area_maps`.
    inventory : Areas, optional
        Outlines that are judged instead of found, such as `insar_dask.detect.given.read_areas` reads.
    before : Areas, optional
        An earlier vintage whose names go on; default: the latest that the store has.
    years : float
        Before the last date, over which the rate of the vintage is taken.
    dem : str, optional
        Raster of heights [m] that slopes are told from; default: heights of the points, where they have some.
    client : distributed.Client, optional
        Where tiles are looked at; default: in this process.
    quiet : bool
        No progress bar.

    Returns
    -------
    Areas
        With names and all the evidence there is: of maps (`insar_dask.detect.cards.cards_of`), of series
        (`insar_dask.detect.evidence.histories`, `insar_dask.detect.rates.recent_rates`), of forecasts where the
        products have some (`exceedances`), and of east beside up (`rates_in_space`). `stored_areas` gives them again.
        The same for any size of tiles and number of workers.

    Raises
    ------
    CubeError
        When there is no product, or several and none is named; when a later vintage has names already; what
        `find_areas`, `judge_areas` and `carry_ids` say.
    JobError
        When motion parameters are missing.
    """
    if rule is not None and options:
        raise TypeError(f"{sorted(options)} are of a rule, and one was given: say them there")
    search = Search(rule or Rule(**options), scene, vintage, cell, tile, inventory, before, years, dem)
    with owned(path), Engine(path, client, quiet=quiet) as engine:
        return store_areas(engine, list(names) if names is not None else _only(engine), search)


def store_areas(engine: Engine, names: Sequence[str], search: Search) -> Areas:
    """As `save_areas`, where an engine works already."""
    scene = look_at(engine, area_sources(engine, names), search.cell)
    vintage = search.vintage or scene.last_date
    rule, missing = lenient(search.rule, (*scene.names, "velocity_std"))
    rule = search.rule if search.inventory is None else rule  # its tasks say what they lack
    before = _before(engine, replace(search, rule=rule), vintage, scene)
    passes = Passes(
        engine, f"{NOTES}/{search.scene}/{vintage}", scene, rule, search.tile, search.years, search.dem,
        _to_the_east(engine, scene),
    )  # fmt: skip
    survey = passes.survey()
    found = _judged(passes, survey, search.inventory, missing) if search.inventory else _found(passes, survey)
    found = _named(found, search, before, vintage)
    kept = engine.ledger.write_state({"velocity": survey.velocity})
    overview = {"state": kept, "west": survey.grid.west, "north": survey.grid.north, "cell": survey.grid.cell}
    names = [product.name for product in scene.products]
    looked_at = scene.products + (passes.east.products if passes.east else ())
    data = {one.name: data_of(engine, f"{one.name}/raw") for one in looked_at if _is_own(engine, one)}
    own = all(_is_own(engine, product) for product in scene.products)
    note = {**to_note(found), "overview": overview, "products": names, "own": own, "data": data}
    create_root(engine.store)
    engine.ledger.write_note(f"{NOTES}/{search.scene}/{vintage}", note)
    return found


def scene_of(engine: Engine, names: Sequence[str], found: Areas) -> AreaScene:
    """The scene that areas were found on, without any work anew."""
    return look_at(engine, area_sources(engine, names), float(found.attrs["cell"]))


def _is_own(engine: Engine, product: Product) -> bool:
    return address(product.path) == address(engine.path)


def _found(passes: Passes, survey: Survey) -> Areas:
    scene, rule = passes.scene, passes.rule
    if "seasonality" in scene.names:
        check_background(rule, survey.background)
    found = passes.tell(passes.find(survey.background), survey.background)
    return replace(found, attrs=_attrs(passes, survey))


def _judged(passes: Passes, survey: Survey, inventory: Areas, missing: list[str]) -> Areas:
    grid = passes.scene.grid
    given = in_crs(checked(inventory), grid.crs_wkt)
    file = str(inventory.attrs.get("file") or inventory.attrs.get("source", "given"))
    given = replace(given, columns=_plain_columns(given, file))
    judged = passes.tell(cells_of_outlines(given, grid), survey.background, given)
    told = {"inventory": file, "not_judged": missing}
    return replace(judged, attrs=_attrs(passes, survey) | told)


def _named(found: Areas, search: Search, before: Areas | None, vintage: str) -> Areas:
    """Areas with their names: those they had, of an earlier vintage or in an inventory; else names of their own."""
    if not _has_names(search):
        return first_ids(found, search.scene, vintage) if before is None else carry_ids(before, found, vintage)
    told = {"first_seen": vintage, "event": "given", "parents": ""}
    columns = {name: np.array([text] * len(found), dtype=object) for name, text in told.items()}
    return found.with_columns(columns, scene=search.scene, vintage=vintage)


def _has_names(search: Search) -> bool:
    return search.inventory is not None and "area_id" in search.inventory.columns


def _plain_columns(given: Areas, file: str) -> dict[str, npt.NDArray[Any]]:
    """Columns of a file that somebody wrote: numbers as they are, all else as text; with names that are not ours."""
    plain = {
        f"given_{name}" if name in OURS else name: values
        if values.dtype.kind in "iufb"
        else np.array([_text(value) for value in values], dtype=object)
        for name, values in given.columns.items()
    }
    if "area_id" in plain:
        plain["area_id"] = _names(plain["area_id"], file, "give each a name, or none")
    return plain


def _names(values: npt.NDArray[Any], file: str, cure: str) -> npt.NDArray[Any]:
    names = [_text(name) for name in values]
    if len(set(names)) < len(names) or not all(names):
        raise CubeError(f"{file}: 'area_id' is missing in some rows, or there twice: {cure}")
    return np.array(names, dtype=object)


def _text(value: Any) -> str:
    return "" if value is None or value != value else str(value)


def _attrs(passes: Passes, survey: Survey) -> dict[str, Any]:
    floors = [round(product.floor, 4) for product in passes.scene.products]
    shared = recipe_of(passes.scene.attrs, passes.rule, passes.scene.grid.cell, survey.background)
    return shared | {"velocity_std_floor": floors}


def _before(engine: Engine, search: Search, vintage: str, scene: AreaScene) -> Areas | None:
    """The vintage whose names go on, found alike, in the CRS of the scene; asked for before any tile is looked at."""
    older = search.before
    if older is None:
        known = vintages_of(engine.store, search.scene)
        if known and vintage not in known and vintage < known[-1]:
            raise CubeError(
                f"vintage {vintage} of {search.scene!r} is before {known[-1]}, whose areas have their names already: "
                "find the vintages in their order, or under another scene= (--scene)"
            )
        earlier = [one for one in known if one < vintage]
        if not earlier:
            return None
        older = stored_areas(engine.store, search.scene, earlier[-1])
    check_order(older, vintage)
    file = str(older.attrs.get("file", "the older areas"))
    if not {"area_id", "first_seen"} <= set(older.columns):
        raise CubeError(f"{file} has no names of areas: give what write_areas or a run wrote")
    _names(older["area_id"], file, "give what write_areas or a run wrote")
    here = {name: str(scene.attrs.get(name, "")) for name in ("component", "reference")} | {"cell": scene.grid.cell}
    rule = {} if _has_names(search) else {"rule": search.rule.to_dict()}
    older = in_crs(older, scene.grid.crs_wkt)
    check_alike(older, Areas([], {}, scene.grid.crs_wkt, here | rule))
    return replace(older, attrs={**older.attrs, "scene": search.scene})


def _to_the_east(engine: Engine, scene: AreaScene) -> AreaScene | None:
    """The same ground to the east, where a scene is up: the products that `store_east_up` made beside its own."""
    if scene.attrs.get("component") != "up":
        return None
    found = []
    for product in scene.products:
        twin = re.sub(r"_U(?=_|$)", "_E", product.name)
        if twin != product.name and twin in products(product.path) and _moves(product.path, twin):
            found.append(TileSource(product.path, f"{twin}/raw"))
    return look_at(engine, found, scene.grid.cell) if len(found) == len(scene.products) else None


def _moves(path: str | Path | Store, name: str) -> bool:
    """Whether a product's motion to the east is known."""
    try:
        own = Engine(path, quiet=True)
        own.require(f"{name}/products")
    except JobError:
        return False
    return open_group(path, f"{name}/raw").attrs.get("component") == "east"


def _only(engine: Engine) -> list[str]:
    found = newest_products(engine.store)
    if len(found) != 1:
        raise CubeError(f"the store has the products {found}: name those that areas are to be found on")
    return found
