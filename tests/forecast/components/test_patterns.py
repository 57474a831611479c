import numpy as np
import pytest
import xarray as xr

import insar_dask as insar
from insar_dask.cube import CubeError
from insar_dask.forecast.components.patterns import learn_patterns
from insar_dask.forecast.series.point_source import ArrayPoints, CubePoints

UNTIL = "2020-06-13"
DAY = int(np.datetime64(UNTIL, "D").astype(np.int64))


def test_patterns_are_the_clusters_of_the_series_before_the_day(plateau: xr.Dataset) -> None:
    source = CubePoints(plateau)
    patterns = learn_patterns(source, DAY, 3, 8, 0)
    oracle = insar.Clusters(3, random_state=0).fit(plateau, until=UNTIL)
    np.testing.assert_array_equal(patterns.curves, oracle.cluster_centers_)
    labels = patterns.label(plateau["displacement"].values, source.days)
    np.testing.assert_array_equal(labels, oracle.predict(plateau)["cluster"].values)
    assert labels[9] == -1


def test_labels_know_nothing_from_the_day_on_and_serve_other_dates(plateau: xr.Dataset) -> None:
    source = CubePoints(plateau)
    values = plateau["displacement"].values
    patterns = learn_patterns(source, DAY, 3, 8, 0)
    labels = patterns.label(values, source.days)
    later = values.copy()
    later[:, source.days >= DAY] = 1e4
    blind = learn_patterns(
        CubePoints(plateau.assign(displacement=plateau["displacement"].copy(data=later))), DAY, 3, 8, 0
    )
    np.testing.assert_array_equal(blind.curves, patterns.curves)
    np.testing.assert_array_equal(patterns.label(later, source.days), labels)
    between = (values[:, 1:] + values[:, :-1]) / 2
    moved = patterns.label(between, (source.days[1:] + source.days[:-1]) // 2)
    assert (moved == labels).mean() > 0.95


def test_there_are_no_more_patterns_than_points_bear(plateau: xr.Dataset) -> None:
    series, places, times = plateau["displacement"].values, np.zeros((150, 2)), plateau["time"].values
    places[:, 0] = np.arange(150)
    few = ArrayPoints.of(series[30:50], places[30:50], times)
    assert len(learn_patterns(few, DAY, 8, 8, 0)) == 2
    gaps = series.copy()
    gaps[np.arange(150), np.arange(150) % 60] = np.nan
    assert len(learn_patterns(ArrayPoints.of(gaps, places, times), DAY, 8, 8, 0)) == 1, "no series is whole"
    nothing = ArrayPoints.of(np.full_like(series, np.nan), places, times)
    with pytest.raises(CubeError, match=f"none of 150 points has a value before {UNTIL}"):
        learn_patterns(nothing, DAY, 8, 8, 0)
