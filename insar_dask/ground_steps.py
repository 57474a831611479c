"""Steps of a run that say how the ground moves: tracks to east and up, and moving areas with a page of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from insar_dask.config import to_toml
from insar_dask.cube import CubeError
from insar_dask.detect.errors import TooFewDatesError
from insar_dask.detect.rules import Rule
from insar_dask.geometry.options import Options
from insar_dask.jobs.areas.area_jobs import Search, scene_of, store_areas
from insar_dask.jobs.areas.places import areas_folder
from insar_dask.jobs.areas.stored import found_on, require_unchanged, stored_areas, stored_overview, vintages_of
from insar_dask.jobs.areas.views import view_areas
from insar_dask.jobs.engine import str_path
from insar_dask.jobs.progress.watch import alone
from insar_dask.jobs.steps.east_up_jobs import SHARD_CELLS, store_east_up, track_sources
from insar_dask.jobs.steps.tile_jobs import TileSource
from insar_dask.outcomes import Outcome
from insar_dask.store import open_group

if TYPE_CHECKING:
    from insar_dask.config.ground import AreaSearch
    from insar_dask.detect.areas import Areas
    from insar_dask.workbench import Workbench

__all__ = ["area_outcomes", "draw_areas", "maps_of", "meet", "scene_name", "search_of", "write_outlines"]

ALIKE = ("component", "pass", "track", "positive", "reference")
"""What products of one map of areas have in common, besides their CRS."""


def meet(bench: Workbench, products: Sequence[str]) -> list[str]:
    """East and up of the tracks of a run, and of stores that it names; returns the names of both."""
    wanted = bench.config.east_up
    tracks = [TileSource(str_path(bench.engine.path), f"{name}/raw") for name in products]
    tracks += [track for named in wanted.tracks for track in track_sources(named)]
    name = str(wanted.name)
    shard_cells = min(SHARD_CELLS, bench.config.store.shard_points)
    store_east_up(bench.engine, tracks, name, Options.of(wanted.options), shard_cells)
    made = [f"{name}_E", f"{name}_U"]
    for product in made:
        cube = open_group(bench.engine.store, f"{product}/raw")
        told = {
            "source": ", ".join(f"track {track}" for track in cube.attrs["tracks"]),
            "n_points": cube.sizes["point"],
        }
        bench.engine.ledger.write_note(f"ingest/{product}", {**told, "n_rejected": 0, "options": wanted.options})
    return made


def area_outcomes(bench: Workbench, products: Sequence[str]) -> list[Outcome]:
    """Areas of all products of a run, each map of those that are alike with a page of its own."""
    maps = maps_of(bench, products, bench.config.areas.scene)
    return [_outcome(bench, names, scene) for scene, names in maps.items()]


def maps_of(bench: Workbench, products: Sequence[str], name: str) -> dict[str, list[str]]:
    """Products by the scene that they are of: those that are alike make one map.

    Parameters
    ----------
    bench : Workbench
    products : sequence of str
        Of its store.
    name : str
        What the names of all scenes begin with.

    Raises
    ------
    CubeError
        When two maps would have one name.
    """
    maps: dict[tuple[str, ...], list[str]] = {}
    for product in products:
        attrs, crs = bench.group(product, "raw").attrs, bench.group(product, "raw")["crs"].attrs
        maps.setdefault((*(str(attrs.get(key, "")) for key in ALIKE), str(crs.get("crs_wkt", ""))), []).append(product)
    scenes = [scene_name(name, bench.group(names[0], "raw").attrs) for names in maps.values()]
    if twice := sorted({scene for scene in scenes if scenes.count(scene) > 1}):
        raise CubeError(
            f"several maps would share the names of {', '.join(twice)}: their products differ in CRS or reference: "
            "run each in a store of its own"
        )
    return dict(zip(scenes, maps.values(), strict=True))


def scene_name(name: str, attrs: Mapping[Any, Any]) -> str:
    """Name of a map's scene, which lasts over vintages: what it shows follows the configured name.

    >>> scene_name("slumps", {"component": "los", "track": "022", "pass": "ascending"})
    'slumps-los-022-ascending'
    """
    parts = [name, str(attrs["component"])]
    if attrs["component"] == "los":  # a track is flown both ways
        parts += [str(attrs[key]) for key in ("track", "pass") if attrs.get(key) is not None]
    return re.sub(r"[^\w.-]+", "-", "-".join(parts))


def search_of(wanted: AreaSearch, scene: str, component: str, sign: str | None = None) -> Search:
    """What a configuration says of a scene; what moves to the west is no less than what moves to the east.

    Parameters
    ----------
    wanted : AreaSearch
    scene, component : str
        Its name, and what its products measure.
    sign : str, optional
        Said for just this call, of east too.
    """
    from insar_dask.detect.given import read_areas

    both = {"sign": "both"} if component == "east" and sign is None else {}
    inventory, before = (None if file is None else read_areas(file) for file in (wanted.inventory, wanted.before))
    return Search(
        Rule(**wanted.rule | both), scene, wanted.vintage, wanted.cell,
        inventory=inventory, before=before, years=wanted.rate_years, dem=wanted.dem,
    )  # fmt: skip


def draw_areas(bench: Workbench, scene: str) -> Path:
    """Draw the page of the latest areas that a store keeps of a scene anew, without finding them anew.

    Raises
    ------
    CubeError, JobError, FileNotFoundError
        When the store does not hold all products that they were found on, or not as they were then.
    """
    names, found = found_on(bench.engine.store, scene), stored_areas(bench.engine.store, scene)
    require_unchanged(bench.engine, scene)
    # the store's last run may have looked for others, or for none
    areas = bench.config.areas.model_copy(update=dict(found.attrs.get("rule", {})))
    return _publish(replace(bench, config=bench.config.model_copy(update={"areas": areas})), names, found)


def write_outlines(areas: Areas, folder: Path, *, tables: bool) -> dict[str, Path]:
    """Outlines as GeoJSON, and as GeoParquet where tables are wanted; returns what each is called on a page."""
    from insar_dask.detect.writing import write_areas

    folder.mkdir(parents=True, exist_ok=True)
    files = {"outlines": write_areas(areas, folder / "areas.geojson")}
    if tables:
        files["outlines for GIS and for the next vintage"] = write_areas(areas, folder / "areas.parquet", style=False)
    return files


def _outcome(bench: Workbench, names: list[str], scene: str) -> Outcome:
    try:
        component = str(bench.group(names[0], "raw").attrs["component"])
        found = store_areas(bench.engine, names, search_of(bench.config.areas, scene, component))
    except TooFewDatesError as error:
        return Outcome(f"areas-{scene}", bench.store, bench.folder / names[0] / "index.html", (f"no areas: {error}",))
    return Outcome(f"areas-{scene}", bench.store, _publish(bench, names, found), _lines(found))


def _publish(bench: Workbench, names: Sequence[str], found: Areas) -> Path:
    """Outlines and page of some areas."""
    scene = found.attrs["scene"]
    folder = areas_folder(bench.folder, bench.store, scene)
    with alone(bench.engine, f"areas/{scene}/report"):
        files: dict[str, str | Path] = {
            "store": bench.store,
            **write_outlines(found, folder, tables=bench.config.report.exports),
        }
        return _write_page(bench, folder, names, found, files)


def _write_page(
    bench: Workbench, folder: Path, names: Sequence[str], found: Areas, files: dict[str, str | Path]
) -> Path:
    from insar_dask.report.area_page import largest, write_area_report

    config, scene, vintage = bench.config, found.attrs["scene"], found.attrs["vintage"]
    known = [one for one in vintages_of(bench.engine.store, scene) if one < vintage]
    earlier = {one: stored_areas(bench.engine.store, scene, one) for one in known}
    ground = scene_of(bench.engine, names, found)
    views = view_areas(ground, found, largest(found, config.areas.cards, config.areas.worst))
    forecast = bench.scores(names[0])[0]
    return write_area_report(
        folder,
        areas=found,
        earlier=earlier or _before(bench, found.crs_wkt),
        overview=stored_overview(bench.engine.store, scene, vintage),
        views=views,
        worst=config.areas.worst,
        threshold=config.forecast.threshold if "exceedance" in found.columns else None,
        level=config.forecast.level if forecast else None,
        timings=[one.to_dict() for one in bench.engine.reports if one.stage.startswith(f"areas/{scene}/")],
        config_text=to_toml(config),
        title=f"{config.report.title}: areas of {scene}",
        files=files,
    )


def _before(bench: Workbench, crs_wkt: str) -> dict[str, Areas]:
    """The earlier vintage that the configuration names, in a CRS."""
    from insar_dask.detect.given import read_areas

    file = bench.config.areas.before
    if file is None:
        return {}
    areas = read_areas(file, crs_wkt)
    return {str(areas.attrs.get("vintage") or Path(file).stem): areas}


def _lines(found: Areas) -> tuple[str, ...]:
    from insar_dask.detect.counting import told

    lines = [told(found)]
    if ended := found.attrs.get("ended"):
        lines.append(f"{len(ended)} areas of the vintage before have ended")
    return tuple(lines)
