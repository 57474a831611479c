import errno
import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from pyproj import CRS

from insar_dask.cube import CubeError
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.progress.job_errors import cure_of
from insar_dask.jobs.progress.status import damaged
from insar_dask.jobs.steps.ingest import ingest
from insar_dask.objects import delete, put_bytes
from insar_dask.store import open_group
from insar_dask.synthetic import scene, write_egms

NAME = "EGMS_L2b_022_0845_IW2_VV_2020_2024_1"


def test_an_area_drawn_anew_under_its_old_name_is_read_anew(tmp_path: Path) -> None:
    drawn = scene("l2b", n_points=400, n_dates=30, seed=2)
    write_egms(tmp_path / f"{NAME}.csv", drawn)
    west, east = float(drawn.easting.min()), float(drawn.easting.max())
    south, north = float(drawn.northing.min()), float(drawn.northing.max())
    engine = Engine(tmp_path / "site.zarr", quiet=True)

    def read(share: float) -> tuple[int, int]:
        middle = west + share * (east - west)
        ring = [[west - 1, south - 1], [middle, south - 1], [middle, north + 1], [west - 1, north + 1]]
        shape = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
        crs = {"type": "name", "properties": {"name": "EPSG:3035"}}
        (tmp_path / "area.geojson").write_text(json.dumps({**shape, "crs": crs}))
        options = {"area": str(tmp_path / "area.geojson")}
        computed = ingest(engine, tmp_path / f"{NAME}.csv", "site", options, 128).computed
        return computed, open_group(engine.store, "site/raw").sizes["point"]

    for share in (0.3, 0.7):
        wanted = int(np.count_nonzero(drawn.easting.values <= west + share * (east - west)))
        computed, points = read(share)
        assert computed > 0 and abs(points - wanted) <= 2
        assert read(share) == (0, points)
    assert damaged(tmp_path / "site.zarr") == {}


def test_a_shapefile_whose_crs_was_mended_is_read_anew(tmp_path: Path) -> None:
    geopandas = pytest.importorskip("geopandas")
    drawn = scene("l2b", n_points=400, n_dates=30, seed=2)
    write_egms(tmp_path / f"{NAME}.csv", drawn)
    places = shapely.multipoints(np.stack([drawn.easting.values, drawn.northing.values], axis=1))
    geopandas.GeoDataFrame(geometry=[places.envelope], crs="EPSG:3035").to_file(tmp_path / "area.shp")
    engine, options = Engine(tmp_path / "site.zarr", quiet=True), {"area": str(tmp_path / "area.shp")}
    assert ingest(engine, tmp_path / f"{NAME}.csv", "site", options, 128).computed > 0
    assert ingest(engine, tmp_path / f"{NAME}.csv", "site", options, 128).computed == 0
    (tmp_path / "area.prj").write_text(CRS.from_epsg(3034).to_wkt("WKT1_ESRI"))
    with pytest.raises(CubeError, match="area"):
        ingest(engine, tmp_path / f"{NAME}.csv", "site", options, 128)


@pytest.mark.parametrize(
    ("place", "document", "damage"),
    [
        ("folder", "zarr.json", None),
        ("folder", "zarr.json", b"{\0"),
        ("folder", "displacement/zarr.json", b"{\0"),
        ("bucket", "zarr.json", None),
        ("bucket", "zarr.json", b"{\0"),
    ],
)
def test_a_lost_or_damaged_document_is_rebuilt_by_the_next_run(
    place: str, document: str, damage: bytes | None, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    store = request.getfixturevalue("bucket") if place == "bucket" else tmp_path / "site.zarr"
    file = write_egms(tmp_path / f"{NAME}.csv", scene("l2b", n_points=300, n_dates=20, seed=2))
    engine = Engine(store, quiet=True)
    assert ingest(engine, file, "site", {}, 128).computed == 3
    if damage is None:
        delete(engine.store, f"site/raw/{document}")
    else:
        put_bytes(engine.store, f"site/raw/{document}", damage)
    assert ingest(engine, file, "site", {}, 128).computed == 3
    assert ingest(engine, file, "site", {}, 128).computed == 0
    assert damaged(store) == {}


def test_a_full_disk_or_quota_has_a_cure_and_other_errors_have_none() -> None:
    assert "make room" in cure_of(OSError(errno.ENOSPC, "full")) and "make room" in cure_of(OSError(errno.EDQUOT, ""))
    assert cure_of(OSError(errno.EACCES, "no")) == cure_of(ValueError("no")) == ""
