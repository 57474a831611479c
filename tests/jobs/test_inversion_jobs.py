"""Pair cubes become displacement cubes in a store, whatever the shards, and once."""

import numpy as np
import pytest
import xarray as xr

import insar_dask as insar
from insar_dask.cube import CubeError
from insar_dask.inversion.closure import correct_closure
from insar_dask.inversion.finding import find_reference
from insar_dask.inversion.joint import fit_motion
from insar_dask.inversion.reference import refer_pairs
from insar_dask.inversion.surfaces import remove_surfaces
from insar_dask.jobs.engine import Engine, JobError
from insar_dask.jobs.inversion_jobs import invert_stored, store_series
from insar_dask.synthetic import pair_cube

REFERENCE = {"reference": (4, 4), "window": 5}


@pytest.fixture(scope="module")
def pairs():
    return pair_cube(24, 30, 40, ramps=5.0, unwrapping=0.01, missing=0.03, velocity=30.0, season_size=0.0).drop_vars(
        ["true_cycles", "true_season_shape", "true_bperp"]
    )


def stored(pairs, folder, shard_points=256):
    path = folder / f"{shard_points}.zarr"
    insar.save(pairs, path, "site/pairs", shard_points=shard_points, quiet=True)
    return path


def by_point(cube):
    return cube.sortby("point_id")["displacement"].values


def test_series_are_those_of_the_functions_and_made_once(pairs, tmp_path):
    path = stored(pairs, tmp_path)
    options = {"closure": True, "surface": "plane", "stable_below": 5.0, "motion": {"height_error": False}, **REFERENCE}
    assert invert_stored(path, "site", quiet=True, **options) == "site/raw"
    cube = insar.check_cube(insar.open_cube(path))
    referred = refer_pairs(correct_closure(pairs), 4, 4, window=5)
    stable = abs(fit_motion(referred, height_error=False)["velocity"].values) < 5
    flat = refer_pairs(remove_surfaces(referred, stable=stable), 4, 4, window=5)
    np.testing.assert_allclose(by_point(cube), by_point(insar.invert(flat)), atol=2e-3)
    assert cube.attrs["sees_future"] == -1 and cube.attrs["recipe"][-1]["function"] == "invert"
    with Engine(path, quiet=True) as engine:
        assert store_series(engine, "site", **options).computed == 0
        again = store_series(engine, "site", **{**options, "min_pairs": 12})
        assert again.computed == again.shards > 1
        assert engine.verify("site/raw") == [] and engine.verify("site/motion") == []


def test_shards_change_no_bit(pairs, tmp_path):
    cubes = []
    for shard_points in (128, 512):
        path = stored(pairs, tmp_path, shard_points)
        invert_stored(path, "site", quiet=True, **REFERENCE)
        cubes.append(by_point(insar.open_cube(path)))
    np.testing.assert_array_equal(*cubes)


def test_tree_of_the_least_missing_pairs_needs_no_weights(pairs, tmp_path):
    path = stored(pairs, tmp_path)
    invert_stored(path, "site", quiet=True, method="svd", network="tree", **REFERENCE)
    shares = np.isnan(pairs["phase"].values).mean(axis=0)
    referred = refer_pairs(pairs, 4, 4, window=5)
    expected = insar.invert(referred, "svd", network="tree", tree_weights=shares.tolist())
    np.testing.assert_array_equal(by_point(insar.open_cube(path)), by_point(expected))


def test_reference_is_found_and_bad_pairs_rejected(tmp_path):
    bad = pair_cube(20, 20, 40, velocity=40.0, season_size=0.0, height_error=0.0, atmosphere=1.0)
    bad = bad.drop_vars(["true_cycles", "true_season_shape", "true_bperp", "coherence"])
    bad["phase"][:, [20, 33]] += np.random.default_rng(0).normal(0, 6, (400, 2)).astype(np.float32)
    path = stored(bad, tmp_path)
    invert_stored(path, "site", quiet=True, reference="auto", reject=True)
    with Engine(path, quiet=True) as engine:
        note = engine.ledger.read_note("inversion/site")
    assert sorted(set(range(bad.sizes["pair"])) - set(note["pairs"])) == [20, 33]
    row, col = note["reference"]
    area = (abs(bad["row"] - row) <= 2) & (abs(bad["col"] - col) <= 2)
    median = np.median(bad["true_velocity"])
    assert abs(bad["true_velocity"].values[area.values] - median).mean() < 5
    kept = bad.isel(pair=note["pairs"])
    assert find_reference(kept)[:2] == (row, col)
    expected = insar.invert(refer_pairs(kept, row, col))
    np.testing.assert_array_equal(by_point(insar.open_cube(path, "site/raw")), by_point(expected))


def test_what_was_known_on_a_day_is_what_an_older_store_gives(pairs, tmp_path):
    day = np.datetime64("2018-10-01")
    old = pairs.isel(pair=np.flatnonzero(pairs["second"].values <= day))
    whole, older = stored(pairs, tmp_path), tmp_path / "old.zarr"
    insar.save(old, older, "site/pairs", shard_points=256, quiet=True)
    options = {"closure": True, "surface": "plane", "method": "svd", **REFERENCE}  # corrections know no more either
    invert_stored(whole, "site", quiet=True, as_of=str(day), **options)
    invert_stored(older, "site", quiet=True, **options)
    one, other = (insar.open_cube(path).drop_attrs().compute() for path in (whole, older))
    xr.testing.assert_identical(one, other)


def test_what_cannot_be_is_said(pairs, tmp_path):
    with pytest.raises(JobError, match="no site/pairs"):
        invert_stored(tmp_path / "empty.zarr", "site", quiet=True)
    path = stored(pairs, tmp_path)
    with pytest.raises(CubeError, match="pass reference="):
        invert_stored(path, "site", quiet=True, surface="plane")
    with pytest.raises(CubeError, match="row 500"):
        invert_stored(path, "site", quiet=True, reference=(500, 3))
    for kept in ([True, False], [0, 0, 1], []):
        with pytest.raises(ValueError, match="places of pairs, each once"):
            invert_stored(path, "site", quiet=True, kept=kept)
    with pytest.raises(ValueError, match=r"kept goes from -1 to 3"):
        invert_stored(path, "site", quiet=True, kept=[-1, 3])
