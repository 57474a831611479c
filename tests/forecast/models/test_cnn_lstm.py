import pytest
import torch

from tests.forecast.models.map_batches import assert_same, maps, shaken


def plain(model, given):
    """Map after map and place after place; the LSTM by its equations."""
    seen = []
    for step in range(5):
        x = given["values"][:, step]
        for layer in model.look:
            x = torch.relu(layer(x))
        seen.append(x)  # (B, F, 2, 2)
    ahead = torch.zeros(2, 3, model.features, 2, 2)
    for y in range(2):
        for x in range(2):
            hidden = memory = torch.zeros(2, model.cells.hidden_size)
            for step in range(5):
                gates = seen[step][:, :, y, x] @ model.cells.weight_ih_l0.T + model.cells.bias_ih_l0
                gates = gates + hidden @ model.cells.weight_hh_l0.T + model.cells.bias_hh_l0
                enter, forget, new, leave = gates.chunk(4, dim=1)
                memory = torch.sigmoid(forget) * memory + torch.sigmoid(enter) * torch.tanh(new)
                hidden = torch.sigmoid(leave) * torch.tanh(memory)
            ahead[..., y, x] = torch.relu(model.ahead(hidden)).view(2, 3, model.features)
    outs = []
    for lead in range(3):
        drawn = ahead[:, lead]
        for layer in model.draw:
            drawn = torch.relu(layer(drawn))
        outs.append(model.head(drawn)[:, 0])
    return torch.stack(outs, dim=1)


def test_forecast_and_gradients_are_those_of_the_equations():
    assert_same(shaken("cnn_lstm"), maps(), plain)


def test_a_side_that_cannot_be_quartered_is_refused():
    with pytest.raises(ValueError, match="10 x 10 cells cannot be made 4 times coarser; take a side that is a mult"):
        shaken("cnn_lstm", side=10)
