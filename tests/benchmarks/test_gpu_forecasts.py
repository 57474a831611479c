from functools import partial

from insar_dask.forecast.components.settings import Settings, Shape
from tests.benchmarks import gpu_forecasts

TINY = {"width": 8, "hidden": 16, "heads": 1, "head_width": 8, "encoder_layers": 1, "decoder_layers": 1}


def test_forecasts_are_measured_from_store_to_store(networks_there, monkeypatch):
    """On the processor, which takes the same ways through a task."""
    monkeypatch.setattr(gpu_forecasts, "ComponentSettings", partial(Settings, Shape(patterns=2), TINY))
    rows = list(gpu_forecasts.job_rows(200, threads=1))
    assert [row["what"].partition(",")[0] for row in rows] == ["spacetimeformer", "spacetimeformer_components"]
    assert all(0 < row["share"] < 1 for row in rows)
    assert networks_there["turns"] == 1 + 6, "one shard"
    assert [row["wanted"] for row in rows if "bar" in row] == ["<= 2 s of the GPU"]
    assert "100,000,000 points, reckoned from these" in rows[0]["note"]
