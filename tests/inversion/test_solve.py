import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import insar_dask as insar
from insar_dask.cube import CubeError
from insar_dask.foresight import known_dates
from insar_dask.inversion.elimination import elimination_order
from insar_dask.inversion.pairs import timeline
from insar_dask.inversion.point_solvers import SOLVED
from insar_dask.inversion.solve import METHODS
from insar_dask.synthetic import pair_cube

CLEAN = {"height_error": 0.0, "atmosphere": 0.0, "decorrelation": 0.0}


def small(**options):
    return pair_cube(**{"rows": 6, "columns": 7, "n_dates": 40, **options})


def truth(pairs, dates):
    years = (dates - dates[0]) / np.timedelta64(1, "D") / 365.25
    moved = pairs["true_velocity"].values[:, None] * years
    return moved + pairs["true_season"].values[:, None] * pairs["true_season_shape"].values


def test_clean_pairs_give_the_motion_back():
    pairs = small(**CLEAN, missing=0.1)
    cube = insar.check_cube(insar.invert(pairs))
    np.testing.assert_allclose(cube["displacement"].values, truth(pairs, cube["time"].values), atol=2e-4)
    assert float(cube["coherence"].min()) > 0.9999
    assert set(cube["solved"].values) == {SOLVED.index("connected")}
    assert cube.attrs["sees_future"] == -1 and cube.attrs["positive"] == "towards the satellite"


def test_sign_of_the_phase_is_that_of_the_pair_cube():
    pairs = small(**CLEAN)
    turned = pairs.assign(phase=-pairs["phase"]).assign_attrs(phase_sign=-1)
    xr.testing.assert_allclose(insar.invert(turned)["displacement"], insar.invert(pairs)["displacement"])


def test_errors_are_those_of_the_pairs_own_noise():
    pairs = small(rows=30, columns=30, height_error=0.0, atmosphere=0.0, missing=0.05)
    cube = insar.invert(pairs)
    error = cube["displacement"].values - truth(pairs, cube["time"].values)
    found, said = (np.sqrt(np.nanmean(a[:, 1:] ** 2)) for a in (error, cube["displacement_std"].values))
    assert said / found == pytest.approx(1, abs=0.05)
    assert float(cube["residual_rms"].mean()) == pytest.approx(2 * np.sqrt(1 - 39 / pairs.sizes["pair"]), rel=0.05)


def test_errors_are_against_the_first_date_of_each_component_where_annual_pairs_are_reordered():
    pairs = small(n_dates=70, longest=380.0, missing=0.3)
    line = timeline(pairs)
    days = line.days[line.second] - line.days[line.first]
    kept = (days <= 30) | (abs(days - 366) < 7)
    pairs, first, second = pairs.isel(pair=np.flatnonzero(kept)), line.first[kept], line.second[kept]
    pairs["phase"][:20, first < 4] = np.nan  # points that begin later than the others
    pairs["phase"][10:30, ((first < 8) & (second >= 8)) | ((first < 40) & (second >= 40))] = np.nan
    cube = insar.invert(pairs)
    scale = 1000 * pairs.attrs["wavelength"] / (4 * np.pi)
    assert elimination_order(timeline(pairs)) is not None and (cube["components"].values > 1).sum() >= 20
    for d, said in zip(scale * pairs["phase"].values.astype(float), cube["displacement_std"].values, strict=True):
        valid = ~np.isnan(d)
        design = np.zeros((valid.sum(), 70))
        design[np.arange(valid.sum()), first[valid]] = -1
        design[np.arange(valid.sum()), second[valid]] = 1
        cofactor, rank = np.linalg.pinv(design.T @ design, rcond=1e-10), np.linalg.matrix_rank(design)
        together = abs(cofactor @ design.T @ design) > 1e-9  # projector onto what pairs join, component by component
        start = together.argmax(axis=1)
        own = np.diag(cofactor)
        variance = own + own[start] - 2 * cofactor[np.arange(70), start]
        variance[~together.any(axis=1)] = np.nan
        residual = d[valid] - design @ (cofactor @ design.T @ d[valid])
        variance *= (residual**2).sum() / (valid.sum() - rank)
        np.testing.assert_allclose(said, np.sqrt(variance.clip(0)), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ["sbas", "svd"])
def test_chunks_change_no_bit(method):
    pairs = small(missing=0.2, seed=3)
    whole = insar.invert(pairs, method)
    for size in (5, 16):
        lazy = insar.invert(pairs.chunk(point=size), method)
        assert lazy["displacement"].chunks is not None
        xr.testing.assert_identical(lazy.compute(), whole)


@settings(max_examples=8)
@given(st.randoms(use_true_random=False))
def test_pairs_may_come_in_any_order(random):
    pairs = small(missing=0.2)
    order = list(range(pairs.sizes["pair"]))
    random.shuffle(order)
    one, other = insar.invert(pairs), insar.invert(pairs.isel(pair=order))
    np.testing.assert_allclose(other["displacement"].values, one["displacement"].values, atol=1e-4)


