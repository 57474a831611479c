import numpy as np
import pytest
from pyproj import CRS

from insar_dask.cube import CubeError
from insar_dask.detect.areas import Areas
from insar_dask.detect.counting import growth, inventory
from insar_dask.detect.vintages import carry_ids, first_ids, match_areas
from insar_dask.synthetic.slumps import slump_vintages
from tests.detect.conftest import areas_of


@pytest.mark.parametrize("seed", range(6))
def test_slumps_keep_their_names(seed: int) -> None:
    before, later = slump_vintages(seed)
    old, new = first_ids(areas_of(before), "plateau", "2019-12-31"), areas_of(later)
    match = match_areas(old, new)
    assert match.pairs == [(k, k) for k in range(53)]
    assert len(match.new) >= 18 and not match.ended
    named = carry_ids(old, new, "2023-12-31")
    assert named["area_id"][:53].tolist() == old["area_id"].tolist()
    assert len(set(named["area_id"])) == 72
    assert named["first_seen"].tolist() == ["2019-12-31"] * 53 + ["2023-12-31"] * 19
    told = growth(old, named)
    truth = (later > 0).sum() - (before > 0).sum()
    assert told.difference_km2 * 1e6 / 1600 == pytest.approx(truth, rel=0.05)
    assert (told.count_before, told.count_after, told.new, told.ended) == (53, 72, 19, 0)
    assert told.said.startswith("+") and "+19 areas (19 new, 0 ended" in told.said


def block(*boxes: tuple[int, int, int, int]) -> Areas:
    """Areas of whole cells: top, left, height, width."""
    labels = np.zeros((400, 400), np.int32)
    for number, (top, left, height, width) in enumerate(boxes, 1):
        labels[top : top + height, left : left + width] = number
    return areas_of(labels)


def test_what_merged_split_came_and_went_is_told() -> None:
    old = first_ids(block((0, 0, 10, 10), (0, 12, 10, 5), (50, 0, 10, 20), (100, 0, 5, 5)), "s", "2019")
    new = block((0, 0, 10, 17), (50, 0, 10, 12), (50, 14, 10, 6), (200, 0, 5, 5))
    match = match_areas(old, new)
    assert match.pairs == [(0, 0), (2, 1)]
    assert (match.merged, match.split, match.ended, match.new) == ([(1, 0)], [(2, 2)], [3], [3])
    named = carry_ids(old, new, "2023", match)
    ids = old["area_id"].tolist()
    assert named["event"].tolist() == ["merge", "same", "split", "new"]
    assert named["parents"].tolist() == [ids[1], "", ids[2], ""]
    assert named["area_id"][:2].tolist() == [ids[0], ids[2]] and named.attrs["ended"] == [ids[3]]
    again = carry_ids(named, new, "2024")
    assert again["area_id"].tolist() == named["area_id"].tolist()
    assert set(again["event"]) == {"same"} and again["first_seen"].tolist() == named["first_seen"].tolist()


def test_names_do_not_depend_on_the_order_of_areas() -> None:
    old = first_ids(block((0, 0, 10, 10), (50, 0, 10, 20)), "s", "2019")
    turned = first_ids(block((0, 0, 10, 10), (50, 0, 10, 20)).part([1, 0]), "s", "2019")
    assert turned["area_id"].tolist() == old["area_id"].tolist()[::-1]
    assert first_ids(old, "t", "2019")["area_id"].tolist() != old["area_id"].tolist()


def test_growth_less_than_its_error_is_not_told_as_growth() -> None:
    old, new = block((0, 0, 10, 10), (50, 0, 10, 10)), block((0, 0, 10, 11), (50, 0, 20, 20))
    small, large = growth(old, new).changes
    assert small.error_m2 == pytest.approx(np.hypot(40 * 40 * 20, 42 * 40 * 20))
    assert (small.said, large.said) == ("not distinguishable", "+300.0 %")
    assert growth(old, old).said.startswith("area: not distinguishable")
    drawn = Areas(old.geometry, {}, old.crs_wkt), Areas(new.geometry, {}, new.crs_wkt)
    with pytest.raises(CubeError, match="give outline_error="):
        growth(*drawn)
    assert growth(*drawn, outline_error=1.0).changes[0].said == "+10.0 %"


def test_vintages_that_cannot_be_compared_are_refused() -> None:
    old, new = first_ids(block((0, 0, 10, 10)), "s", "2023"), block((0, 0, 10, 10))
    with pytest.raises(CubeError, match="the older one was given as the newer"):
        carry_ids(old, new, "2019")
    with pytest.raises(CubeError, match="have no names"):
        carry_ids(new, old, "2024")
    for name, value in (("cell", 100.0), ("rule", {"method": "paper"}), ("reference", "a rock")):
        known = Areas(old.geometry, old.columns, old.crs_wkt, {**old.attrs, "rule": {}, "reference": "all"})
        other = Areas(new.geometry, {}, new.crs_wkt, {"cell": 40.0, "rule": {}, "reference": "all", name: value})
        with pytest.raises(CubeError, match=f"the vintages differ in {name}"):
            match_areas(known, other)
    with pytest.raises(CubeError, match="read one of them with read_areas"):
        match_areas(old, Areas(new.geometry, {}, CRS(32633).to_wkt(), new.attrs))


def test_the_inventory_counts_as_the_published_one() -> None:
    areas = block((0, 0, 10, 10), (50, 0, 10, 20), (100, 0, 5, 5)).with_columns(
        {"velocity_mean": np.array([-12.0, -25.0, 8.0]), "seasonality_mm": np.array([12.0, np.nan, 7.0])}
    )
    told = inventory(areas)
    assert (told.n_areas, told.over_10, told.over_20) == (3, 2, 1)
    assert told.area_km2 == pytest.approx(325 * 1600 / 1e6)
    assert sum(n for *_, n in told.rates) == sum(n for *_, n in told.sizes) == 3
    assert [n for *_, n in told.seasons] == [0, 1, 1, 0, 0]
    with pytest.raises(CubeError, match="have no rates"):
        inventory(block((0, 0, 1, 1)))
    none = match_areas(areas.part([]), areas)
    assert none.new == [0, 1, 2] and not none.pairs
