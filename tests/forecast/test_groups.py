"""Every point in exactly one group, of its own pattern, within reach; oracle: the definition, point by point."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insar_dask.forecast.groups import ABSENT, Groups, cut_groups


def by_definition(places: np.ndarray, length: int, reach: float, patterns: np.ndarray, offset: int) -> list[list[int]]:
    """Runs of each pattern, cut after ``offset`` points and then every ``length``."""
    runs: list[list[int]] = []
    for pattern in np.unique(patterns):
        last = None
        for point in np.flatnonzero(patterns == pattern):
            if last is None or np.hypot(*(places[point] - places[last])) > reach:
                runs.append([])
            runs[-1].append(int(point))
            last = point
    groups = []
    for run in runs:
        head = offset if len(run) > length else 0
        groups += [run[:head], *(run[at : at + length] for at in range(head, len(run), length))]
    return sorted(group for group in groups if group)


def listed(groups: Groups) -> list[list[int]]:
    return [row[row != ABSENT].tolist() for row in groups.members]


@settings(max_examples=60)
@given(
    n_points=st.integers(1, 60),
    length=st.integers(1, 9),
    n_patterns=st.integers(1, 4),
    offset=st.integers(0, 8),
    seed=st.integers(0, 2**31),
)
def test_groups_follow_the_definition(n_points: int, length: int, n_patterns: int, offset: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    places = np.cumsum(rng.integers(-3, 4, (n_points, 2)), axis=0) * 100.0
    patterns = rng.integers(-1, n_patterns, n_points).astype(np.int8)
    groups = cut_groups(places, length, 300.0, patterns, offset % length)
    assert listed(groups) == by_definition(places, length, 300.0, patterns, offset % length)
    assert sorted(point for group in listed(groups) for point in group) == list(range(n_points))


@given(n_points=st.integers(1, 50), length=st.integers(1, 7), seed=st.integers(0, 2**31))
def test_scatter_undoes_gather(n_points: int, length: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    patterns = rng.integers(0, 3, n_points)
    groups = cut_groups(rng.normal(0, 500, (n_points, 2)), length, 400.0, patterns)
    values = rng.normal(size=(n_points, 3)).astype(np.float32)
    np.testing.assert_array_equal(groups.scatter(groups.gather(values)), values)
    assert groups.gather(values).shape == (*groups.members.shape, 3)


def test_offsets_join_neighbours_that_another_offset_parts() -> None:
    line = np.arange(64.0)[:, None] * [100.0, 0.0]
    together = np.zeros(63, bool)
    for offset in range(4):
        for group in listed(cut_groups(line, 4, 150.0, offset=offset)):
            together[group[:-1]] |= np.diff(group) == 1
    assert together.all()


def test_pattern_with_fewer_points_than_seats_is_one_padded_group_and_is_counted() -> None:
    line = np.arange(19.0)[:, None] * [100.0, 0.0]
    patterns = np.repeat([0, 1], [16, 3])
    groups = cut_groups(line, 8, 150.0, patterns)
    assert listed(groups)[-1] == [16, 17, 18]
    assert (len(groups.members), groups.n_padded) == (3, 1)


def test_one_point_is_a_group_and_no_point_is_none() -> None:
    assert listed(cut_groups(np.zeros((1, 2)), 8, 1000.0)) == [[0]]
    none = cut_groups(np.zeros((0, 2)), 8, 1000.0)
    assert none.members.shape == (0, 8)
    assert none.scatter(np.zeros((0, 8, 6))).shape == (0, 6)


def test_places_are_metres_from_the_centroid_of_those_present() -> None:
    places = np.array([[4_000_000.0, 3_000_000.0], [4_000_100.0, 3_000_000.0], [4_000_200.0, 3_000_060.0]])
    groups = cut_groups(places, 2, 1000.0)
    np.testing.assert_allclose(groups.places(places), [[[-50, 0], [50, 0]], [[0, 0], [0, 0]]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"length": 0}, "at least 1 seat"),
        ({"reach": 0.0}, "above 0"),
        ({"reach": np.nan}, "above 0"),
        ({"offset": 4}, "wanted 0 to 3"),
        ({"places": np.zeros((3, 3))}, "wanted \\(n, 2\\)"),
        ({"places": np.array([[0, 0], [np.nan, 0], [0, 0]])}, "point 1 has no place"),
        ({"patterns": np.zeros(2, np.int8)}, "for 3 points"),
    ],
)
def test_errors_say_what_is_wrong(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cut_groups(**{"places": np.zeros((3, 2)), "length": 4, "reach": 100.0} | change)
