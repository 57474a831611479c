"""Networks on the series of a stored cube, from names and numbers to forecasts in millimetres."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from insar_dask.forecast.series.jobs import build_job
from insar_dask.forecast.series.prediction_blocks import series_contexts
from insar_dask.forecast.series.splits import split_by_length
from insar_dask.forecast.series.stored_points import StoredPoints
from insar_dask.forecast.series.windows import SeriesWindows
from insar_dask.forecast.training.train import train

SMALL: dict[str, dict[str, Any]] = {
    "spacetimeformer": {"width": 12, "hidden": 16, "heads": 2, "head_width": 8, "encoder_layers": 1},
    "fast": {"width": 12, "hidden": 16, "heads": 2, "head_width": 8, "encoder_layers": 1, "patch": 4},
    "lstm": {"width": 12, "layers": 1},
    "transformer": {"width": 16, "hidden": 16, "heads": 2, "layers": 1},
}


def arguments(site: StoredPoints, network: str) -> dict[str, Any]:
    """JSON-able, as a rank is sent them."""
    return {
        "source": {"path": site.path, "group": site.group, "labels": site.labels},
        "network": network,
        "every": 12,
        "windows": {"context": 12, "horizon": 3, "length": 4, "resident": 1024, "validation_points": 64},
        "sizes": SMALL[network],
        "training": {"max_steps": 12, "batch": 7, "check_every": 6, "rate": 0.01, "warmup": 1, "first_rate": 0.001},
    }


@pytest.mark.parametrize("network", SMALL)
def test_every_network_learns_from_a_store_and_forecasts_each_point(
    site: StoredPoints, network: str, tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    job = build_job(**json.loads(json.dumps(arguments(site, network))))
    windows = job.windows
    assert isinstance(windows, SeriesWindows)
    absent = windows.batch(0, rank=3, world=4)
    assert not absent["present"][-1].any()
    assert torch.isfinite(job.model(absent)).all()
    trained = train(job, tmp_path)
    assert trained.steps == 12
    assert np.isfinite(trained.history["validation"]).all()
    job.model.eval()
    source = windows.source
    blocks = list(series_contexts(source, windows.framing, [len(source.days)], block=2048))
    forecast = np.concatenate([block.forecast(job.model) for block in blocks], axis=1)
    assert forecast.shape == (1, 2600, 3)
    given = np.isfinite(np.where(source.observed, source.read(0, 2600).values, np.nan)[:, -12:]).any(axis=1)
    assert (np.isfinite(forecast[0]).all(axis=1) == given).all()


def test_ranks_make_the_same_weights_and_another_configuration_is_another_job(site: StoredPoints) -> None:
    one, again = (build_job(**arguments(site, "lstm")) for _ in range(2))
    assert one.identity == again.identity
    for left, right in zip(one.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(left, right)
    sizes = {**SMALL["lstm"], "width": 16}
    assert build_job(**arguments(site, "lstm") | {"sizes": sizes}).identity != one.identity
    for name, value in {"stride": 2, "visits": 3.0, "reach_back": True, "validation_points": 32}.items():
        cut = {**arguments(site, "lstm")["windows"], name: value}
        assert build_job(**arguments(site, "lstm") | {"windows": cut}).identity != one.identity, name
    days = one.windows.source.days  # type: ignore[attr-defined]
    split = split_by_length(len(days))
    starts = [str(np.datetime64(int(days[block.start]), "D")) for block in (split.validation, split.test)]
    by_date = build_job(**arguments(site, "lstm"), starts=starts)
    assert by_date.identity == one.identity, "the same dates, named by the days on which they begin"
    with pytest.raises(ValueError, match="wanted the days on which validation and test begin, or the three lengths"):
        build_job(**arguments(site, "lstm"), starts=starts[:1])
    with pytest.raises(ValueError, match="no network is called 'oracle'"):
        build_job(**arguments(site, "lstm") | {"network": "oracle"})
