import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from insar_kernels.counting import N_BINS, N_GROUPS, bin_edges, tally


def example(n=500, horizon=6, seed=0):
    rng = np.random.default_rng(seed)
    errors = rng.normal(0, 3, (n, horizon)).astype(np.float32)
    errors[rng.random((n, horizon)) < 0.2] = np.nan
    scale = rng.gamma(4, 0.5, (n, horizon)).astype(np.float32)
    classes = rng.integers(-1, 5, n).astype(np.int8)
    strata = rng.integers(-1, 4, n).astype(np.int8)
    groups = rng.integers(0, N_GROUPS, n).astype(np.int8)
    return errors, scale, classes, strata, groups, 5, 4


def test_sums_agree_with_numpy():
    errors, scale, classes, strata, groups, *_ = data = example()
    counts = tally(*data)
    valid = np.isfinite(errors)
    e = np.where(valid, errors, 0).astype(np.float64)
    np.testing.assert_allclose(counts.leads, np.stack([valid.sum(0), np.abs(e).sum(0), (e**2).sum(0)], 1), rtol=1e-12)
    for k in range(4):
        np.testing.assert_allclose(counts.strata[k], [valid[strata == k].sum(), (e[strata == k] ** 2).sum()])
    for k in range(N_GROUPS):
        np.testing.assert_allclose(counts.groups[k], [valid[groups == k].sum(), (e[groups == k] ** 2).sum()])
    for k in range(5):
        rows = classes == k
        for lead in range(6):
            some = valid[rows, lead]
            ratio = np.abs(errors[rows, lead][some]) / scale[rows, lead][some]
            histogram = np.histogram(np.minimum(ratio, 63), bin_edges())[0]
            assert np.abs(counts.ratios[k, lead] - histogram).sum() <= 2  # a ratio on an edge, rounded in float32
            np.testing.assert_allclose(counts.scales[k, lead], scale[rows, lead][some].astype(np.float64).sum())


def test_edges_are_where_the_bits_change():
    edges = bin_edges()[1:-1].astype(np.float32)
    ones = np.ones((1, 1), np.float32)
    none = np.zeros(1, np.int8)
    for place, edge in enumerate(edges):
        for value, bin_ in ((np.nextafter(edge, np.float32(0)), place), (edge, place + 1)):
            ratios = tally(value.reshape(1, 1), ones, none, none, none, 1, 1).ratios
            assert ratios[0, 0].argmax() == bin_


def test_ratios_beyond_the_histogram_fall_into_its_last_bins():
    errors = np.array([[0.0, 1e-9, 1e9]], np.float32)
    none = np.zeros(1, np.int8)
    ratios = tally(errors, np.ones_like(errors), none, none, none, 1, 1).ratios[0]
    assert ratios[0, 0] == ratios[1, 0] == ratios[2, N_BINS - 1] == 1


def test_an_error_without_a_scale_has_no_ratio_but_counts():
    errors = np.ones((1, 2), np.float32)
    scale = np.array([[np.nan, 1.0]], np.float32)
    none = np.zeros(1, np.int8)
    counts = tally(errors, scale, none, none, none, 1, 1)
    assert counts.ratios.sum() == 1 and counts.leads[:, 0].tolist() == [1, 1]


@given(st.integers(1, 499), st.integers(0, 2**31))
@settings(max_examples=15, deadline=None)
def test_tallies_of_parts_add_up(cut, seed):
    *arrays, n_classes, n_strata = example(seed=seed)
    whole = tally(*arrays, n_classes, n_strata)
    parts = [tally(*(a[rows] for a in arrays), n_classes, n_strata) for rows in (slice(cut), slice(cut, None))]
    for name in whole._fields:
        total = getattr(parts[0], name) + getattr(parts[1], name)
        np.testing.assert_allclose(total, getattr(whole, name), rtol=1e-12)
