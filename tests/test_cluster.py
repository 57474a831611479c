import warnings

import dask
import numpy as np
import pytest
import xarray as xr
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

import insar_dask as insar
from insar_dask.cluster.estimator import Clusters
from insar_dask.cluster.rows import drawn
from insar_dask.cube import CubeError
from insar_dask.synthetic import scene


def refuse(*_args, **_kwargs):
    raise AssertionError("something computed")


@pytest.fixture(scope="module")
def smooth():
    """6,000 points on 12-day dates, smoothed, in memory; the smoothing has seen 180 days ahead."""
    cube = scene("l2b", n_points=6000, n_dates=100, seed=2)
    return insar.savgol(insar.regularise(cube, every="12D")).compute()


def small(**parameters):
    return Clusters(**({"n_clusters": 5, "sample_size": 2000, "n_init": 3, "batch_size": 256} | parameters))


@pytest.fixture(scope="module")
def fitted(smooth):
    return small().fit(smooth)


def same_bits(one, other):
    return {name: a.tobytes() for name, a in one.state().items()} == {
        name: a.tobytes() for name, a in other.state().items()
    }


def with_series(cube, values):
    return cube.assign(displacement=(("point", "time"), values.astype(np.float32), cube["displacement"].attrs))


def test_well_separated_groups_are_found_exactly(smooth):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, smooth.sizes["point"])
    years = np.linspace(0, 3, smooth.sizes["time"])
    values = np.array([-40, -20, 0, 15, 30])[truth, None] * years + rng.normal(0, 1, (len(truth), len(years)))
    model = small().fit(with_series(smooth, values))
    np.testing.assert_array_equal(model.predict(with_series(smooth, values))["cluster"], truth)
    assert np.diff(model.velocities_).min() > 0
    np.testing.assert_array_equal(model.sizes_, np.bincount(truth))
    exact = sum(((values[truth == j] - values[truth == j].mean(axis=0)) ** 2).sum() for j in range(5))
    assert model.inertia_ == pytest.approx(exact, rel=1e-5)


def test_points_that_begin_later_bend_no_pattern_and_have_none(smooth):
    truth = np.arange(smooth.sizes["point"]) % 3
    values = np.array([-40, -20, 5])[truth, None] * np.linspace(0, 3, smooth.sizes["time"])
    late = np.arange(len(truth)) % 2 == 0
    holed = values.copy()
    holed[late] -= holed[late, 20:21]
    holed[late, :20] = np.nan
    zero = np.where(late, 240, 0).astype(np.int32)
    cube = with_series(smooth, holed).assign(zero_day=("point", zero))
    model = small(n_clusters=3).fit(cube)
    centres = [values[k] for k in range(3)]
    np.testing.assert_allclose(model.cluster_centers_, centres, atol=1e-3)
    np.testing.assert_array_equal(model.predict(cube)["cluster"], np.where(late, -1, truth))
    assert same_bits(model, small(n_clusters=3).fit(cube.chunk(point=700)))
    xr.testing.assert_identical(model.predict(cube.chunk(point=700)).compute(), model.predict(cube))
    assert int(insar.Clusters(3, steps=1, features=("velocity",)).fit(insar.motion(cube)).sizes_.sum()) == len(truth)


@pytest.mark.parametrize("random_state", [0, 1, 2])
def test_inertia_is_within_one_percent_of_full_k_means_from_the_same_start(smooth, random_state):
    model = small(random_state=random_state).fit(smooth)
    full = KMeans(5, init=model.state()["start"], n_init=1, tol=1e-6).fit(smooth["displacement"].values)
    assert model.inertia_ <= 1.01 * full.inertia_
    exact = ((smooth["displacement"].values.astype(float)[:, None] - model.cluster_centers_) ** 2).sum(axis=2)
    assert model.inertia_ == pytest.approx(exact.min(axis=1).sum(), rel=1e-5)


def test_regimes_are_found_as_well_as_by_full_k_means(smooth):
    """Neither finds them all: most ground is stable, and k-means cuts it up by its velocity."""
    regime, values = smooth["true_regime"].values, smooth["displacement"].values
    model = Clusters(n_clusters=5).fit(smooth)
    full = KMeans(5, init=model.state()["start"], n_init=1, tol=1e-6).fit(values)
    best = KMeans(5, n_init=20, random_state=0).fit(values)
    ours, same_start, many_starts = (
        adjusted_rand_score(regime, labels) for labels in (model.predict(smooth)["cluster"], full.labels_, best.labels_)
    )
    assert ours == pytest.approx(same_start, abs=0.02)
    assert ours >= many_starts - 0.02
    assert 0.5 < ours < 0.7
    assert model.inertia_ <= 1.01 * best.inertia_


