import tracemalloc

import numpy as np
import pytest
import xarray as xr

from insar_dask.updating import pairing
from insar_dask.updating.pairing import Places, pair_points


def places(n: int = 400, seed: int = 0) -> Places:
    chance = np.random.default_rng(seed)
    spots = chance.uniform(0, 3000, (n, 2))
    return Places(np.array([f"p{i:05d}" for i in range(n)]), *spots.T)


def shuffled(one: Places, seed: int = 1) -> tuple[Places, np.ndarray]:
    order = np.random.default_rng(seed).permutation(len(one.ids))
    return Places(*(values[order] for values in one)), order


def test_identifiers_find_their_points_in_any_order() -> None:
    older = places()
    newer, order = shuffled(older)
    paired = pair_points(older, newer)
    np.testing.assert_array_equal(paired.before, order)
    assert paired.counts() == {"matched": 400, "new": 0, "gone": 0, "moved": 0, "matched_by": "point_id"}


def test_places_find_points_whose_identifiers_changed() -> None:
    older = places()
    newer, order = shuffled(older)
    drift = np.random.default_rng(2).normal(0, 0.5, (2, 400))
    newer = Places(np.char.add("x", newer.ids), newer.easting + drift[0], newer.northing + drift[1])
    paired = pair_points(older, newer)
    assert paired.by == "place"
    distance = np.abs((newer.spots[:, None] - older.spots[None]) @ [1, 1j])
    lone = (np.sort(distance, axis=1)[:, 1] > 10) & (np.sort(distance, axis=0)[1][order] > 10)  # no other may be meant
    np.testing.assert_array_equal(paired.before[lone], order[lone])
    assert lone.sum() > 300 and len(set(paired.before[paired.before >= 0])) == (paired.before >= 0).sum()


def test_points_that_came_and_went_are_counted() -> None:
    older = places()
    newer = Places(
        *(np.concatenate([values[50:], more[:30]]) for values, more in zip(older, places(30, 9), strict=True))
    )
    newer.ids[-30:] = [f"n{i}" for i in range(30)]
    paired = pair_points(older, newer)
    assert paired.counts() | {"moved": 0} == {
        "matched": 350,
        "new": 30,
        "gone": 50,
        "moved": 0,
        "matched_by": "point_id",
    }
    np.testing.assert_array_equal(paired.gone, np.arange(50))


def test_an_identifier_that_is_elsewhere_now_is_no_match() -> None:
    older = places()
    newer = Places(older.ids, older.easting.copy(), older.northing)
    newer.easting[7] += 500
    paired = pair_points(older, newer)
    assert paired.before[7] == -1 and paired.moved == 1 and paired.counts()["matched"] == 399


def test_numbers_of_rows_are_no_identifiers() -> None:
    older = places()
    newer, order = shuffled(older)
    newer = newer._replace(ids=older.ids)  # numbered anew
    paired = pair_points(older, newer)
    assert paired.by == "place"
    np.testing.assert_array_equal(paired.before, order)


def test_points_at_one_place_go_one_to_one() -> None:
    spots = np.array([[0.0, 0.0], [0.0, 0.0], [50.0, 0.0], [0.0, 0.0]])
    older = Places(np.array(list("abcd")), *spots.T)
    newer = Places(np.array(list("wxyz")), *spots[[2, 0, 1, 3]].T)
    assert sorted(pair_points(older, newer).before) == [0, 1, 2, 3]
    assert pair_points(older, newer).before[0] == 2


def test_a_distance_is_a_positive_number() -> None:
    with pytest.raises(ValueError, match="within is 0"):
        pair_points(places(), places(), 0)


def test_identifiers_are_read_as_bytes_run_by_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "SHARD_POINTS", 7)
    one = places(20)
    names = np.where(np.arange(20) % 3 == 0, np.char.add("Übach-", one.ids), one.ids)
    cube = xr.Dataset({"point_id": ("point", names), "easting": ("point", one[1]), "northing": ("point", one[2])})
    found = Places.of(cube)
    np.testing.assert_array_equal(np.char.decode(found.ids, "utf-8"), names)
    assert Places.of(cube.isel(point=slice(0))).ids.size == 0
    np.testing.assert_array_equal(np.argsort(found.ids), np.argsort(names))


@pytest.mark.parametrize("width", ["U3", "S3"])
def test_of_identifiers_that_come_twice_the_first_ones_are_paired(width: str) -> None:
    chance = np.random.default_rng(4)
    for size in range(25):
        one, other = (chance.integers(0, 20, n).astype(width) for n in (size, 24 - size))
        nowhere = np.zeros(size), np.zeros(24 - size)
        paired = pair_points(Places(one, nowhere[0], nowhere[0]), Places(other, nowhere[1], nowhere[1]))
        _, mine, theirs = np.intersect1d(other, one, return_indices=True)
        if paired.by == "point_id":
            assert dict(zip(mine, theirs, strict=True)) == {i: j for i, j in enumerate(paired.before) if j >= 0}


def test_pairing_takes_little_memory() -> None:
    older = places(20_000)
    older = older._replace(ids=np.char.encode(older.ids, "utf-8"))
    newer, order = shuffled(older)
    tracemalloc.start()
    try:
        assert (pair_points(older, newer).before == order).all()
        by_identifier = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        assert pair_points(older, newer._replace(ids=np.char.add(b"x", newer.ids))).by == "place"
        by_place = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert by_identifier < 100 * 20_000 and by_place < 200 * 20_000  # bytes, beside the places themselves
