"""Both Spacetimeformers against the specification written plainly: forecasts and gradients."""

import pytest
import torch
from torch import nn

from insar_dask.forecast.models import build
from tests.forecast.models import oracle
from tests.forecast.models.batches import SMALL, TIMES, batch

PLAIN = {"spacetimeformer": oracle.spacetimeformer, "fast": oracle.patched}
ABSENT = [(0, 1), (1, 2), (1, 3), *((2, point) for point in range(4))]


def shaken(name, **sizes):
    """Network without dropout whose every weight, running mean and running variance is random: none is 0 or 1."""
    model = build(name, **sizes, dropout=0.0, dropout_embedding=0.0)
    model.dropout_pattern = 0.0
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            if tensor.is_floating_point():
                tensor.add_(0.05 * torch.randn_like(tensor))
    return model


def inputs(name, **shape):
    return {key: x.double() if x.is_floating_point() else x for key, x in batch(times=TIMES[name], **shape).items()}


def flat(forecasts):
    """Forecasts of the oracle, those of all present points in a row."""
    return torch.cat(forecasts)


@pytest.mark.parametrize("absent", [[], ABSENT])
@pytest.mark.parametrize(("name", "training"), [("spacetimeformer", False), ("spacetimeformer", True), ("fast", True)])
def test_forecast_and_gradients_are_those_of_the_specification(name, training, absent):
    model, given = shaken(name, **SMALL[name]).double(), inputs(name, absent=absent)
    plain = flat(PLAIN[name](model.train(training), given, training))
    ours = model(given)[given["present"]]
    torch.testing.assert_close(ours, plain, atol=1e-10, rtol=1e-10)
    weights = list(model.parameters())
    expected = torch.autograd.grad(plain.square().mean(), weights)
    found = torch.autograd.grad(ours.square().mean(), weights)
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=1e-8)


@pytest.mark.parametrize("sizes", [{"context": 20, "horizon": 7}, {"context": 5, "horizon": 12}])
def test_any_context_and_horizon(sizes):
    model = shaken("fast", **SMALL["fast"], **sizes).double().eval()
    given = inputs("fast", **sizes)
    torch.testing.assert_close(model(given).flatten(0, 1), flat(oracle.patched(model, given)), atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("name", PLAIN)
def test_the_preset_in_single_precision_keeps_five_digits(name):
    sizes = {"points": 3} if name == "spacetimeformer" else {"known": 3}
    model, given = shaken(name, **sizes), batch(groups=2, points=3, times=TIMES[name])
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.momentum = 1.0  # running means that fit the weights, as after training
    with torch.no_grad():
        model.train()(given)
        ours = model.eval()(given)
        exact = {key: x.double() if x.is_floating_point() else x for key, x in given.items()}
        plain = flat(PLAIN[name](model.double(), exact))
    assert (ours.flatten(0, 1) - plain).abs().max() <= 1e-5 * plain.abs().max().clamp(min=1)
