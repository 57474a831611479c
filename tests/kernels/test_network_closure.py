import numpy as np
import pytest

from insar_kernels.network_closure import close_loops, triplets


def network(n_dates=40):
    first, second = np.triu_indices(n_dates, 1)
    near = second - first <= 4
    return first[near], second[near]


def with_errors(n, share, noise=0.35, seed=0):
    """150 pairs in 220 loops; phase with noise of its own in each pair, and cycles that are wrong."""
    rng = np.random.default_rng(seed)
    first, second = network()
    series = np.cumsum(rng.normal(0, 0.5, (n, 40)), axis=1)
    phase = series[:, second] - series[:, first] + rng.normal(0, noise, (n, first.size))
    cycles = np.where(rng.random(phase.shape) < share, rng.choice([-1, 1], phase.shape), 0)
    return first, second, phase + 2 * np.pi * cycles, cycles


def test_triplets_are_all_loops_of_three():
    first, second = network(9)
    loops = triplets(first, second)
    expected = {
        (ab, bc, ac)
        for ab in range(first.size)
        for bc in range(first.size)
        for ac in range(first.size)
        if second[ab] == first[bc] and first[ab] == first[ac] and second[bc] == second[ac]
    }
    assert set(map(tuple, loops.tolist())) == expected and len(loops) == len(expected)


@pytest.mark.parametrize(("share", "right"), [(0.02, 0.995), (0.05, 0.98), (0.10, 0.89)])
def test_points_are_made_right(share, right):
    first, second, phase, cycles = with_errors(2000, share)
    found, _, _ = close_loops(phase, triplets(first, second))
    assert (found == -cycles).all(axis=1).mean() >= right


def test_good_phase_is_left_alone_whatever_its_fraction_of_a_cycle():
    first, second, phase, _ = with_errors(200, 0.0, noise=0.2)
    cycles, still_open, checked = close_loops(phase + 0.4, triplets(first, second))
    assert not cycles.any() and not still_open.any() and checked.all()


def test_missing_values_open_no_loop_and_pairs_without_loop_are_unchecked():
    first, second = np.array([0, 1, 0, 2]), np.array([1, 2, 2, 3])
    loops = triplets(first, second)
    phase = np.array([[1.0, 1.0, 2.0, 50.0], [1.0, np.nan, 99.0, 0.0]])
    cycles, still_open, checked = close_loops(phase, loops)
    assert not cycles.any() and not still_open.any()
    assert checked.tolist() == [[True, True, True, False], [False] * 4]


@pytest.mark.parametrize("missing", [0.1, 0.4])
def test_missing_pairs_have_no_say_in_which_value_is_wrong(missing):
    first, second, phase, _ = with_errors(60, 0.0, noise=0.0)
    rng = np.random.default_rng(2)
    wrong = np.eye(first.size, dtype=bool)[rng.integers(0, first.size, len(phase))]
    gaps = (rng.random(phase.shape) < missing) & ~wrong
    cycles, still_open, checked = close_loops(
        np.where(gaps, np.nan, phase + 2 * np.pi * wrong), triplets(first, second)
    )
    for i, gap in enumerate(gaps):
        own = phase[i, ~gap] + 2 * np.pi * wrong[i, ~gap]
        alone = close_loops(own[None], triplets(first[~gap], second[~gap]))
        for whole, part in zip((cycles, still_open, checked), alone, strict=True):
            np.testing.assert_array_equal(whole[i, ~gap], part[0])
    assert not cycles[gaps].any() and not still_open[gaps].any()


def test_more_turns_than_are_held_leave_a_loop_open():
    phase = 2 * np.pi * np.array([[200.0, 0, 0, 0, 0], [100.0, 0, 0, 0, 0]])
    cycles, still_open, _ = close_loops(phase, np.array([[0, 1, 2], [0, 3, 4]]))
    assert cycles.tolist() == [[-127, 0, 0, 0, 0], [-100, 0, 0, 0, 0]]
    assert still_open.tolist() == [[True] * 5, [False] * 5]


def test_a_loop_whose_values_are_equally_likely_wrong_stays_open():
    phase = 2 * np.pi * np.array([[1.0, 0, 0, 0, 0], [0, 0, 1.0, 0, 0]])
    cycles, still_open, _ = close_loops(phase, np.array([[0, 1, 2], [0, 3, 4]]))
    assert cycles.tolist() == [[-1, 0, 0, 0, 0], [0] * 5]
    assert still_open.tolist() == [[False] * 5, [True] * 3 + [False] * 2]
