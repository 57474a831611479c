"""Windows gathered where series lie; oracle: the same windows framed on the host."""

from typing import Any

import numpy as np
import pytest
import torch

from insar_dask.forecast.series.framing import SCALINGS
from insar_dask.forecast.series.prediction_blocks import series_contexts
from insar_dask.forecast.series.windows import SeriesWindows
from insar_dask.forecast.training.feeding import QueuedFeed
from insar_dask.forecast.training.together import Ranks
from tests.forecast.lines import N_DATES, SIZES, SPLIT, source_of

CPU = torch.device("cpu")


def windows_of(**settings: Any) -> SeriesWindows:
    return SeriesWindows(source_of(gaps=0.4), SPLIT, **{**SIZES, "calendar": "waves", **settings})


@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_batch_is_the_one_of_the_host(scaling: str) -> None:
    windows, other = windows_of(scaling=scaling), windows_of(scaling=scaling)
    feed = QueuedFeed(windows, Ranks(1, 3), CPU, room=10**9)
    assert feed.stocked is windows
    for step in [*range(2 * windows.steps_per_round + 1), 1]:
        there, here = feed.batch(step), other.batch(step, 1, 3)
        assert there.keys() == here.keys()
        for name, tensor in here.items():
            if name == "places":
                torch.testing.assert_close(there[name], tensor)
            else:
                torch.testing.assert_close(there[name], tensor, rtol=1e-6 if scaling == "window" else 0, atol=0)
    feed.close()


@pytest.mark.parametrize(("resident", "stocks"), [(64, {0, 1, 2}), (200, {0})])
def test_a_stock_is_sent_once_for_all_steps_that_it_serves(resident: int, stocks: set[int]) -> None:
    windows = SeriesWindows(source_of(block=32), SPLIT, resident=resident, **SIZES)
    feed = QueuedFeed(windows, Ranks(), CPU, room=windows.stock_bytes())
    sent = []
    for step in range(3 * windows.steps_per_round):
        feed.batch(step)
        if not sent or sent[-1] is not feed.there:
            sent.append(feed.there)
    feed.close()
    assert {key for key, _ in sent} == stocks and len(sent) == len(stocks)
    for _, stock in sent:
        own = [tensor for name, tensor in stock.items() if name != "calendar"]
        assert sum(tensor.nbytes for tensor in own) <= windows.stock_bytes()


@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_forecast_is_the_one_of_the_host(scaling: str) -> None:
    def model(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return batch["values"][..., -3:] + batch["places"].sum(-1, keepdim=True) / 1e3

    source = source_of(gaps=0.4)
    source.points.values[7] = np.nan
    framing = windows_of(scaling=scaling).framing
    for block in series_contexts(source, framing, [40, N_DATES], block=64, batch=7):
        here, there = block.forecast(model), block.forecast_there(model, CPU)
        np.testing.assert_allclose(there, here, rtol=2e-6, atol=1e-4)
        assert np.isnan(here).any() == (block.start == 0)
