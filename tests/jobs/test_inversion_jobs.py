"""Pair cubes become displacement cubes in a store, whatever the shards, and once."""

import numpy as np
import pytest
import xarray as xr

import insar_dask as insar
from insar_dask.cube import CubeError
from insar_dask.forecast import Forecaster
from insar_dask.inversion.choosing import choose_pairs
from insar_dask.inversion.closure import correct_closure
from insar_dask.inversion.delays import correct_delays
from insar_dask.inversion.finding import find_reference
from insar_dask.inversion.joint import fit_motion
from insar_dask.inversion.lines import line_fit
from insar_dask.inversion.pairs import timeline
from insar_dask.inversion.reference import refer_pairs
from insar_dask.inversion.season import composite_index
from insar_dask.inversion.surfaces import remove_surfaces
from insar_dask.jobs.engine import Engine, JobError
from insar_dask.jobs.pairs.inversion_jobs import invert_stored, store_series
from insar_dask.objects import open_store
from insar_dask.store import open_group, shard_plan
from insar_dask.synthetic import air_temperature, pair_cube

EXTRA = ["true_cycles", "true_season_shape", "true_bperp"]
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


def test_other_shards_are_those_of_the_pairs_that_are_stored_anew(pairs, tmp_path):
    path = stored(pairs, tmp_path)
    for shard_points in (256, 128):
        insar.save(pairs, path, "site/pairs", shard_points=shard_points, quiet=True)
        invert_stored(path, "site", quiet=True, **REFERENCE)
        assert {shard_plan(open_store(path), f"site/{name}").shard for name in ("pairs", "raw")} == {shard_points}


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


def test_reference_is_found_once_surfaces_are_off(pairs, tmp_path):
    path = stored(pairs, tmp_path)
    options = {"closure": True, "surface": "plane", "reference": "auto", "window": 5}
    invert_stored(path, "site", quiet=True, **options)
    with Engine(path, quiet=True) as engine:
        note = engine.ledger.read_note("inversion/site")
        assert store_series(engine, "site", **options).computed == 0
        partials = [dict(part) for part in engine.partials("jobs/partials/site/ground")]
    assert sum(len(part["place"]) for part in partials) == pairs.sizes["point"]
    row, col = note["reference"]
    cube = insar.open_cube(path).compute()
    truth = pairs.set_index(point="point_id")["true_velocity"].sel(point=cube["point_id"].values).values
    wrong = line_fit(cube)["velocity"].values - truth
    at = (abs(cube["row"] - row) <= 2).values & (abs(cube["col"] - col) <= 2).values
    assert abs(truth[at]).mean() < 5 and np.nanstd(wrong) < 4
    assert note["loops"] > 50 and note["unchecked"] < 5


def test_pairs_are_chosen_by_sums_of_shards_and_told(tmp_path):
    several = pair_cube(12, 12, 24, longest=72, baseline=60).drop_vars(EXTRA)
    several["coherence"][:, 7] = 0.05
    path = stored(several, tmp_path, 128)
    limits = {"max_days": 50.0, "max_bperp": 120.0, "min_coherence": 0.3}
    invert_stored(path, "site", quiet=True, limits=limits, **REFERENCE)
    choice = choose_pairs(several, **limits)
    with Engine(path, quiet=True) as engine:
        note = engine.ledger.read_note("inversion/site")
    assert note["pairs"] == choice.kept.nonzero()[0].tolist()
    assert note["reasons"] == choice.reasons and note["held"] == choice.held
    assert any(why.startswith("coherence 0.05") for why in {**note["reasons"], **note["held"]}.values())


def test_delays_go_off_shard_by_shard_and_bad_ones_warn(tmp_path):
    several = pair_cube(12, 12, 20, longest=36, atmosphere=0.0, decorrelation=0.1).drop_vars(EXTRA)
    dates, rng = timeline(several).dates, np.random.default_rng(0)
    axes = {"date": dates, "y": np.linspace(3.698e6, 3.7005e6, 6), "x": np.linspace(499e3, 502e3, 7)}
    field = rng.normal(0, 20, (20, 6, 7))
    delays = xr.DataArray(field, axes, ("date", "y", "x"), attrs={"direction": "zenith"})
    with pytest.warns(UserWarning, match="scatter"):
        dirty = correct_delays(several, (-delays).assign_attrs(delays.attrs))
    path = stored(dirty, tmp_path, 128)
    invert_stored(path, "site", quiet=True, delays=delays, **REFERENCE)
    expected = insar.invert(refer_pairs(several, 4, 4, window=5))
    np.testing.assert_allclose(by_point(insar.open_cube(path)), by_point(expected), atol=2e-3)
    with Engine(path, quiet=True) as engine:
        assert engine.ledger.read_note("inversion/site")["scatter"] < 0.9
    with pytest.warns(UserWarning, match="site: with these delays interferograms scatter"):
        invert_stored(path, "site", quiet=True, delays=(-delays).assign_attrs(delays.attrs), **REFERENCE)
    with pytest.raises(CubeError, match="delays have dims"):
        invert_stored(path, "site", quiet=True, delays=delays.isel(x=0), **REFERENCE)


