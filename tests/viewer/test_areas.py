import numpy as np
import pytest
import shapely
from pyproj import CRS

from insar_dask.cube import CubeError
from insar_dask.detect.areas import Areas
from insar_dask.jobs.areas.stored import to_note, vintages_of
from insar_dask.jobs.receipts import Ledger
from insar_dask.objects import open_store
from insar_dask.viewer.areas import shown_areas

EXTENT, OFFSET = (0.0, 0.0, 1000.0, 1000.0), (500.0, 500.0)


def areas_of(outlines: list[shapely.Geometry], wkt: str = "here") -> Areas:
    columns = {
        "area_id": np.array([f"scene-{k}" for k in range(len(outlines))], dtype=object),
        "velocity_mean": np.array([-12.5, np.nan, 3.0][: len(outlines)]),
        "n_points": np.arange(len(outlines)),
    }
    return Areas(outlines, columns, wkt, {"component": "los", "rule": {"body": 5.0}})


@pytest.fixture
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    return Ledger(open_store(tmp_path_factory.mktemp("areas")))


def test_outlines_are_the_same_shapes_in_steps_of_the_map(ledger: Ledger) -> None:
    cells = [shapely.box(x, y, x + 100, y + 100) for x, y in ((100, 100), (200, 100), (200, 200), (300, 100))]
    ring = shapely.box(600, 600, 900, 900).difference(shapely.box(700, 700, 800, 800))
    apart = shapely.union_all([shapely.box(0, 800, 50, 850), shapely.box(50, 850, 100, 900)])
    outlines = [shapely.union_all(cells), ring, apart]
    ledger.write_note("areas/scene/2020-01-01", to_note(areas_of(outlines[:1])))
    ledger.write_note("areas/scene/2021-01-01", to_note(areas_of(outlines)))
    (found,) = shown_areas(ledger.store, "site_U", "here", EXTENT, OFFSET)
    assert (found["scene"], found["vintage"], found["component"]) == ("scene", "2021-01-01", "los")
    for outline, area in zip(outlines, found["areas"], strict=True):
        rings = [np.array(ring).reshape(-1, 2) * 0.1 + OFFSET for ring in area["rings"]]
        drawn = shapely.Polygon()
        for one in rings:  # an even number of rings about a place is outside
            drawn = drawn.symmetric_difference(shapely.Polygon(one))
        assert drawn.equals(outline)
    assert len(found["areas"][0]["rings"][0]) == 2 * 8  # corners on straight sides are gone
    assert [area["card"]["velocity_mean"] for area in found["areas"]] == [-12.5, None, 3.0]


@pytest.mark.parametrize("outline", ["", "zz", "01", shapely.Point(1, 2).wkb_hex, shapely.box(0, 0, 1, 1).wkb_hex[:-8]])
def test_what_is_no_outline_is_named(ledger: Ledger, outline: str) -> None:
    note = to_note(areas_of([shapely.box(0, 0, 100, 100)]))
    ledger.write_note("areas/scene/2021-01-01", {**note, "outlines": [outline]})
    with pytest.raises(CubeError, match=r"jobs/areas/scene/2021-01-01.json holds no areas"):
        shown_areas(ledger.store, "site_U", "here", EXTENT, OFFSET)


def test_the_vintage_is_that_which_sorts_last(ledger: Ledger) -> None:
    for vintage in ("2024-06", "2024"):
        ledger.write_note(f"areas/scene/{vintage}", to_note(areas_of([shapely.box(0, 0, 100, 100)])))
    assert (
        shown_areas(ledger.store, "site_U", "here", EXTENT, OFFSET)[0]["vintage"]
        == vintages_of(ledger.store)[-1]
        == "2024-06"
    )


def test_a_product_shows_the_areas_that_were_found_on_it(ledger: Ledger) -> None:
    for scene, names in (("scene-up", ["site_U", "next_U"]), ("scene-east", ["site_E"])):
        note = to_note(areas_of([shapely.box(0, 0, 100, 100)], CRS(3035).to_wkt()))
        ledger.write_note(f"areas/{scene}/2024-01-01", {**note, "products": names})
    for product, scenes in (("site_U", ["scene-up"]), ("site_E", ["scene-east"]), ("other", [])):
        found = shown_areas(ledger.store, product, CRS(3035).to_wkt("WKT2_2015"), EXTENT, OFFSET)
        assert [one["scene"] for one in found] == scenes
    assert shown_areas(ledger.store, "site_U", CRS(32633).to_wkt(), EXTENT, OFFSET) == []


def test_areas_elsewhere_are_not_shown(ledger: Ledger) -> None:
    far, near = shapely.box(5000, 0, 5100, 100), shapely.box(950, 0, 1050, 100)
    ledger.write_note("areas/scene/2021-01-01", to_note(areas_of([far, near])))
    (found,) = shown_areas(ledger.store, "site_U", "here", EXTENT, OFFSET)
    assert [area["card"]["area_id"] for area in found["areas"]] == ["scene-1"]
    assert shown_areas(ledger.store, "site_U", "another CRS", EXTENT, OFFSET) == []
