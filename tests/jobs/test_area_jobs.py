from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import insar_dask as insar
from insar_dask.cube import CubeError
from insar_dask.detect.areas import Areas
from insar_dask.detect.errors import honest_errors
from insar_dask.detect.finding import find_areas
from insar_dask.detect.mapping import area_maps
from insar_dask.detect.rules import Rule
from insar_dask.jobs.area_jobs import save_areas, stored_areas, vintages_of
from insar_dask.jobs.engine import Engine, JobError
from insar_dask.jobs.recipe import Stage, Step
from insar_dask.jobs.status import damaged_documents
from tests.detect.test_evidence import TIMES, YEARS, cube_of

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
    cube = scene()
    west = cube.easting.values < 4.5e6 + 1000
    parts = {"west": cube.isel(point=west), "east": cube.isel(point=~west).assign_attrs(source="east.csv")}
    return stored(tmp_path_factory.mktemp("halves") / "site.zarr", parts)


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


def test_what_was_found_is_kept_and_the_same_for_any_tiles(halves: Path) -> None:
    found = save_areas(halves, ["west", "east"], scene="tiles", vintage="2023", **OPTIONS)
    alike(stored_areas(halves, "tiles"), found)
    before = (halves / "jobs/areas/tiles/2023.json").read_bytes()
    for tile in (7, 16):
        save_areas(halves, ["west", "east"], scene="tiles", vintage="2023", tile=tile, **OPTIONS)
        assert (halves / "jobs/areas/tiles/2023.json").read_bytes() == before
    assert not damaged_documents(halves)


def alike(one: Areas, other: Areas) -> None:
    assert list(one.geometry) == list(other.geometry) and one.columns.keys() == other.columns.keys()
    for name in one.columns:
        np.testing.assert_array_equal(one[name], other[name])


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
