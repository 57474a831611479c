from typing import Any

import pytest
import torch

from insar_dask.cube import CubeError
from insar_dask.forecast import Forecaster
from insar_dask.forecast.models import build
from insar_dask.forecast.network_memory import lesson_bytes, times_the_preset, weight_bytes
from insar_dask.synthetic import scene


@pytest.mark.parametrize(
    ("network", "sizes"),
    [
        ("fast", {}),
        ("fast", {"width": 24, "hidden": 40, "heads": 3, "head_width": 8, "encoder_layers": 1, "decoder_layers": 4}),
        ("spacetimeformer", {"points": 3, "context": 12, "width": 20, "encoder_layers": 3, "decoder_layers": 2}),
    ],
)
def test_weights_are_those_of_the_network_that_is_built(network: str, sizes: dict[str, Any]) -> None:
    built = build(network, **sizes)
    assert weight_bytes(network, sizes) == sum(weight.nbytes for weight in built.parameters())


def test_what_is_computed_grows_with_sizes_and_never_falls_below_the_preset() -> None:
    assert times_the_preset("fast", {}) == times_the_preset("fast", {"width": 16}) == 1
    assert times_the_preset("fast", {"encoder_layers": 10, "decoder_layers": 10}) == 2
    assert times_the_preset("fast", {"context": 54}) == 2
    whole, small = (lesson_bytes("fast", {}, 256, per_window) for per_window in (1000, 0))
    assert whole == small + 256_000 and small == 8 * weight_bytes("fast", {})


@pytest.mark.parametrize("method", ["spacetimeformer", "spacetimeformer_components"])
@pytest.mark.parametrize("sizes", [{"width": 10**6}, {"hidden": 10**9}, {"encoder_layers": 10**6}])
def test_a_network_that_does_not_fit_is_refused_before_it_is_built(method: str, sizes: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    cube = scene("chumar", n_points=20, seed=1)
    with pytest.raises(
        CubeError, match=r"training takes [\d,]+ MB, [\d,]+ MB are free: no batch is small enough, one of"
    ):
        Forecaster(method, sizes=sizes).fit(cube)