def test_when_it_all_was_does_not_matter():
    pairs = small(missing=0.1)
    later = {name: ("pair", pairs[name].values + np.timedelta64(900, "D")) for name in ("first", "second")}
    moved = pairs.assign_coords(later)
    np.testing.assert_array_equal(
        insar.invert(moved)["displacement"].values, insar.invert(pairs)["displacement"].values
    )


@pytest.mark.parametrize("method", ["sbas", "nsbas"])
def test_as_known_on_a_day_is_what_an_older_stack_gives(method):
    pairs = small(missing=0.1)
    day = "2018-12-01"
    older = pairs.isel(pair=np.flatnonzero(pairs["second"].values <= np.datetime64(day)))
    xr.testing.assert_identical(insar.invert(pairs, method, as_of=day), insar.invert(older, method))
    xr.testing.assert_identical(insar.invert(pairs, method, as_of="20181201"), insar.invert(older, method))
    with pytest.raises(CubeError, match="no pair ends by 2017-01-01"):
        insar.invert(pairs, as_of="2017-01-01")


@pytest.mark.parametrize("method", METHODS)
def test_later_pairs_reach_far_back_and_an_inversion_as_of_a_day_keeps_them_out(method):
    pairs, day = small(missing=0.5), np.datetime64("2018-12-01")
    later = pairs["second"].values > day
    rng = np.random.default_rng(1)
    other = pairs.assign(phase=pairs["phase"] + later * rng.normal(0, 2, later.size).astype(np.float32))
    cubes = [insar.invert(stack, method) for stack in (pairs, other)]
    longest = (pairs["second"].values - pairs["first"].values).max()
    before = cubes[0]["time"].values + longest <= day
    change = abs(cubes[1]["displacement"] - cubes[0]["displacement"]).values[:, before]
    assert np.nanmax(change) > 0.5 and cubes[0].attrs["sees_future"] == -1
    with pytest.raises(CubeError, match=r"insar\.invert\(pairs, as_of='2018-12-01'\)"):
        known_dates(cubes[0], "2018-12-02")
    xr.testing.assert_identical(*(insar.invert(stack, method, as_of="2018-12-01") for stack in (pairs, other)))


def test_fewest_pairs_are_those_of_a_point_not_of_its_tree():
    pairs = small(missing=0.1)
    found = insar.invert(pairs, "svd", network="tree", tree_weights=np.ones(pairs.sizes["pair"]), min_pairs=60)
    assert (found.sizes["time"] < 60 <= found["n_pairs"]).all()
    assert found["displacement"].notnull().any("time").all()


def test_later_pairs_change_mostly_the_newest_dates():
    pairs = small(rows=20, columns=20)
    cube = insar.invert(pairs)
    day = cube["time"].values[30]
    change = insar.invert(pairs, as_of=day)["displacement"].values - cube["displacement"].values[:, :31]
    rms = np.sqrt((change**2).mean(axis=0))
    assert rms[-1] > 0.4 and rms[-5] < 0.1 and rms[-11] < 2e-3


def test_model_bridges_a_gap_better_than_smallest_velocities():
    options = {"rows": 15, "columns": 15, "n_dates": 80, "lost": (400, 500), "velocity": 30.0, "season_size": 4.0}
    pairs = pair_cube(**options, height_error=0.0)
    expected = truth(pairs, np.unique(np.concatenate([pairs["first"], pairs["second"]])))
    by_velocities = insar.invert(pairs)
    by_model = insar.invert(pairs, "nsbas", terms=("linear",), index=pairs["true_season_shape"].values.tolist())
    assert set(by_velocities["solved"].values) == {SOLVED.index("by_velocities")}
    assert set(by_model["solved"].values) == {SOLVED.index("by_model")}
    assert (by_model["components"].values == 2).all()
    bridged = by_model["time"].values > by_model["time"].values[0] + np.timedelta64(450, "D")
    np.testing.assert_array_equal(by_model["gap_bridged"].values, np.broadcast_to(bridged, expected.shape))
    after = [np.sqrt(np.mean((cube["displacement"].values - expected) ** 2)) for cube in (by_model, by_velocities)]
    assert after[0] <= 0.87 * after[1]
    assert by_model.attrs["sees_future"] == -1


def test_coherence_weighs_and_rejects():
    pairs = small(missing=0.1)
    pairs["coherence"][:5] = 0.1
    cube = insar.invert(pairs, weights="coherence", looks=10)
    assert np.isnan(cube["displacement"].values[:5]).all() and np.isfinite(cube["displacement"].values[5:]).any()
    assert (cube["solved"].values[:5] == SOLVED.index("low_coherence")).all()
    bad = small(missing=0.0, seed=2)
    broken = bad.copy(deep=True)
    broken["phase"][:, ::7] += 3.0
    broken["coherence"][:, ::7] = 0.05
    weighted, plain = (insar.invert(broken, weights=how) for how in ("coherence", "equal"))
    clean = insar.invert(bad)["displacement"]
    assert abs(weighted["displacement"] - clean).mean() < 0.2 * abs(plain["displacement"] - clean).mean()