def test_season_of_frost_and_thaw_is_one_more_column(tmp_path):
    temperature = air_temperature("2016-01-01", 365 * 5, seed=5)
    days = timeline(pair_cube(2, 2, 60)).dates
    index = composite_index(temperature, days, 0.6).values
    scene = pair_cube(12, 12, 60, season=index, season_size=12, atmosphere=2, decorrelation=1, height_error=0)
    path = stored(scene.drop_vars(EXTRA), tmp_path, 128)
    options = {"temperature": temperature, "alpha": "fit", "motion": {"height_error": False}}
    invert_stored(path, "site", quiet=True, **REFERENCE, **options)
    with Engine(path, quiet=True) as engine:
        assert abs(engine.ledger.read_note("inversion/site")["alpha"] - 0.6) < 0.08
    found = open_group(path, "site/motion").compute()
    truth = scene.set_index(point="point_id")["true_season"].sel(point=found["point_id"].values).values
    wrong = found["season"].values - truth
    assert np.sqrt(np.mean((wrong - np.median(wrong)) ** 2)) < 0.25 * truth.std()


def test_inverted_series_are_learned_from_and_forecast_and_say_that_scores_leak(tmp_path):
    path = stored(pair_cube(6, 6, 80, season_size=1.0).drop_vars(EXTRA), tmp_path, 128)
    invert_stored(path, "site", quiet=True)
    model = insar.fit_stored(path, Forecaster("harmonic"), quiet=True)
    assert any("LEAK on top" in note for note in model.scores_.notes)
    model.save(tmp_path / "model")
    for one in (model, Forecaster.load(tmp_path / "model")):
        assert "from those of the whole record" in one.card()["leak_statement"]
        assert "is refused" not in one.card()["leak_statement"]
    with pytest.raises(CubeError, match="from their store, whose card says"):
        Forecaster("harmonic").fit(insar.open_cube(path))
    made = insar.predict_stored(path, model, quiet=True)
    assert np.isfinite(made["displacement"].values).all() and made.sizes["point"] == 36


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


def test_what_the_weather_was_after_a_day_has_no_say(tmp_path):
    few = pair_cube(8, 8, 40, longest=60).drop_vars(EXTRA)
    temperature, day = air_temperature("2016-01-01", 365 * 5, seed=5), "2018-10-01"
    temperature = temperature + 4 * (temperature["day"] > np.datetime64(day))  # winters end earlier from then on
    path, found = stored(few, tmp_path, 128), []
    for known in (temperature, temperature.sel(day=slice(None, day))):
        invert_stored(path, "site", quiet=True, method="nsbas", as_of=day, temperature=known, **REFERENCE)
        with Engine(path, quiet=True) as engine:
            found.append((engine.ledger.read_note("inversion/site")["alpha"], by_point(insar.open_cube(path))))
    dates = timeline(few).dates
    assert found[0][0] == found[1][0] != composite_index(temperature, dates).attrs["alpha"]
    np.testing.assert_array_equal(found[0][1], found[1][1])


def test_what_cannot_be_is_said(pairs, tmp_path):
    with pytest.raises(JobError, match="no site/pairs"):
        invert_stored(tmp_path / "empty.zarr", "site", quiet=True)
    path = stored(pairs, tmp_path)
    with pytest.raises(CubeError, match=r"site: 5 pairs of \d+ are left and min_pairs is 10"):
        invert_stored(path, "site", quiet=True, kept=list(range(5)))
    apart = [k for k in range(pairs.sizes["pair"]) if not 30 < k < 70]
    with pytest.raises(CubeError, match=r"into 2 parts, no chain of pairs joins 2018-\S+ and 2018-.*disconnected="):
        invert_stored(path, "site", quiet=True, kept=apart, disconnected="refuse")
    with pytest.raises(CubeError, match=r"none of 720 points has a series \(low coherence: 720\)"):
        invert_stored(path, "site", quiet=True, min_coherence=0.999)
    with pytest.raises(CubeError, match="pass reference="):
        invert_stored(path, "site", quiet=True, surface="plane")
    with pytest.raises(CubeError, match="row 500"):
        invert_stored(path, "site", quiet=True, reference=(500, 3))
    for kept in ([True, False], [0, 0, 1], []):
        with pytest.raises(ValueError, match="places of pairs, each once"):
            invert_stored(path, "site", quiet=True, kept=kept)
    with pytest.raises(ValueError, match=r"kept goes from -1 to 3"):
        invert_stored(path, "site", quiet=True, kept=[-1, 3])