def test_chunks_order_of_points_and_scheduler_change_no_bit(smooth, fitted):
    shuffled = smooth.isel(point=np.random.default_rng(1).permutation(smooth.sizes["point"]))
    for cube in (smooth.chunk(point=700), shuffled, shuffled.chunk(point=1111)):
        assert same_bits(small().fit(cube), fitted)
    with dask.config.set(scheduler="synchronous"):
        assert same_bits(small().fit(smooth.chunk(point=2500)), fitted)


def test_points_of_the_sample_are_drawn_by_their_place_alone(smooth):
    chosen, hashes = drawn(smooth, 0.1, 0)
    assert 500 < len(chosen) < 700
    some = smooth.isel(point=chosen[:50])
    places, again = drawn(some, 0.1, 0)
    np.testing.assert_array_equal(again, hashes[:50])
    assert len(places) == 50
    assert not np.array_equal(drawn(smooth, 0.1, 1)[0], chosen)


def test_another_seed_is_another_result(smooth, fitted):
    assert not same_bits(small(random_state=1).fit(smooth), fitted)


def test_prediction_is_lazy_and_the_same(smooth, fitted):
    with dask.config.set(scheduler=refuse):
        lazy = fitted.predict(smooth.chunk(point=700))
    assert lazy["cluster"].chunks == lazy["cluster_distance"].chunks
    xr.testing.assert_identical(lazy.compute(), fitted.predict(smooth))


def test_labels_carry_flags_points_and_curves(smooth, fitted):
    labels = fitted.predict(smooth)
    assert labels["cluster"].dtype == np.int8
    assert labels["cluster"].attrs["flag_values"].tolist() == [-1, 0, 1, 2, 3, 4]
    assert labels["cluster"].attrs["flag_meanings"].split()[:2] == ["none", "pattern_0"]
    assert labels["centroid"].dims == ("pattern", "time")
    np.testing.assert_array_equal(labels["cluster_size"], np.bincount(labels["cluster"]))
    np.testing.assert_array_equal(labels["point_id"], smooth["point_id"])
    squares = labels["cluster_distance"].astype(float) ** 2 * smooth.sizes["time"]
    assert float(squares.sum()) == pytest.approx(fitted.inertia_, rel=1e-5)
    assert "displacement" not in labels


def test_many_clusters_have_wider_labels(smooth):
    labels = Clusters(n_clusters=130, n_init=1, steps=0).fit(smooth).predict(smooth)
    assert labels["cluster"].dtype == np.int16
    assert labels["cluster"].max() == 129


def test_gaps_are_compared_over_valid_dates_and_no_date_is_no_cluster(smooth, fitted):
    holes = smooth["displacement"].values.copy()
    holes[::2, 40:60] = np.nan
    holes[7] = np.nan
    labels = fitted.predict(with_series(smooth, holes))
    some = np.delete(np.arange(len(holes)), 7)
    exact = np.nanmean((holes[some, None].astype(float) - fitted.cluster_centers_) ** 2, axis=2)
    np.testing.assert_array_equal(labels["cluster"][some], exact.argmin(axis=1))
    np.testing.assert_allclose(labels["cluster_distance"][some], np.sqrt(exact.min(axis=1)), rtol=1e-5)
    assert labels["cluster"][7] == -1 and np.isnan(labels["cluster_distance"][7])


def test_series_with_gaps_take_part_in_the_exact_steps(smooth):
    holes = smooth["displacement"].values.copy()
    holes[::3, 40:60] = np.nan
    cube = with_series(smooth, holes)
    model = small(steps=30).fit(cube)
    labels = model.predict(cube)["cluster"].values
    for j in range(5):
        np.testing.assert_allclose(model.cluster_centers_[j], np.nanmean(holes[labels == j], axis=0), atol=0.2)


def test_dates_that_most_series_lack_are_left_out(smooth):
    holes = smooth["displacement"].values.copy()
    holes[:, 30:33] = np.nan
    holes[:50, 31] = 5.0
    model = small().fit(with_series(smooth, holes))
    assert np.isnan(model.cluster_centers_[:, 30:33]).all()
    assert np.isfinite(np.delete(model.cluster_centers_, slice(30, 33), axis=1)).all()
    assert (model.predict(with_series(smooth, holes))["cluster"] >= 0).all()