def test_points_that_begin_later_say_from_which_day_they_count():
    pairs = small(**CLEAN, velocity=30.0)
    first = pairs["first"].values.astype("datetime64[D]")
    days = np.unique(first)
    holed = pairs.copy(deep=True)
    holed["phase"].values[:7, first < days[12]] = np.nan
    holed["phase"].values[7] = np.nan
    cube = insar.invert(holed)
    later = int((days[12] - days[0]).astype(int))
    assert cube["zero_day"].values.tolist() == [later] * 7 + [-1] + [0] * 34
    moved = truth(pairs, cube["time"].values)
    np.testing.assert_allclose(cube["displacement"].values[:7, 12:], (moved - moved[:, 12:13])[:7, 12:], atol=2e-4)
    line = insar.invert(holed, "nsbas", index=pairs["true_season_shape"].values.tolist(), fill="model")
    assert line["zero_day"].values.tolist() == [0] * 7 + [-1] + [0] * 34
    np.testing.assert_allclose(np.delete(line["displacement"].values - moved, 7, axis=0), 0, atol=2e-3)
    assert insar.invert(holed.chunk(point=5)).compute()["zero_day"].identical(cube["zero_day"])


def test_point_without_pairs_has_a_reason_and_others_do_not_notice():
    pairs = small()
    holed = pairs.copy(deep=True)
    holed["phase"][3] = np.nan
    holed["phase"][4, 9:] = np.nan
    one, other = insar.invert(pairs), insar.invert(holed)
    assert [SOLVED[code] for code in other["solved"].values[3:5]] == ["no_pairs", "too_few_pairs"]
    assert np.isnan(other["displacement"].values[3:5]).all()
    rest = np.r_[0:3, 5 : pairs.sizes["point"]]
    xr.testing.assert_identical(other.isel(point=rest), one.isel(point=rest))


def test_reference_and_inversion_commute():
    pairs = small()
    series = insar.invert(pairs)["displacement"]
    offsets = pairs["phase"].isel(point=8)
    referred = insar.invert(pairs.assign(phase=pairs["phase"] - offsets))["displacement"]
    np.testing.assert_allclose(referred, series - series.isel(point=8), atol=1e-4)


def test_annual_pairs_are_reordered_and_give_the_same():
    pairs = small(n_dates=70)
    line = timeline(pairs)
    far = pair_cube(rows=6, columns=7, n_dates=70, longest=380.0)
    days = line.days[timeline(far).second] - line.days[timeline(far).first]
    kept = (days <= 50) | (abs(days - 366) < 7)
    annual = insar.invert(far.isel(pair=np.flatnonzero(kept)))
    design = np.zeros((kept.sum(), 70))
    design[np.arange(kept.sum()), timeline(far).first[kept]] = -1
    design[np.arange(kept.sum()), timeline(far).second[kept]] = 1
    values = -far["phase"].values[:, kept].astype(float) * 1000 * far.attrs["wavelength"] / (4 * np.pi)
    expected = np.linalg.lstsq(design[:, 1:], values.T, rcond=None)[0].T
    np.testing.assert_allclose(annual["displacement"].values[:, 1:], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "magic"}, "method is 'magic'"),
        ({"method": "svd", "network": "tree"}, "tree_weights"),
        ({"method": "svd", "weights": "coherence"}, "knows no weights"),
        ({"fill": "model"}, "fill= needs the model"),
        ({"index": [1.0]}, "index= needs the model"),
        ({"covariance": [[1.0]]}, "covariance= needs the smoothing"),
        ({"weights": "coherence", "looks": 0}, "looks is 0"),
        ({"method": "nsbas", "index": [1.0]}, "wanted one for each"),
        ({"method": "nsbas", "terms": ("cubic",)}, "terms is 'cubic'"),
    ],
)
def test_choices_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        insar.invert(small(), **options)


def test_what_is_no_pair_cube_says_so():
    pairs = small()
    with pytest.raises(CubeError, match="no variable 'phase'"):
        insar.invert(pairs.drop_vars("phase"))
    with pytest.raises(CubeError, match="wavelength"):
        insar.invert(pairs.assign_attrs(wavelength=0))
    with pytest.raises(CubeError, match="phase_sign"):
        insar.invert(pairs.assign_attrs(phase_sign=None))
    with pytest.raises(CubeError, match="are both"):
        insar.invert(pairs.isel(pair=[0, 1, 1]))
    with pytest.raises(CubeError, match="swap its dates"):
        insar.invert(pairs.assign_coords(first=pairs["second"], second=pairs["first"]))
    with pytest.raises(CubeError, match="no coherence"):
        insar.invert(pairs.drop_vars("coherence"), weights="coherence")
