import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from insar_dask.forecast.published import linear as published_linear
from insar_dask.forecast.published.baselines import baselines
from insar_dask.forecast.published.linear import WindowLinear
from insar_dask.forecast.published.protocols import Material
from insar_dask.forecast.published.scores import overall

ORIGINS = range(24, 60)


def walks(n_points: int = 30, gaps: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(4)
    series = np.cumsum(rng.normal(size=(n_points, 80)), axis=1).astype(np.float32)
    return np.where(rng.random(series.shape) < gaps, np.nan, series).astype(np.float32)


def windows(series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x = np.concatenate([series[:, origin - 24 : origin] for origin in ORIGINS]).astype(float)
    return x, np.concatenate([series[:, origin : origin + 6] for origin in ORIGINS]).astype(float)


@pytest.mark.parametrize("kind", ["nlinear", "ridge"])
def test_weights_agree_with_scikit_learn(kind: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(published_linear, "PENALTY", 0.0)
    series = walks()
    x, y = windows(series)
    last = x[:, -1:] if kind == "nlinear" else 0.0
    oracle = LinearRegression().fit(x - last, y - last)
    model = WindowLinear(kind).fit(series, ORIGINS)
    new = walks(7)[:, 20:44].astype(float)
    anchor = new[:, -1:] if kind == "nlinear" else 0.0
    expected = oracle.predict(new - anchor) + anchor
    np.testing.assert_allclose(model.predict(new.astype(np.float32), 24), expected, atol=2e-3)


def test_the_two_parts_of_dlinear_are_a_moving_average_with_repeated_ends_and_the_rest():
    values = walks(3)[:, :24].astype(float)
    padded = np.concatenate([values[:, :1].repeat(12, axis=1), values, values[:, -1:].repeat(12, axis=1)], axis=1)
    expected = np.stack([np.convolve(row, np.full(25, 1 / 25), "valid") for row in padded])
    np.testing.assert_allclose(published_linear._averaged(values), expected, atol=1e-9)


def test_a_line_is_continued_through_gaps():
    slopes = np.linspace(-1, 1, 40)[:, None]
    series = (slopes * np.arange(80)).astype(np.float32)
    series[:, 30] = np.nan
    model = WindowLinear("nlinear").fit(series, ORIGINS)
    np.testing.assert_allclose(model.predict(series, 70), slopes * np.arange(70, 76), atol=0.05)


def test_a_forecast_reads_nothing_from_its_origin_on():
    series = walks(gaps=0.1)
    for window in (0, 11):
        model = WindowLinear("nlinear", window=window).fit(series, ORIGINS)
        blind = series.copy()
        blind[:, 60:] = 1e4
        np.testing.assert_array_equal(model.predict(series, 60), model.predict(blind, 60))


def test_windows_before_the_record_have_no_forecast():
    model = WindowLinear("ridge", context=48).fit(walks(), range(48, 70))
    assert np.isnan(model.predict(walks(), 40)).all()
    with pytest.raises(ValueError, match="no origin has 48 dates before it"):
        WindowLinear("ridge", context=48).fit(walks(), ORIGINS[:10])


def test_every_baseline_is_scored_on_the_same_values(honest: Material):
    found = baselines(honest)
    counts = {name: overall(stages["test"])["n"] for name, stages in found.items()}
    assert len(set(counts.values())) == 1
    assert set(counts) >= {"persistence", "gaussian_process", "nlinear_48", "dlinear_24"}
    last = np.stack([last_valid(honest.whole[:, :origin]) for origin in honest.origins("test")])
    error = last[..., None] - honest.targets("whole", "test")
    np.testing.assert_allclose(
        overall(found["persistence"]["test"])["rmse"], np.sqrt(np.nanmean(error**2.0)), rtol=1e-5
    )


def last_valid(series: np.ndarray) -> np.ndarray:
    return np.array([row[np.isfinite(row)][-1] for row in series])
