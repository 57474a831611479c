import pytest
import torch
from torch.nn import functional

from insar_dask.forecast.models import build
from tests.forecast.models.map_batches import assert_same, maps, shaken, torch_layer


def published(model, given):
    """As it stands in the publication, on the weights of ours: torch's own layers, all C·P·P outputs, a convolution."""
    rows, p = [], model.patch
    for sample in given["values"]:
        side = range(0, sample.shape[-1], p)
        cut = [frame[:, y : y + p, x : x + p].flatten() for frame in sample for y in side for x in side]
        rows.append(torch.stack(cut))
    tokens = model.embed(torch.stack(rows)) + model.position
    for layer in model.layers:
        tokens = plain(layer)(tokens)
    tokens = model.norm(tokens)[:, : 3 * model.cells]
    flat = model.head(tokens)  # (B, 3·n·n, C·P·P)
    out = flat.new_zeros(len(flat), 3, 6, 8, 8)
    for token in range(flat.shape[1]):
        frame, place = divmod(token, model.cells)
        y, x = (p * at for at in divmod(place, 8 // p))
        out[:, frame, :, y : y + p, x : x + p] = flat[:, token].unflatten(1, (6, p, p))
    kernel = model.fusion.weight[..., None, None]
    return functional.conv2d(out.flatten(0, 1), kernel, model.fusion.bias).view(-1, 3, 8, 8)


def plain(layer):
    forward = layer.feed_forward
    return torch_layer(layer.attention, forward.widen, forward.narrow, layer.norms, functional.gelu, norm_first=True)


def test_forecast_and_gradients_are_those_of_the_publication():
    assert_same(shaken("mmstt", dropout=0.0).train(), maps(), published)


def test_the_head_that_was_multiplied_out_reads_the_same():
    model = build("mmstt", layers=0).eval()
    tokens = torch.randn(2, 640, 256)
    whole = model.fusion(model.head(tokens).view(2, 640, 6, 64).transpose(2, 3)).squeeze(3)
    torch.testing.assert_close(model.read_out(tokens), whole, atol=1e-5, rtol=0)


def test_dates_of_the_maps_to_come_are_known_to_queries_alone():
    given = maps()
    later = given | {"target_time": -given["target_time"]}
    for head, heard in (("reuse", False), ("queries", True)):
        model = shaken("mmstt", head=head)
        assert torch.equal(model(given), model(later)) is not heard


def test_queries_reach_further_than_the_context():
    given = maps(horizon=7)
    assert shaken("mmstt", head="queries", horizon=7)(given).shape == (2, 7, 8, 8)
    with pytest.raises(ValueError, match="5 context maps cannot be read out as 7 maps; take horizon=5 or fewer, or he"):
        shaken("mmstt", horizon=7)


def test_a_lead_of_queries_looks_at_its_own_date():
    model, given = shaken("mmstt", head="queries"), maps()
    given["target_time"].requires_grad_()
    model(given)[0, 1].sum().backward()
    assert (given["target_time"].grad.abs().sum(2) > 0).tolist() == [[False, True, False], [False] * 3]


@pytest.mark.parametrize(("horizon", "begins"), [(3, [2, 3, 4]), (7, [0, 1, 2, 3, 4, 4, 4])])
def test_a_map_to_come_begins_at_the_tokens_of_a_context_map(horizon, begins):
    model = shaken("mmstt", head="queries", horizon=horizon, layers=0, query_layers=0)
    given = maps(batch=1, horizon=horizon)
    given["values"].requires_grad_()
    out = model(given)
    for lead in range(horizon):
        (heard,) = torch.autograd.grad(out[0, lead, 1, 5], given["values"], retain_graph=True)
        where = heard[0].abs().sum(1).nonzero()  # of the patch of that cell alone
        assert where[:, 0].unique().tolist() == [begins[lead]]
        assert where[:, 1].unique().tolist() == [0, 1, 2, 3] and where[:, 2].unique().tolist() == [4, 5, 6, 7]


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ({"patch": 3}, "8 x 8 cells cannot be cut into patches of 3; patch may be 1, 2, 4, 8, or"),
        ({"head": "first"}, "head is 'first'; wanted 'reuse' or 'queries'"),
        ({"heads": 3}, "16 features cannot be shared among 3 heads"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes, told):
    with pytest.raises(ValueError, match=told):
        shaken("mmstt", **sizes)
