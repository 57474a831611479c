from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from distributed import Client
from pyproj import CRS

import insar_dask as insar
from insar_dask.cube import CubeError
from insar_dask.detect.areas import Areas
from insar_dask.detect.errors import honest_errors
from insar_dask.detect.evidence import histories
from insar_dask.detect.finding import find_areas
from insar_dask.detect.given import read_areas
from insar_dask.detect.mapping import area_maps, grid_of
from insar_dask.detect.rules import Rule
from insar_dask.detect.writing import write_areas
from insar_dask.jobs.areas.area_jobs import save_areas
from insar_dask.jobs.areas.passes import Passes
from insar_dask.jobs.areas.places import scenes_of
from insar_dask.jobs.areas.scene import AreaScene, Product, area_sources, look_at
from insar_dask.jobs.areas.stored import found_on, stored_areas, vintages_of
from insar_dask.jobs.areas.views import view_areas
from insar_dask.jobs.engine import Engine, JobError
from insar_dask.jobs.progress.live_view import latest_run
from insar_dask.jobs.progress.status import damaged_documents
from insar_dask.jobs.recipe import Stage, Step
from insar_dask.jobs.steps.tile_jobs import tile_sources
from insar_dask.objects import open_store
from insar_dask.store import newest_products
from tests.detect.test_evidence import TIMES, YEARS, begun_later, cube_of

OPTIONS = {"season": None, "quiet": True}


def scene(grown: float = 0.0) -> xr.Dataset:
    """40 x 40 points; a bowl lies on the line that parts west from east, another in the north-east."""
    chance = np.random.default_rng(1)
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(40) * 50.0 + 25, np.arange(40) * 50.0 + 25))
    radius = np.minimum(np.hypot(x - 1000, y - 600) / (250 + grown), np.hypot(x - 1500, y - 1500) / 200)
    rate = -25 * np.clip(1.5 - radius, 0, 1)
    values = np.multiply.outer(rate, YEARS) + chance.normal(0, 1, (1600, len(YEARS)))
    return cube_of(np.stack([x + 4.5e6, y + 1.7e6], axis=1), values)


