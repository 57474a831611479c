import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from insar_kernels.scoring import BLOCK, ERROR_SUMS, error_sums, merge_error_sums

values = st.floats(-100, 100, width=16) | st.just(np.nan)


def pairs(n, share=0.0, decimals=1):
    rng = np.random.default_rng(n)
    observed = np.round(rng.normal(30, 10, n), decimals).astype(np.float32)
    predicted = np.round(observed + rng.normal(0, 3, n), decimals).astype(np.float32)
    predicted[rng.random(n) < share] = np.nan
    observed[rng.random(n) < share] = np.nan
    observed[rng.random(n) < 0.02] = 0
    return predicted, observed


def float64_sums(predicted, observed):
    valid = ~np.isnan(predicted) & ~np.isnan(observed)
    p, o = predicted[valid].astype(np.float64), observed[valid].astype(np.float64)
    error, nonzero, size = abs(p - o), o != 0, abs(p) + abs(o)
    relative = error[nonzero] / abs(o[nonzero])
    mean_p, mean_o = (p.mean(), o.mean()) if len(p) else (0.0, 0.0)
    return {
        "n": len(p),
        "n_missing": (~valid).sum(),
        "n_zero": (~nonzero).sum(),
        "squared": (error**2).sum(),
        "absolute": error.sum(),
        "relative": relative.sum(),
        "relative_squared": (relative**2).sum(),
        "symmetric": (2 * error[size > 0] / size[size > 0]).sum(),
        "mean_predicted": mean_p,
        "mean_observed": mean_o,
        "spread_predicted": ((p - mean_p) ** 2).sum(),
        "spread_observed": ((o - mean_o) ** 2).sum(),
        "spread_both": ((p - mean_p) * (o - mean_o)).sum(),
    }


@pytest.mark.parametrize("n", [0, 1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 50_000])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0])
def test_sums_are_those_of_float64(n, share):
    predicted, observed = pairs(n, share)
    sums = dict(zip(ERROR_SUMS, error_sums(predicted, observed), strict=True))
    for name, expected in float64_sums(predicted, observed).items():
        assert sums[name] == pytest.approx(expected, rel=2e-6, abs=1e-6 * max(n, 1)), name


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("n", [0, 1, 3000])
def test_a_gpu_sums_alike(n, share, on_gpu):
    predicted, observed = pairs(n, share)
    theirs = error_sums(on_gpu(predicted), on_gpu(observed)).get()
    np.testing.assert_allclose(error_sums(predicted, observed), theirs, rtol=1e-5, atol=1e-6 * max(n, 1))


def test_parts_merge_to_the_whole_in_any_order():
    predicted, observed = pairs(200_000, 0.01)
    cuts = np.arange(0, 200_000, 4 * BLOCK)
    parts = [error_sums(predicted[at : at + 4 * BLOCK], observed[at : at + 4 * BLOCK]) for at in cuts]
    whole = error_sums(predicted, observed)
    rng = np.random.default_rng(0)
    for _ in range(5):
        merged = np.zeros(len(ERROR_SUMS))
        for part in rng.permutation(len(parts)):
            merged = merge_error_sums(merged, parts[part])
        np.testing.assert_allclose(merged, whole, rtol=1e-9)


def test_spread_survives_an_offset():
    predicted, observed = pairs(100_000, decimals=3)
    far = dict(zip(ERROR_SUMS, error_sums(predicted + 3000, observed + 3000), strict=True))
    expected = float64_sums(predicted + np.float32(3000), observed + np.float32(3000))
    for name in ("spread_predicted", "spread_observed", "spread_both", "squared"):
        assert far[name] == pytest.approx(expected[name], rel=1e-6), name


@settings(max_examples=60, deadline=None)
@given(arrays(np.float32, (2, 50), elements=values, fill=st.nothing()), st.integers(0, 50))
def test_any_cut_gives_the_same_sums(both, cut):
    predicted, observed = both
    parts = [error_sums(predicted[part], observed[part]) for part in (slice(None, cut), slice(cut, None))]
    merged, whole = merge_error_sums(*parts), error_sums(predicted, observed)
    scale = 1 + np.nansum(np.abs(whole))
    np.testing.assert_allclose(merged, whole, rtol=1e-5, atol=1e-6 * scale)
    np.testing.assert_allclose(merge_error_sums(*parts[::-1]), merged, rtol=1e-9, atol=1e-9 * scale)
