"""The figures that accuracy reports, against ones computed by hand."""

import numpy as np
import pytest

from tests.benchmarks import accuracy


@pytest.fixture
def errors():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 3.0, (9, 400, 2)).astype(np.float32)
    noise[2, 5, 1] = np.nan
    extra = rng.normal(0, 1.0, (4, *noise.shape)).astype(np.float32)
    return {
        "harmonic_ridge": noise + 2 * extra[0],
        "gaussian_process": noise + 1.5 * extra[1],
        "kriging": noise + extra[2],
        "oracle": noise,
    }


def test_scores_are_those_computed_by_hand(errors):
    cells = np.arange(400) // 10
    scores = accuracy.summary(errors, cells, 3)
    assert scores["n"] == 9 * 400 * 2 - 1
    assert scores["better_linear"] == ["gaussian_process"] * 3
    square = {name: np.nanmean(error.astype(float) ** 2) for name, error in errors.items()}
    ours = scores["methods"]["kriging"]
    assert ours["rmse"][2] == pytest.approx(np.sqrt(square["kriging"]), abs=1e-4)
    assert ours["minus_better"][2] == pytest.approx(
        np.sqrt(square["kriging"]) - np.sqrt(square["gaussian_process"]), abs=1e-4
    )
    removed = (square["gaussian_process"] - square["kriging"]) / (square["gaussian_process"] - square["oracle"])
    assert ours["removed_all"] == pytest.approx(removed, abs=1e-3)
    low, high = ours["removed_all_90"]
    assert low < removed < high
    assert all(bound < 0 for bound in ours["minus_better_90"][1])
    assert scores["methods"]["gaussian_process"]["minus_better_90"] == [[0.0] * 3, [0.0] * 3]
    assert scores["methods"]["oracle"]["removed_all"] == 1.0


def test_intervals_reckon_with_errors_that_cells_share(errors):
    alike = np.random.default_rng(1).normal(0, 1.0, (1, 10, 1)).repeat(40, axis=1)
    errors["kriging"] = errors["oracle"] + alike.astype(np.float32)
    widths = []
    for cells in (np.arange(400), np.arange(400) // 40):
        low, high = accuracy.summary(errors, cells, 3)["methods"]["kriging"]["removed_all_90"]
        widths.append(high - low)
    assert widths[1] > 1.5 * widths[0]