def stored(path: Path, parts: dict[str, xr.Dataset]) -> Path:
    engine = Engine(path, quiet=True)
    for name, cube in parts.items():
        insar.save(cube, path, f"{name}/raw", quiet=True, shard_points=512)
        engine.run(Stage(f"{name}/prepare", f"{name}/raw", (Step("motion", "raw", "products"),),
                         {"products": f"{name}/products"}))  # fmt: skip
    return path


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two products that meet in the middle of a bowl."""
    return stored(tmp_path_factory.mktemp("halves") / "site.zarr", halves_of(scene()))


def test_seams_between_products_cut_no_area(halves: Path) -> None:
    found = save_areas(halves, ["west", "east"], vintage="2023", **OPTIONS)
    assert len(found) == 2
    cube = scene()
    whole = find_areas(area_maps(honest_errors(insar.motion(cube), cube)), season=None)
    assert found["area_m2"].tolist() == whole["area_m2"].tolist()
    west = save_areas(halves, ["west"], scene="west", **OPTIONS)
    assert len(west) == 1 and west["area_m2"].max() < found["area_m2"].max() and np.isnan(west["nearest_m"]).all()
    alike(stored_areas(halves, "west"), west)
    assert vintages_of(halves, "west") == [str(TIMES[-1])[:10]]


def test_what_was_found_is_kept_and_the_same_for_any_tiles_and_workers(halves: Path) -> None:
    found = save_areas(halves, ["west", "east"], scene="tiles", vintage="2023", **OPTIONS)
    alike(stored_areas(halves, "tiles"), found)
    before = (halves / "jobs/areas/tiles/2023.json").read_bytes()
    with Client(n_workers=4, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0") as client:
        save_areas(halves, ["west", "east"], scene="tiles", vintage="2023", tile=17, client=client, **OPTIONS)
    assert (halves / "jobs/areas/tiles/2023.json").read_bytes() == before
    assert not damaged_documents(halves)


def test_the_jobs_of_tiles_lie_on_the_map(tmp_path: Path) -> None:
    path = stored(tmp_path / "site.zarr", {"site": scene()})
    save_areas(path, vintage="2023", tile=16, **OPTIONS)
    stages = latest_run(open_store(path)).read().stages
    boxes = {what: stages[f"areas/scene/2023/{what}"].boxes for what in ("survey", "find", "cards")}
    for what, found in boxes.items():
        assert found is not None and len(found) == stages[f"areas/scene/2023/{what}"].n_shards > 1
        west, south, east, north = found.T
        assert (west >= 4.5e6).all() and (west < east).all() and (east <= 4.502e6).all()
        assert (south >= 1.7e6).all() and (south < north).all() and (north <= 1.702e6).all()
    assert ((found[:, 2] - found[:, 0]) * (found[:, 3] - found[:, 1])).sum() < 4e6  # cards: of areas, not of tiles
    area = np.prod(boxes["survey"][:, 2:] - boxes["survey"][:, :2], axis=1)
    assert area.sum() == 4e6 and np.array_equal(boxes["survey"], boxes["find"])


def alike(one: Areas, other: Areas) -> None:
    assert list(one.geometry) == list(other.geometry) and one.columns.keys() == other.columns.keys()
    for name in one.columns:
        np.testing.assert_array_equal(one[name], other[name])


def test_products_of_two_stores_make_one_map(halves: Path, tmp_path: Path) -> None:
    """The same ground as two stores; seams, cells, cards and names are those of one, on threads as in one process."""
    west, east = (stored(tmp_path / f"{name}.zarr", {name: part}) for name, part in halves_of(scene()).items())
    here = save_areas(halves, ["west", "east"], scene="one", vintage="2023", **OPTIONS)
    there = save_areas(tmp_path / "all.zarr", [str(west), f"{east}/east"], scene="one", vintage="2023", **OPTIONS)
    assert found_on(halves, "one") == ["west", "east"] and scenes_of(tmp_path / "all.zarr") == ["one"]
    with pytest.raises(CubeError, match="does not hold all products that areas of one were found on"):
        found_on(tmp_path / "all.zarr", "one")
    alike(here, there)
    assert {"rate", "onset", "spatial", "velocity_std", "votes"} <= there.columns.keys()
    assert not damaged_documents(tmp_path / "all.zarr")
    with pytest.raises(CubeError, match="named twice"):
        save_areas(tmp_path / "all.zarr", [str(west), f"{west}/west"], **OPTIONS)


def test_cards_and_pictures_of_points_that_begin_later_have_one_zero(tmp_path: Path) -> None:
    rows = np.flatnonzero(np.random.default_rng(2).random(1600) < 0.6)
    cube = begun_later(scene(), rows, 20 + rows % 40)
    path = stored(tmp_path / "site.zarr", {"site": cube})
    found = save_areas(path, **OPTIONS)
    assert len(found) == 2
    names = ("cumulative_mm", "onset_p")
    told, wanted = (histories(found.part([0, 1]), one) for one in (cube, scene()))
    for name in names:
        np.testing.assert_allclose(found[name], told[name], rtol=1e-9)
    np.testing.assert_allclose(found["cumulative_mm"], wanted["cumulative_mm"], atol=3)
    engine = Engine(path, quiet=True)
    (view,) = view_areas(look_at(engine, area_sources(engine, ["site"]), None), found, [0])
    middle = view.series[1]
    assert middle[-1] - middle[0] == pytest.approx(found["cumulative_mm"][0], abs=1e-9)


def test_what_a_forecast_says_is_on_the_card(tmp_path: Path) -> None:
    path = stored(tmp_path / "site.zarr", {"site": scene()})
    raw = insar.open_cube(path, "site/raw")
    n = raw.sizes["point"]
    ahead = np.broadcast_to(np.arange(n, dtype=np.float32)[None, :, None] / n, (1, n, 2)).copy()
    forecast = raw.drop_vars(["displacement", "time"]).assign(
        {name: (("origin", "point", "lead"), ahead + more) for name, more in
         (("displacement", -30), ("lower", -40), ("upper", -20))}
    )  # fmt: skip
    forecast = forecast.assign_coords(time=(("origin", "lead"), TIMES[None, -2:] + np.timedelta64(30, "D")))
    outlook = raw.drop_vars(["displacement", "time"]).assign(exceedance=(("point", "lead"), ahead[0]))
    outlook = outlook.assign_coords(time=("lead", TIMES[-2:] + np.timedelta64(30, "D")))
    for name, told in (("forecast", forecast), ("outlook", outlook)):
        insar.save(told, path, f"site/{name}", quiet=True)
    found = save_areas(path, **OPTIONS)
    assert (found["forecast_mm"] > -30).all() and (found["forecast_mm"] < -29).all()
    np.testing.assert_allclose(found["forecast_upper_mm"] - found["forecast_lower_mm"], 20, atol=1e-4)
    assert (found["exceedance"] > 0).all() and (found["exceedance"] < 1).all()


def test_slopes_come_from_a_terrain_model_in_another_crs(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    path = stored(tmp_path / "site.zarr", {"site": scene()})
    plain = save_areas(path, **OPTIONS)
    assert "slope_deg" not in plain.columns
    west, north, side = 4.4999e6, 1.7025e6, 20.0  # falls to the south by a tenth
    heights = np.repeat(1000 - 0.1 * side * np.arange(130, dtype=np.float32)[:, None], 130, axis=1)
    with rasterio.open(
        tmp_path / "heights.tif", "w", driver="GTiff", width=130, height=130, count=1, dtype="float32",
        crs="EPSG:3035", transform=rasterio.Affine(side, 0, west, 0, -side, north), nodata=-9999,
    ) as target:  # fmt: skip
        target.write(heights, 1)
    found = save_areas(path, scene="dem", dem=str(tmp_path / "heights.tif"), **OPTIONS)
    np.testing.assert_allclose(found["slope_deg"], np.degrees(np.arctan(0.1)), atol=0.2)
    np.testing.assert_allclose(found["aspect_deg"], 180, atol=2)
    np.testing.assert_allclose(found["height_m"], 1000 - 0.1 * (north - found["northing_m"]), atol=25)
    with pytest.raises(FileNotFoundError, match="there is no terrain model"):
        save_areas(path, scene="dem", dem=str(tmp_path / "none.tif"), **OPTIONS)


def test_an_older_vintage_is_not_taken_for_the_newer(halves: Path) -> None:
    late = save_areas(halves, ["west"], scene="order", vintage="2023", **OPTIONS)
    with pytest.raises(CubeError, match="'2019' is not after '2023': the older one was given as the newer"):
        save_areas(halves, ["west"], scene="other", vintage="2019", before=late, **OPTIONS)


def test_columns_of_an_inventory_stand_beside_ours_not_for_them(halves: Path) -> None:
    found = save_areas(halves, ["west", "east"], scene="drawn", **OPTIONS)
    theirs = {"event": ["flood", "storm"], "quality": ["good", None], "forecast_mm": [1.0, 2.0], "who": ["a", "b"]}
    drawn = Areas(found.geometry, {name: np.array(of, object) for name, of in theirs.items()}, found.crs_wkt)
    judged = save_areas(halves, ["west", "east"], scene="theirs", inventory=drawn, **OPTIONS)
    assert judged["given_event"].tolist() == ["flood", "storm"] and judged["given_quality"].tolist() == ["good", ""]
    assert judged["who"].tolist() == ["a", "b"] and set(judged["event"]) == {"new"}
    assert "forecast_mm" not in judged.columns and set(judged["quality"]) <= {1, 2, 3, 4}
    named = Areas(found.geometry, {"area_id": np.array(["x", "y"], object)}, found.crs_wkt)
    kept = save_areas(halves, ["west", "east"], scene="named", inventory=named, **OPTIONS)
    assert kept["area_id"].tolist() == ["x", "y"] and set(kept["event"]) == {"given"}
    for names in (["x", "x"], ["x", ""]):
        twice = Areas(found.geometry, {"area_id": np.array(names, object)}, found.crs_wkt)
        with pytest.raises(CubeError, match="'area_id' is missing in some rows, or there twice"):
            save_areas(halves, ["west", "east"], scene="named", inventory=twice, **OPTIONS)


def test_an_earlier_vintage_is_looked_at_before_the_tiles(
    halves: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = save_areas(halves, ["west"], scene="kept", vintage="2019-12-31", **OPTIONS)
    degrees = read_areas(write_areas(old, tmp_path / "old.geojson"))
    again = save_areas(halves, ["west"], scene="after", vintage="2023-12-31", before=degrees, **OPTIONS)
    assert again["area_id"].tolist() == old["area_id"].tolist() and set(again["first_seen"]) == {"2019-12-31"}
    assert stored_areas(halves, "after")["first_seen"].tolist() == again["first_seen"].tolist()
    nameless = degrees.with_columns({"area_id": np.array([None] * len(old), object)})
    unseen = Areas(old.geometry, {"area_id": old["area_id"]}, old.crs_wkt)
    drawn = Areas(old.geometry, {}, old.crs_wkt)
    stricter = {"quiet": True, "season": None, "seed": 12.0}
    with monkeypatch.context() as patch:
        patch.setattr(Passes, "survey", lambda _: pytest.fail("looked at tiles"))
        for options, said in (
            ({"before": old, **stricter}, "differ in rule"),
            ({"before": degrees, **stricter}, "differ in rule"),
            ({"before": old, "inventory": drawn, **stricter}, "differ in rule"),
            ({"before": nameless, **OPTIONS}, "'area_id' is missing in some rows"),
            ({"before": unseen, **OPTIONS}, "has no names of areas"),
        ):
            with pytest.raises(CubeError, match=said):
                save_areas(halves, ["west"], scene="after", vintage="2024-12-31", **options)
    with pytest.raises(CubeError, match="has no names of areas"):
        save_areas(halves, ["west"], scene="x", before=Areas(old.geometry, {}, old.crs_wkt), **OPTIONS)


def test_what_is_no_number_is_no_rule() -> None:
    for choice in ({"season": float("nan")}, {"season": -1.0}, {"peak": 0.0}, {"peak_within": float("inf")}):
        with pytest.raises(ValueError, match="wanted a positive number"):
            Rule(**choice)
    for choice in ({"body": 5.0}, {"peak": 200.0}):
        with pytest.raises(ValueError, match="leave out body and peak"):
            Rule("paper", **choice)


def test_points_on_the_edges_of_cells_are_in_the_tiles_that_are_looked_at() -> None:
    """Corners of cells of 100 m: each lies in the cell to the north and east of it."""
    for y in (0.0, 100.0, 51_100.0, 51_200.0):
        box = np.array([[0.0, y, 0.0, y]])
        grid = grid_of((0.0, 0.0, 60_000.0, 56_100.0), 100.0, "")
        product = Product("", "", box, {}, 0.0, "", 1)
        (rows, columns), *others = AreaScene((product,), grid, (), {}).tiles(512)
        row = grid.rows - 1 - int(y // 100)
        assert not others and rows.start <= row < rows.stop and columns.start == 0
        assert grid.numbers(0.0, y)[0] == row


def test_products_that_are_no_one_map_are_named(tmp_path: Path) -> None:
    west, east = halves_of(scene()).values()
    los = {"component": "los", "positive": "towards the satellite", "track": "22"}
    tracks = {
        "up": west.assign_attrs(source="up.csv"),
        "rising": west.assign_attrs(**los, **{"pass": "ascending", "source": "a.csv"}),
        "falling": east.assign_attrs(**los, **{"pass": "descending", "source": "d.csv"}),
        "elsewhere": west.assign_coords(crs=((), np.int32(0), {"crs_wkt": CRS(32633).to_wkt()})),
    }
    path = stored(tmp_path / "site.zarr", tracks)
    with pytest.raises(CubeError, match=r"a\.csv has component 'los', up\.csv 'up'"):
        save_areas(path, ["up", "rising"], **OPTIONS)
    with pytest.raises(CubeError, match=r"d\.csv has pass 'descending', a\.csv 'ascending'"):
        save_areas(path, ["rising", "falling"], **OPTIONS)
    with pytest.raises(CubeError, match="are in two CRSs"):
        save_areas(path, ["up", "elsewhere"], **OPTIONS)


def test_a_vintage_that_a_newer_one_follows_takes_no_part(tmp_path: Path) -> None:
    newer = scene(grown=120).assign_attrs(follows="site")
    path = stored(tmp_path / "site.zarr", {"site": scene(), "site-2023": newer})
    assert newest_products(path) == ["site-2023"]
    assert [source.group for source in tile_sources(path)] == ["site-2023/raw"]
    assert (
        save_areas(path, **OPTIONS)["area_m2"].max()
        > save_areas(path, ["site"], scene="old", **OPTIONS)["area_m2"].max()
    )


def halves_of(cube: xr.Dataset) -> dict[str, xr.Dataset]:
    west = cube.easting.values < 4.5e6 + 1000
    return {"west": cube.isel(point=west), "east": cube.isel(point=~west).assign_attrs(source="east.csv")}


def test_names_go_on_from_one_vintage_to_the_next(tmp_path: Path) -> None:
    path = stored(tmp_path / "site.zarr", {"old": scene(), "new": scene(grown=120)})
    old = save_areas(path, ["old"], vintage="2019", **OPTIONS)
    new = save_areas(path, ["new"], vintage="2023", **OPTIONS)
    assert new["area_id"].tolist() == old["area_id"].tolist() and set(new["event"]) == {"same"}
    assert new["area_m2"][0] == old["area_m2"][0] and new["area_m2"][1] > old["area_m2"][1]
    assert vintages_of(path) == ["2019", "2023"]
    again = save_areas(path, ["new"], vintage="2023", **OPTIONS)
    alike(again, new)
    with pytest.raises(CubeError, match="before 2023, whose areas have their names already"):
        save_areas(path, ["old"], vintage="2021", **OPTIONS)


def test_what_is_not_there_is_named(halves: Path, tmp_path: Path) -> None:
    with pytest.raises(CubeError, match=r"products \['east', 'west'\]: name those"):
        save_areas(halves, **OPTIONS)
    with pytest.raises(ValueError, match=r"scene is '\.\./x'"):
        save_areas(halves, ["west"], scene="../x", **OPTIONS)
    with pytest.raises(TypeError, match=r"\['season'\] are of a rule"):
        save_areas(halves, ["west"], rule=Rule(), **OPTIONS)
    with pytest.raises(FileNotFoundError, match="keeps no areas of 'none'"):
        stored_areas(halves, "none")
    insar.save(scene(), tmp_path / "raw.zarr", "site/raw", quiet=True)
    with pytest.raises(JobError, match="there is no site/products yet"):
        save_areas(tmp_path / "raw.zarr", **OPTIONS)
