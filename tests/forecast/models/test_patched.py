import pytest
import torch

from insar_dask.forecast.models import build
from insar_dask.forecast.models.patched import fourier
from tests.forecast.models.batches import SMALL, batch


def small(**sizes):
    return build("fast", **SMALL["fast"] | sizes)


def spoken(model):
    """The same with a head that is not at zero."""
    with torch.no_grad():
        model.head.weight.normal_()
    return model


def test_an_untrained_network_corrects_nothing():
    assert (small().eval()(batch(times=5)) == 0).all()
    assert (small().train()(batch(times=5)) == 0).all()


def test_a_context_is_filled_at_its_old_end():
    """20 of 24 steps: the same as 24 of which the oldest four were not given and had no date."""
    weights = spoken(small()).eval()
    whole = batch(times=5)
    whole["given"][..., :4] = False
    whole["values"] *= whole["given"]
    whole["context_time"][:, :4] = 0
    recent = {"values": whole["values"][..., 4:], "given": whole["given"][..., 4:]}
    recent["context_time"] = whole["context_time"][:, 4:]
    short = small(context=20).eval()
    short.load_state_dict(weights.state_dict())
    torch.testing.assert_close(short(whole | recent), weights(whole))


def test_neighbours_baselines_and_statics_reach_a_forecast():
    model, given = spoken(small()).eval(), batch(times=5)
    given["baseline"].requires_grad_()
    given["known"].requires_grad_()
    model(given)[0, 1].sum().backward()
    for key in ("baseline", "known"):
        heard = given[key].grad.abs().sum(2) > 0
        assert heard[0].all()
        assert not heard[1:].any()


def test_patterns_are_hidden_in_training_alone():
    model, given = spoken(small(dropout=0.0, dropout_embedding=0.0, dropout_pattern=1.0)), batch(times=5)
    unknown = given | {"pattern": torch.full_like(given["pattern"], 8)}
    assert not torch.equal(model.eval()(given), model(unknown))
    assert torch.equal(model.train()(given), model(unknown))


def test_a_fifth_of_the_patterns_is_hidden_by_default():
    model = small()
    seen = []
    model.pattern.register_forward_hook(lambda _module, inputs, _out: seen.append(inputs[0]))
    model(batch(groups=200, times=5) | {"pattern": torch.zeros(200, 4, dtype=torch.int64)})
    assert (seen[0] == 8).double().mean() == pytest.approx(0.2, abs=0.06)  # four deviations


def test_places_are_waves_of_50_to_2000_metres():
    features = fourier(torch.tensor([[0.0, 0.0], [25.0, 1000.0]], dtype=torch.float64))
    assert features.shape == (2, 24)
    torch.testing.assert_close(features[0], torch.cat([torch.zeros(12), torch.ones(12)]).double())
    half = features[1, [0, 11, 12, 23]]  # half a period of the shortest in x, of the longest in y
    torch.testing.assert_close(half, torch.tensor([0.0, 0.0, -1.0, -1.0]).double())


@pytest.mark.parametrize("steps", [{"context": 7, "horizon": 1}, {"context": 60, "horizon": 14}])
def test_any_context_and_horizon_have_their_shapes(steps):
    out = spoken(small(**steps))(batch(times=5, **steps))
    assert out.shape == (3, 4, steps["horizon"])
