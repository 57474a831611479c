import numpy as np
import pytest
import xarray as xr

from insar_dask.forecast.published.protocols import Material, honest_material, learn_patterns, paper_material
from insar_dask.forecast.published.sample import stratified_runs
from insar_dask.forecast.published.scaling import calendar, scaling
from insar_dask.forecast.published.scores import by_pattern, count_stage, overall

ORIGIN = 140


def test_the_published_windows_are_71_4_and_4_and_honest_ones_28_a_block(paper: Material, honest: Material):
    counts = [[len(one.origins(stage)) for stage in ("train", "validation", "test")] for one in (paper, honest)]
    assert counts == [[71, 4, 4], [71, 28, 28]]
    targets = {t for origin in paper.origins("test") for t in range(origin, origin + 6)}
    assert targets == set(range(157, 166))  # nine dates are all that the published test forecasts


def test_components_sum_to_what_is_scored(paper: Material, honest: Material):
    for one in (paper, honest):
        whole = np.sum([one.components[name] for name in ("trend", "season", "residual")], axis=0)
        np.testing.assert_allclose(whole[:, one.observed], one.whole[:, one.observed], atol=2e-4)


def test_honest_targets_are_raw_values_at_real_acquisitions(plateau: xr.Dataset, honest: Material):
    assert honest.observed.sum() == 158
    np.testing.assert_array_equal(honest.whole[:, honest.observed], plateau["displacement"].values)
    assert np.isnan(honest.whole[:, ~honest.observed]).all()
    assert np.isnan(honest.targets("whole", "test")).any()


def test_a_date_that_a_point_lacks_is_not_filled_from_both_its_sides(plateau: xr.Dataset, honest: Material):
    values = plateau["displacement"].values.copy()
    values[:8, 40] = np.nan
    gaps = honest_material(
        plateau.assign(displacement=plateau["displacement"].copy(data=values)), relearned(plateau, honest)
    )
    np.testing.assert_array_equal(gaps.whole[:, gaps.observed], values)


def test_nothing_honest_before_an_origin_changes_with_what_follows(plateau: xr.Dataset, honest: Material):
    blind = honest_material(scrambled(plateau, honest.dates[ORIGIN]), relearned(plateau, honest))
    for name in ("trend", "season", "residual", "whole"):
        np.testing.assert_array_equal(blind.series(name)[:, :ORIGIN], honest.series(name)[:, :ORIGIN])
    np.testing.assert_array_equal(blind.patterns, honest.patterns)
    for name in ("trend", "season", "residual"):
        for ours, theirs in zip(scaling(honest, name, ROWS), scaling(blind, name, ROWS), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_as_published_what_lies_before_an_origin_changes_with_what_follows(plateau: xr.Dataset, paper: Material):
    blind = paper_material(shifted(plateau, paper.dates[ORIGIN]), learn_patterns(plateau, (11, 2)), (11, 2))
    for name in ("trend", "season", "whole"):  # a level that follows every smoothed date leaves no residual
        assert np.abs(blind.series(name)[:, :ORIGIN] - paper.series(name)[:, :ORIGIN]).max() > 1


def test_as_published_every_series_has_mean_0_and_deviation_1_over_the_whole_record(paper: Material):
    shift, scale = scaling(paper, "trend", ROWS)
    scaled = (paper.components["trend"] - shift[:, None]) / scale[:, None]
    np.testing.assert_allclose(scaled.mean(axis=1), 0, atol=1e-4)
    np.testing.assert_allclose(scaled.std(axis=1), 1, atol=1e-4)


def test_the_honest_calendar_counts_years_of_the_training_block(paper: Material, honest: Material):
    assert calendar(paper)[:, 0].max() == 1
    assert calendar(honest)[: honest.split.train.stop, 0].max() == 1
    assert calendar(honest)[:, 0].max() > 1


def test_runs_are_whole_and_as_many_for_each_pattern():
    labels = np.random.default_rng(0).choice(4, p=[0.7, 0.1, 0.1, 0.1], size=200).repeat(16)
    rows = stratified_runs(labels, n_points=16 * 40, run=16, seed=1)
    assert (np.diff(rows.reshape(40, 16), axis=1) == 1).all() and (rows[::16] % 16 == 0).all()
    assert np.bincount(labels[rows]).tolist() == [160] * 4
    assert stratified_runs(labels, 640, 16, seed=2).tolist() != rows.tolist()


def test_a_sample_larger_than_the_runs_is_refused():
    with pytest.raises(ValueError, match="make 2 runs of 16, wanted 3"):
        stratified_runs(np.zeros(40, int), n_points=48, run=16)
    with pytest.raises(ValueError, match="multiple of the run"):
        stratified_runs(np.zeros(40, int), n_points=40, run=16)


def test_scores_of_patterns_and_leads_add_up_to_those_of_all():
    rng = np.random.default_rng(0)
    predicted, targets = rng.normal(size=(2, 3, 50, 6)).astype(np.float32)
    targets[0, 7, 2] = np.nan
    patterns = rng.integers(0, 8, 50).astype(np.int8)
    counted = count_stage(predicted, targets, patterns)
    valid = np.isfinite(targets)
    error = (predicted - targets)[valid]
    found = overall(counted)
    assert found["n"] == 899 and found["n_missing"] == 1
    np.testing.assert_allclose(found["rmse"], np.sqrt((error**2).mean()), rtol=1e-5)
    np.testing.assert_allclose(found["mape_as_printed"], ((error / targets[valid]) ** 2).mean(), rtol=1e-4)
    mine = patterns == 3
    error = (predicted - targets)[:, mine][valid[:, mine]]
    np.testing.assert_allclose(by_pattern(counted)[3]["mae"], np.abs(error).mean(), rtol=1e-5)


ROWS = np.arange(64)


def scrambled(cube: xr.Dataset, date: np.datetime64) -> xr.Dataset:
    """The future overwritten with nonsense and gaps."""
    future = cube["time"].values >= date
    values = cube["displacement"].values.copy()
    values[:, future] = np.where(np.arange(future.sum()) % 3 == 0, np.nan, 1e4)
    return cube.assign(displacement=cube["displacement"].copy(data=values))


def shifted(cube: xr.Dataset, date: np.datetime64) -> xr.Dataset:
    """100 mm more from a date on."""
    return cube.assign(displacement=cube["displacement"] + 100 * (cube["time"] >= date).astype("float32"))


def relearned(cube: xr.Dataset, honest: Material):
    return learn_patterns(scrambled(cube, honest.dates[ORIGIN]), None)
