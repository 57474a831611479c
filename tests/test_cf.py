import pytest
import xarray as xr
import zarr
from pyproj import CRS

import insar_dask as insar
from insar_dask.cf import cf_attributes, cf_crs
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.forecasting.evaluation import evaluate, forecast
from insar_dask.jobs.recipe import Stage, Step

SETTINGS = {"every": "12D", "methods": ("persistence", "gaussian_process")}
STAGES = ("raw", "products", "forecast", "outlook")


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory, small_scene: xr.Dataset) -> dict[str, zarr.Group]:
    """Stages of a product as they are stored."""
    path = tmp_path_factory.mktemp("cf") / "site.zarr"
    insar.save(small_scene.isel(point=slice(0, 300)), path, "site/raw", quiet=True)
    engine = Engine(path, quiet=True)
    engine.run(Stage("site/motion", "site/raw", (Step("motion", "raw", "products"),), {"products": "site/products"}))
    evaluate(engine, "site", **SETTINGS)
    forecast(engine, "site", 0.0, **SETTINGS)
    return {stage: zarr.open_group(path, path=f"site/{stage}", mode="r") for stage in STAGES}


@pytest.mark.parametrize("stage", STAGES)
def test_every_variable_over_points_says_where_its_points_are(stage: str, groups: dict[str, zarr.Group]) -> None:
    group = groups[stage]
    coordinates = str(group.attrs["coordinates"]).split()
    arrays = {name: array for name, array in group.arrays() if "point" in (array.metadata.dimension_names or ())}
    mapped = {name for name in arrays if name not in coordinates}
    assert mapped and all(arrays[name].attrs["grid_mapping"] == "crs" for name in mapped)
    assert all(array.attrs["long_name"] for array in arrays.values())
    assert group["crs"].attrs["grid_mapping_name"] == "lambert_azimuthal_equal_area"
    assert group["point_id"].attrs["cf_role"] == "timeseries_id"
    assert group["easting"].attrs["standard_name"] == "projection_x_coordinate"


def test_others_find_the_projection_without_the_wkt(groups: dict[str, zarr.Group]) -> None:
    attributes = {name: value for name, value in groups["raw"]["crs"].attrs.items() if name not in ("crs_wkt", "epsg")}
    operation = CRS.from_cf(attributes).coordinate_operation
    assert operation.method_name == "Lambert Azimuthal Equal Area"
    assert [parameter.value for parameter in operation.params] == [52, 10, 4321000, 3210000]


def test_what_is_written_down_for_europe_is_what_proj_says() -> None:
    said = CRS(3035).to_cf()
    assert all(said[name] == value for name, value in cf_crs(3035, "").items())


@pytest.mark.parametrize("epsg", [32633, 3413, 2154])
def test_any_projection_that_cf_knows_is_named(epsg: int) -> None:
    found = cf_crs(None, CRS(epsg).to_wkt())
    assert found["grid_mapping_name"] == CRS(epsg).to_cf()["grid_mapping_name"]
    again = CRS.from_cf(found).to_cf()
    assert {name: pytest.approx(value) for name, value in found.items() if name != "grid_mapping_name"} == {
        name: again[name] for name in found if name != "grid_mapping_name"
    }


def test_what_proj_does_not_understand_is_left_alone() -> None:
    assert cf_crs(None, "LOCAL_CS[]") == {}
    assert cf_attributes("crs", (), {"crs_wkt": "LOCAL_CS[]"}, {"crs"}) == {"crs_wkt": "LOCAL_CS[]"}


def test_what_a_variable_says_of_itself_stays() -> None:
    said = cf_attributes("velocity", ("point",), {"long_name": "mine", "grid_mapping": "other"}, {"crs", "easting"})
    assert said == {"long_name": "mine", "grid_mapping": "other"}
    assert "grid_mapping" not in cf_attributes("easting", ("point",), {}, {"crs", "easting"})
    assert "grid_mapping" not in cf_attributes("velocity", ("point",), {}, {"easting"})
