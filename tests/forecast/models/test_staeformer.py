import pytest
import torch
from torch.nn import functional

from tests.forecast.models.map_batches import assert_same, maps, shaken, torch_layer


def plain(model, given):
    """Torch's own layers, patch after patch and step after step."""
    values, p = given["values"], model.patch
    corners = [(y, x) for y in range(0, 8, p) for x in range(0, 8, p)]
    cut = torch.stack([values[..., y : y + p, x : x + p].flatten(2) for y, x in corners], dim=2)  # (B, T, N, C·P·P)
    tokens = torch.cat([model.embed(cut), model.adaptive.expand(len(cut), -1, -1, -1)], dim=-1)
    for layer in map(like, model.along_time):
        tokens = torch.stack([layer(tokens[:, :, n]) for n in range(len(corners))], dim=2)
    for layer in map(like, model.across_space):
        tokens = torch.stack([layer(tokens[:, t]) for t in range(tokens.shape[1])], dim=1)
    out = tokens.new_zeros(len(tokens), 3, 8, 8)
    for n, (y, x) in enumerate(corners):
        out[:, :, y : y + p, x : x + p] = model.head(tokens[:, :, n].flatten(1)).unflatten(1, (3, p, p))
    return out


def like(layer):
    return torch_layer(layer.attention, layer.widen, layer.narrow, layer.norms, functional.relu, norm_first=False)


def test_forecast_and_gradients_are_those_of_torchs_own_layers():
    assert_same(shaken("mm_staeformer", dropout=0.0, layers=2).train(), maps(), plain)


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ({"patch": 3}, "8 x 8 cells cannot be cut into patches of 3; patch may be 1, 2, 4, 8, or"),
        ({"heads": 3}, "16 features cannot be shared among 3 heads; take a multiple of 3"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes, told):
    with pytest.raises(ValueError, match=told):
        shaken("mm_staeformer", **sizes)