def test_series_that_are_never_complete_are_refused(smooth):
    holes = smooth["displacement"].values.copy()
    holes[np.random.default_rng(0).random(holes.shape) < 0.3] = np.nan
    with pytest.raises(CubeError, match=r"only 0 are complete.*regularise"):
        small().fit(with_series(smooth, holes))


def test_until_uses_nothing_that_has_seen_later_dates(smooth):
    until = "2021-06-01"
    known = smooth["time"].values + np.timedelta64(smooth.attrs["sees_future"], "D") < np.datetime64(until)
    model = small().fit(smooth, until=until)
    np.testing.assert_array_equal(model.times_, smooth["time"].values[known])
    later = smooth["displacement"].values.copy()
    later[:, ~known] += 1000
    changed = with_series(smooth, later)
    assert same_bits(small().fit(changed, until=until), model)
    labels = model.predict(changed)
    xr.testing.assert_identical(labels, model.predict(smooth))
    assert labels.attrs["sees_future"] == 0 and labels.attrs["until"] == until
    assert small().fit(smooth).predict(smooth).attrs["sees_future"] == -1


def test_labels_that_know_nothing_later_come_of_no_series_that_does(smooth):
    raw = smooth.assign_attrs(sees_future=0)
    model = small().fit(raw, until="2021-06-01")
    assert model.predict(raw).attrs["sees_future"] == 0
    for days, message in ((60, "have seen 60 days ahead"), (-1, "has seen the whole series")):
        with pytest.raises(CubeError, match=message):
            model.predict(smooth.assign_attrs(sees_future=days))


def test_until_is_refused_where_nothing_is_known(smooth):
    with pytest.raises(CubeError, match=r"seen the whole series.*sel"):
        small().fit(smooth.assign_attrs(sees_future=-1), until="2022-01-01")
    with pytest.raises(CubeError, match="no value is known at 2020-02-01"):
        small().fit(smooth, until="2020-02-01")


def test_features_are_clustered_in_their_place(smooth):
    motion = insar.motion(smooth)
    names = ("seasonality", "velocity")
    model = small(features=names).fit(motion)
    np.testing.assert_array_equal(model.velocities_, model.cluster_centers_[:, 1])
    assert (np.diff(model.velocities_) >= 0).all()
    labels = model.predict(motion.chunk(point=1000)).compute()
    rows = np.stack([motion[name].values for name in names], axis=1).astype(float)
    exact = ((rows[:, None] - model.cluster_centers_) ** 2).sum(axis=2)
    assert (labels["cluster"].values == exact.argmin(axis=1)).mean() > 0.9999
    assert labels["cluster_distance"].attrs["units"] == "1"
    with pytest.raises(CubeError, match="features have no dates"):
        small(features=names).fit(motion, until="2022-01-01")
    with pytest.raises(CubeError, match="wanted 'speed'"):
        small(features=["speed"]).fit(motion)


@pytest.mark.parametrize("standardise", [False, True])
def test_features_without_a_velocity_have_none(smooth, standardise):
    motion = insar.motion(smooth)
    names = ("seasonality", "acceleration")
    model = small(features=names, standardise=standardise).fit(motion)
    assert model.velocities_.shape == model.sizes_.shape and np.isnan(model.velocities_).all()
    assert (np.diff(model.cluster_centers_[:, 0]) >= 0).all()
    labels = model.predict(motion)
    assert np.isnan(labels["centroid_velocity"]).all()
    other = small(features=names[::-1], standardise=standardise).fit(motion)
    assert (np.diff(other.cluster_centers_[:, 0]) >= 0).all()


def test_standardising_makes_units_irrelevant(smooth):
    motion = insar.motion(smooth)
    metres = motion.assign(velocity=motion["velocity"] / 1024)
    names = ("seasonality", "velocity")
    one, other = (small(features=names, standardise=True).fit(data).predict(data) for data in (motion, metres))
    np.testing.assert_array_equal(one["cluster"], other["cluster"])


def test_a_saved_model_is_the_same_model(smooth, tmp_path):
    for model in (
        small().fit(smooth, until="2021-06-01"),
        small(features=("velocity",), standardise=True).fit(insar.motion(smooth)),
    ):
        again = Clusters.load(model.save(tmp_path / "clusters.npz"))
        assert same_bits(again, model)
        assert again.parameters() == model.parameters() and again.until_ == model.until_
        assert (again.save(tmp_path / "again.npz").read_bytes()) == (tmp_path / "clusters.npz").read_bytes()
        data = smooth if model.features is None else insar.motion(smooth)
        xr.testing.assert_identical(again.predict(data), model.predict(data))


