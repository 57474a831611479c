"""What is absent or not given reaches nobody; the order of a group's points means nothing."""

import copy

import pytest
import torch

from insar_dask.forecast.models import build
from tests.forecast.models.batches import SMALL, TIMES, batch

ABSENT = [(0, 1), (1, 2), (1, 3), *((2, point) for point in range(4))]


def quiet(name):
    """Small network without dropout, its head not at zero."""
    still = {"dropout": 0.0} if name != "lstm" else {}
    if name in ("spacetimeformer", "fast"):
        still["dropout_embedding"] = 0.0
    if name == "fast":
        still["dropout_pattern"] = 0.0
    model = build(name, **SMALL[name], **still)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return model


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", SMALL)
def test_absent_points_reach_nobody(name, training):
    model, given = quiet(name).train(training), batch(times=TIMES[name], absent=ABSENT)
    other, absent = dict(given), ~given["present"]
    for key in ("values", "places", "known", "baseline"):
        other[key] = given[key].masked_fill(absent[..., None], torch.nan)
    other["pattern"] = given["pattern"].masked_fill(absent, 3)
    twin = copy.deepcopy(model)
    assert torch.equal(model(given), twin(other))
    for ours, theirs in zip(model.buffers(), twin.buffers(), strict=True):
        assert torch.equal(ours, theirs)  # nor do they enter a running mean


@pytest.mark.parametrize("name", SMALL)
def test_values_not_given_reach_nobody(name):
    model, given = quiet(name).eval(), batch(times=TIMES[name], missing=0.5)
    changed = given | {"values": given["values"].masked_fill(~given["given"], torch.nan)}
    assert torch.equal(model(given), model(changed))
    assert not torch.equal(model(given), model(given | {"given": torch.ones_like(given["given"])}))


@pytest.mark.parametrize("name", SMALL)
def test_a_short_group_is_its_points_alone(name):
    model, given = quiet(name).eval(), batch(times=TIMES[name], absent=[(group, 3) for group in range(3)])
    points = ("values", "given", "present", "places", "pattern", "known", "baseline")
    alone = {key: x[:, :3] if key in points else x for key, x in given.items()}
    torch.testing.assert_close(model(given)[:, :3], model(alone))


@pytest.mark.parametrize("name", SMALL)
def test_a_permuted_group_has_the_permuted_forecast(name):
    model, given = quiet(name).eval(), batch(times=TIMES[name], absent=ABSENT[:3])
    order = torch.tensor([2, 0, 3, 1])
    points = ("values", "given", "present", "places", "pattern", "known", "baseline")
    permuted = {key: x[:, order] if key in points else x for key, x in given.items()}
    expected = model(given)[:, order]
    if name == "spacetimeformer":
        assert not torch.allclose(model(permuted), expected, atol=1e-3)  # it knows points by index
        with torch.no_grad():
            for embedding in (model.embed_context, model.embed_target):
                embedding.point.weight.copy_(embedding.point.weight[order].clone())
    torch.testing.assert_close(model(permuted), expected)


@pytest.mark.parametrize("name", ["spacetimeformer", "fast"])
def test_neighbours_of_the_group_are_heard_and_other_groups_are_not(name):
    model, given = quiet(name).eval(), batch(times=TIMES[name])
    given["values"].requires_grad_()
    model(given)[0, 1].sum().backward()
    heard = given["values"].grad.abs().sum(2) > 0
    assert heard[0].all()
    assert not heard[1:].any()
