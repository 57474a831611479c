"""What networks do on a device that is not waited for, done on the processor; oracle: what they do on the processor."""

import copy

import pytest
import torch

from insar_dask.forecast.models import blocks, build
from tests.forecast.models.batches import SMALL, TIMES, batch
from tests.forecast.models.test_masks import ABSENT, quiet

NETWORKS = ("spacetimeformer", "fast")


@pytest.fixture
def unwaited(monkeypatch):
    monkeypatch.setattr(blocks, "WAITED_FOR", frozenset())


def outcome(model, given):
    """Forecast, gradients (of what nothing depends on, 0) and running means."""
    out = model(given)
    (out * torch.linspace(-1, 1, out.numel()).view(out.shape)).sum().backward()
    return [
        out.detach(),
        *(torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()),
        *model.buffers(),
    ]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "absent", [[], ABSENT, [(g, p) for g in range(3) for p in range(4)]], ids=["all", "some", "no"]
)
@pytest.mark.parametrize("name", NETWORKS)
def test_forecast_gradient_and_running_means_are_the_same(name, absent, training, monkeypatch):
    model, given = quiet(name).train(training), batch(times=TIMES[name], absent=absent)
    twin = copy.deepcopy(model)
    here = outcome(model, given)
    monkeypatch.setattr(blocks, "WAITED_FOR", frozenset())
    for ours, theirs in zip(outcome(twin, given), here, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5 * max(theirs.abs().max().item(), 1))


@pytest.mark.usefixtures("unwaited")
@pytest.mark.parametrize("name", NETWORKS)
def test_absent_points_reach_nobody(name):
    model, given = quiet(name).train(), batch(times=TIMES[name], absent=ABSENT)
    other, away = dict(given), ~given["present"]
    for key in ("values", "places", "known", "baseline"):
        other[key] = given[key].masked_fill(away[..., None], torch.nan)
    twin = copy.deepcopy(model)
    for ours, theirs in zip(outcome(model, given), outcome(twin, other), strict=True):
        assert torch.equal(ours, theirs)
        assert ours.isfinite().all()


@pytest.mark.usefixtures("unwaited")
@pytest.mark.parametrize("masked", [False, True])
def test_more_sequences_than_a_kernel_takes_are_taken_in_parts(masked, monkeypatch):
    query, key = torch.randn(7, 2, 3, 8), torch.randn(7, 2, 9, 8)
    allowed = torch.rand(7, 1, 1, 9) > 0.3 if masked else None
    whole = blocks.attend(query, key, key, allowed)
    monkeypatch.setattr(blocks, "MOST_THERE", 3)
    torch.testing.assert_close(blocks.attend(query, key, key, allowed), whole)


@pytest.mark.usefixtures("unwaited")
def test_dropout_drops_its_share_and_keeps_the_mean():
    out = blocks.Dropout(0.2).train()(torch.ones(1000, 100))
    assert (out == 0).double().mean() == pytest.approx(51 / 256, abs=0.005)
    assert out.mean().item() == pytest.approx(1, abs=0.01)


@pytest.mark.usefixtures("unwaited")
@pytest.mark.parametrize("name", NETWORKS)
def test_a_compiler_takes_all_of_it_in_one(name):
    """No branch depends on a number, so that one graph holds a network; nothing but the tracing is of the compiler."""
    model, given = build(name, **SMALL[name] | {"encoder_layers": 1, "decoder_layers": 1}), batch(times=TIMES[name])
    traced = torch.compile(model, backend="eager", fullgraph=True, dynamic=False)
    torch.manual_seed(1)
    expected = model(given)
    torch.manual_seed(1)
    torch.testing.assert_close(traced(given), expected)


@pytest.mark.parametrize("name", [*SMALL, "mmstt"])
def test_no_kernel_asks_for_a_number(name):
    """Tensors without numbers refuse whoever asks; their device is none that is waited for."""
    if name == "mmstt":
        given = {"values": torch.empty(2, 10, 6, 16, 16), "target_time": torch.empty(2, 10, 2)}
    else:
        given = batch(times=TIMES[name], absent=ABSENT)
    with torch.device("meta"):
        model = build(name, side=16) if name == "mmstt" else build(name, **SMALL[name])
    out = model.train()({key: tensor.to("meta") for key, tensor in given.items()})
    out.square().sum().backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in model.parameters())