def test_what_is_no_saved_model_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    np.save(tmp_path / "array.npz", np.zeros(3))
    np.savez(tmp_path / "pickled.npz", header=np.array({}, object))
    np.savez(tmp_path / "half.npz", header=np.array('{"format": 1, "until": null, "parameters": {}}'))
    np.savez(tmp_path / "list.npz", header=np.array("[1]"))
    (tmp_path / "text.npz").write_text("text")
    (tmp_path / "empty.npz").touch()
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(ValueError, match="holds no Clusters"):
            Clusters.load(path)


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_damaged_model_is_refused(fitted, tmp_path, damage):
    path = fitted.save(tmp_path / "clusters.npz")
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 255
    path.write_bytes(data[: len(data) // 2] if damage == "truncated" else data)
    with pytest.raises(ValueError, match="holds no Clusters, or is damaged"):
        Clusters.load(path)


def test_what_has_learned_nothing_writes_no_file(tmp_path):
    with pytest.raises(ValueError, match="call fit"):
        Clusters().save(tmp_path / "clusters.npz")
    assert not list(tmp_path.iterdir())


def test_until_may_be_a_date_of_another_type(smooth, tmp_path):
    dated = small().fit(smooth, until=np.datetime64("2021-06-01"))
    assert same_bits(dated, small().fit(smooth, until="2021-06-01"))
    assert Clusters.load(dated.save(tmp_path / "clusters.npz")).until_ == "2021-06-01"


@pytest.mark.parametrize("factor", [1e5, 1e6, 1e12])
def test_values_too_large_for_exact_sums_are_refused(smooth, factor):
    """Sums of integers would wrap around, and nobody know."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(CubeError, match="too large, or infinite"):
            small().fit(with_series(smooth, smooth["displacement"].values * np.float32(factor)))


def test_an_infinite_value_is_refused(smooth):
    values = smooth["displacement"].values.copy()
    values[7, 3] = np.inf
    with pytest.raises(CubeError, match="too large, or infinite"):
        small().fit(with_series(smooth, values))


def test_mistakes_are_named(smooth, fitted):
    with pytest.raises(ValueError, match="call fit"):
        Clusters().predict(smooth)
    with pytest.raises(ValueError, match="n_clusters is 0; wanted a whole number, at least 1"):
        Clusters(n_clusters=0).fit(smooth)
    with pytest.raises(ValueError, match="n_clusters is 32768; wanted a whole number, at least 1, at most 32767"):
        Clusters(n_clusters=2**15, sample_size=2**15, batch_size=2**15).fit(smooth)
    for wrong in (2.0, "3", True):
        with pytest.raises(ValueError, match="wanted a whole number, at least 1"):
            Clusters(n_clusters=wrong).fit(smooth)
    with pytest.raises(ValueError, match=r"random_state is 4294967296; wanted .* at most 4294967295"):
        Clusters(random_state=2**32).fit(smooth)
    for features in ("velocity", ()):
        with pytest.raises(CubeError, match="wanted names, as in"):
            Clusters(features=features).fit(insar.motion(smooth))
    with pytest.raises(CubeError, match="no points"):
        small().fit(smooth.isel(point=[]))
    with pytest.raises(CubeError, match="fitted on 73 dates; this cube lacks 1 of them, the first being 2020-01-09"):
        fitted.predict(smooth.isel(time=slice(1, None)))
    with pytest.raises(CubeError, match="fewer than the 5 clusters"):
        small().fit(smooth.isel(point=slice(3)))


def test_equal_points_and_equal_velocities_are_no_trouble(smooth):
    flat = with_series(smooth, np.zeros((smooth.sizes["point"], smooth.sizes["time"])))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = small().fit(flat)
    assert model.sizes_.tolist() == [smooth.sizes["point"], 0, 0, 0, 0]
    assert model.inertia_ == 0


@pytest.mark.parametrize("terms", [{"standardise": True}, {"centre": True}, {"centre": True, "standardise": True}])
def test_other_terms_skip_dates_that_few_have(smooth, terms):
    holes = smooth["displacement"].values.copy()
    holes[:, 30:33] = np.nan
    holes[:99, 31] = 1000.0
    model = small(**terms).fit(with_series(smooth, holes))
    labels = model.predict(with_series(smooth, holes))
    assert np.isnan(model.cluster_centers_[:, 30:33]).all()
    np.testing.assert_array_equal(labels["cluster_size"], np.bincount(labels["cluster"]))


def test_as_many_clusters_are_advised_as_there_are_groups(smooth):
    truth = np.arange(smooth.sizes["point"]) % 4
    years = np.linspace(0, 3, smooth.sizes["time"])
    noise = np.random.default_rng(0).normal(0, 2, (len(truth), len(years)))
    cube = with_series(smooth, np.array([-45.0, -15.0, 15.0, 45.0])[truth, None] * years + noise)
    table = insar.choose_n_clusters(cube.chunk(point=1000), range(2, 8), sample_size=1500)
    assert table.attrs["elbow"] == table.attrs["best_silhouette"] == 4
    assert 1350 < table.attrs["n_points"] < 1650
    assert float(table["inertia"].sel(n_clusters=4)) == pytest.approx(4 * len(years), rel=0.01)
    xr.testing.assert_identical(table, insar.choose_n_clusters(cube, range(2, 8), sample_size=1500))


def test_a_number_without_a_silhouette_is_not_the_best(smooth, monkeypatch):
    monkeypatch.setattr("insar_dask.cluster.number.SILHOUETTE_POINTS", 20)
    groups = np.where(np.arange(smooth.sizes["point"]) % 2, 30.0, -30.0)[:, None] + smooth["displacement"].values
    groups[-1] += 1e5  # the one that two clusters set apart is not among the twenty
    table = insar.choose_n_clusters(with_series(smooth, groups), [2, 3, 4], sample_size=10**6)
    assert np.isnan(table["silhouette"].values).tolist() == [True, False, False]
    assert table.attrs["best_silhouette"] == 3
    alike = insar.choose_n_clusters(with_series(smooth, np.zeros_like(groups)), [2, 3])
    assert np.isnan(alike["silhouette"]).all() and "best_silhouette" not in alike.attrs
    few = insar.choose_n_clusters(smooth.isel(point=slice(3)), [2, 3])
    assert np.isnan(few["silhouette"].values).tolist() == [False, True] and few.attrs["best_silhouette"] == 2


def test_silhouettes_are_those_of_all_pairs(smooth):
    table = insar.choose_n_clusters(smooth, [2, 3], sample_size=300)
    model = small(n_clusters=3, sample_size=300, n_init=8, batch_size=1024, steps=0).fit(smooth)
    chosen, _ = drawn(smooth, 300 / smooth.sizes["point"], 0)
    rows = smooth["displacement"].values[chosen].astype(float)
    labels = model.predict(smooth)["cluster"].values[chosen]
    pairs = np.sqrt(((rows[:, None] - rows) ** 2).sum(axis=2))
    to = np.stack([pairs[:, labels == j].sum(axis=1) for j in range(3)], axis=1)
    sizes = np.bincount(labels)
    own = to[np.arange(len(rows)), labels] / (sizes[labels] - 1)
    others = np.where(np.arange(3) == labels[:, None], np.inf, to / sizes).min(axis=1)
    assert float(table["silhouette"][1]) == pytest.approx(((others - own) / np.maximum(own, others)).mean(), abs=1e-4)


def test_numbers_of_clusters_must_increase(smooth):
    for numbers in ([], [1, 2], [4, 3]):
        with pytest.raises(ValueError, match="wanted increasing numbers from 2 on"):
            insar.choose_n_clusters(smooth, numbers)


def test_centred_series_forget_their_level(smooth):
    levels = np.random.default_rng(0).normal(0, 50, (smooth.sizes["point"], 1))
    lifted = with_series(smooth, smooth["displacement"].values + levels)
    one, other = (small(centre=True).fit(cube) for cube in (smooth, lifted))
    np.testing.assert_allclose(one.cluster_centers_, other.cluster_centers_, atol=0.05)
    np.testing.assert_allclose(one.cluster_centers_.mean(axis=1), 0, atol=1e-3)
    values = smooth["displacement"].values.astype(float)
    centred = values - values.mean(axis=1, keepdims=True)
    exact = ((centred[:, None] - one.cluster_centers_) ** 2).sum(axis=2)
    assert (one.predict(smooth)["cluster"].values == exact.argmin(axis=1)).mean() > 0.9999
    assert same_bits(small(centre=True).fit(smooth.chunk(point=700)), one)
    with pytest.raises(ValueError, match="features have none"):
        small(centre=True, features=["velocity"]).fit(insar.motion(smooth))
