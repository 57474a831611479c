"""Contexts at given origins and forecasts of the points again; oracle: networks whose answer can be read off."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from insar_dask.cube import CubeError
from insar_dask.forecast.series.framing import SCALINGS, Framing
from insar_dask.forecast.series.point_source import ArrayPoints
from insar_dask.forecast.series.prediction_blocks import PredictionBlock, series_contexts
from insar_dask.forecast.timetable import TooShortError
from tests.forecast.lines import N_DATES, SPLIT, TIMES, source_of

CONTEXT, HORIZON = 8, 3


def framing_of(source: ArrayPoints, **settings: object) -> Framing:
    sizes = {"context": CONTEXT, "horizon": HORIZON, "length": 4, "reach": 100.0, "n_patterns": 3, "scale": 50.0}
    return Framing.of(source, SPLIT.train, **sizes | settings)


def last_value(batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return batch["values"][..., -1:].expand(-1, -1, HORIZON)


def blocks_of(source: ArrayPoints, origins: list[int], **settings: object) -> list[PredictionBlock]:
    return list(series_contexts(source, framing_of(source, **settings), origins, block=64, batch=7))


@pytest.mark.parametrize("scaling", SCALINGS)
def test_forecasts_come_back_to_their_points_in_millimetres(scaling: str) -> None:
    source = source_of(gaps=0.0)
    blocks = blocks_of(source, [40, 55], scaling=scaling)
    assert [(block.start, block.stop) for block in blocks] == [(0, 64), (64, 128), (128, 192), (192, 200)]
    forecast = np.concatenate([block.forecast(last_value) for block in blocks], axis=1)
    expected = np.repeat(source.points.values[:, [39, 54]].T[..., None], HORIZON, axis=-1)
    np.testing.assert_allclose(forecast, expected, atol=0.1)
    assert forecast.dtype == np.float32


def test_targets_are_what_came_and_nothing_after_the_record() -> None:
    source = source_of(gaps=0.1)
    targets = np.concatenate([block.targets() for block in blocks_of(source, [40, N_DATES - 1])], axis=1)
    np.testing.assert_array_equal(targets[0], source.points.values[:, 40:43])
    np.testing.assert_array_equal(targets[1, :, 0], source.points.values[:, -1])
    assert np.isnan(targets[1, :, 1:]).all()


def test_dates_after_the_record_continue_its_spacing() -> None:
    source = source_of()
    times = blocks_of(source, [N_DATES], calendar="waves")[0]
    batch, _ = next(times.batches())
    framing = framing_of(source, calendar="waves")
    ahead = (TIMES[-1] + 12 * np.arange(1, HORIZON + 1)).astype("datetime64[D]").astype(np.int64)
    np.testing.assert_allclose(batch["target_time"][0], framing.features(ahead))
    np.testing.assert_allclose(batch["context_time"][0], framing.features(source.days[-CONTEXT:]))


@settings(max_examples=20)
@given(
    origin=st.integers(CONTEXT, N_DATES),
    scaling=st.sampled_from(SCALINGS),
    seed=st.integers(0, 2**31),
    share=st.floats(0, 1),
)
def test_inputs_know_nothing_from_their_origin_on(origin: int, scaling: str, seed: int, share: float) -> None:
    """Values on the origin and later become nonsense or missing. What scales a point is known at the end of the
    training block, so before it only what a window has of its own is free of what comes.
    """
    if scaling not in ("last", "window"):
        origin = max(origin, SPLIT.train.stop)
    rng = np.random.default_rng(seed)
    known = source_of(n_points=40)
    values = known.points.values.copy()
    after = values[:, origin:]
    after[:] = np.where(rng.random(after.shape) < share, np.nan, rng.normal(0, 1e4, after.shape))
    blind = source_of(n_points=40, values=values)
    framing = framing_of(known, scaling=scaling)
    assert framing == framing_of(blind, scaling=scaling)
    for one, other in zip(
        series_contexts(known, framing, [origin]), series_contexts(blind, framing, [origin]), strict=True
    ):
        for (batch, _), (blinded, _) in zip(one.batches(), other.batches(), strict=True):
            assert batch.keys() == blinded.keys()
            assert all(torch.equal(batch[name], blinded[name]) for name in batch)
        np.testing.assert_array_equal(one.forecast(last_value), other.forecast(last_value))


def test_a_point_without_a_value_in_its_context_has_no_forecast() -> None:
    values = source_of(gaps=0.0).points.values.copy()
    values[3, 32:40] = np.nan
    values[9] = np.nan
    forecast = blocks_of(source_of(values=values), [40])[0].forecast(last_value)
    assert np.isnan(forecast[0, [3, 9]]).all()
    assert np.isfinite(np.delete(forecast[0], [3, 9], axis=0)).all()


def test_offsets_cut_other_groups_and_forecast_the_same_points() -> None:
    source = source_of(gaps=0.0, patterns=None)
    framing = framing_of(source)
    pair = [next(series_contexts(source, framing, [40], offset=offset)) for offset in (0, 2)]
    assert len(pair[1].groups.members) == len(pair[0].groups.members) + 1
    np.testing.assert_allclose(*(block.forecast(last_value) for block in pair), atol=0.1)


def test_errors_say_which_dates_are_wanted() -> None:
    source = source_of()
    framing = framing_of(source)
    with pytest.raises(TooShortError, match=r"origins are 5 to 5.*leaves 8 to 60"):
        next(series_contexts(source, framing, [5]))
    with pytest.raises(TooShortError, match="origins are 61 to 61"):
        next(series_contexts(source, framing, [61]))
    weekly = source_of(times=TIMES[0] + 6 * np.arange(N_DATES))
    with pytest.raises(CubeError, match=r"6 to 6 days apart, those of the training were 12.*every='12D'"):
        next(series_contexts(weekly, framing, [40]))


def test_framing_survives_json() -> None:
    framing = framing_of(source_of(), scaling="global", shift=1.5)
    assert Framing.from_dict(framing.to_dict()) == framing
