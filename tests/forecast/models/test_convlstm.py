import pytest
import torch
from torch.nn import functional

from tests.forecast.models.map_batches import assert_same, maps, shaken


def plain(model, given):
    """Gate by gate, a convolution of the input and one of the state each."""
    states = [[torch.zeros(2, 8, 8, 8), torch.zeros(2, 8, 8, 8)] for _ in model.look]
    for step in range(5):
        hidden = advance(model.look, given["values"][:, step], states)
    if model.ahead is None:
        return model.head(hidden)
    outs = []
    for lead in range(3):
        date = given["target_time"][:, lead, :, None, None].repeat(1, 1, 8, 8)
        outs.append(model.head(advance(model.ahead, date, states))[:, 0])
    return torch.stack(outs, dim=1)


def advance(cells, x, states):
    for cell, state in zip(cells, states, strict=True):
        hidden, memory = state
        gates = []
        for weight, bias in zip(cell.gates.weight.chunk(4), cell.gates.bias.chunk(4), strict=True):
            of_input = functional.conv2d(x, weight[:, : x.shape[1]], padding=1)
            gates.append(of_input + functional.conv2d(hidden, weight[:, x.shape[1] :], bias, padding=1))
        enter, forget, leave = (torch.sigmoid(gate) for gate in gates[:3])
        state[1] = forget * memory + enter * torch.tanh(gates[3])
        x = state[0] = leave * torch.tanh(state[1])
    return x


@pytest.mark.parametrize("head", ["last", "forecaster"])
def test_forecast_and_gradients_are_those_of_the_equations(head):
    assert_same(shaken("convlstm", head=head), maps(), plain)


def test_dates_of_the_maps_to_come_are_known_to_the_forecaster_alone():
    given = maps()
    later = given | {"target_time": -given["target_time"]}
    for head, heard in (("last", False), ("forecaster", True)):
        model = shaken("convlstm", head=head)
        assert torch.equal(model(given), model(later)) is not heard


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ({"head": "first"}, "head is 'first'; wanted 'last' or 'forecaster'"),
        ({"kernel": 4}, "kernel is 4; wanted an odd number of cells"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes, told):
    with pytest.raises(ValueError, match=told):
        shaken("convlstm", **sizes)
