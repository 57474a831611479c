import pytest
import torch
from torch import nn

from insar_dask.forecast.models.stgcn import GridConvolution, TimeConvolution
from tests.forecast.models.map_batches import maps, shaken


def dense(layer, x):
    """The same over a matrix of all nodes, its largest eigenvalue by an eigendecomposition."""
    rows, columns = x.shape[-3:-1]
    places = [(y, column) for y in range(rows) for column in range(columns)]
    adjacent = torch.tensor([[abs(a - c) + abs(b - d) == 1 for c, d in places] for a, b in places]).to(x)
    root = torch.diag(adjacent.sum(1).rsqrt())
    laplacian = torch.eye(len(places)).to(x) - root @ adjacent @ root
    scaled = 2 * laplacian / torch.linalg.eigvalsh(laplacian).max() - torch.eye(len(places)).to(x)
    flat = layer.fit(x).flatten(-3, -2)  # (..., nodes, width)
    terms = [torch.eye(len(places)).to(x), scaled]
    while len(terms) < layer.order:
        terms.append(2 * scaled @ terms[-1] - terms[-2])
    out = flat + layer.terms.bias
    for term, weight in zip(terms, layer.terms.weight.chunk(layer.order, dim=1), strict=False):
        out = out + term @ flat @ weight.T
    return out.unflatten(-2, (rows, columns))


@pytest.mark.parametrize("grid", [(5, 5), (4, 7), (2, 3), (1, 6)])
@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_the_stencil_is_the_polynomial_of_the_dense_laplacian(grid, order):
    layer, x = GridConvolution(6, 4, order), torch.randn(2, 3, *grid, 6, requires_grad=True)
    ours, theirs = layer(x), dense(layer, x)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    gradients = (torch.autograd.grad(out.square().sum(), x)[0] for out in (ours, theirs))
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-5)


def test_time_is_convolved_and_gated():
    layer, x = TimeConvolution(5, 4, 3), torch.randn(2, 7, 3, 3, 5)
    kernel = layer.both.weight.view(8, 3, 5).transpose(1, 2)  # (out, in, steps)
    series = x.permute(0, 2, 3, 4, 1).flatten(0, 2)  # (nodes, C, T)
    value, gate = nn.functional.conv1d(series, kernel, layer.both.bias).chunk(2, dim=1)
    last = nn.functional.conv1d(series[..., 2:], layer.fit.fewer.weight[..., None], layer.fit.fewer.bias)
    expected = ((value + last) * torch.sigmoid(gate)).view(2, 3, 3, 4, 5).permute(0, 4, 1, 2, 3)
    torch.testing.assert_close(layer(x), expected)


def test_cells_are_heard_as_far_as_the_polynomials_reach():
    """Two blocks of two hops; a norm over all cells would let all of them be heard."""
    model, given = shaken("mm_stgcn"), maps(batch=1)
    for block in model.blocks:
        block.norm = nn.Identity()
    model.norm = nn.Identity()
    given["values"].requires_grad_()
    model(given)[0, 0, 0, 0].backward()
    heard = given["values"].grad.abs().sum((0, 1, 2)) > 0
    y, x = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    assert torch.equal(heard, y + x <= 4)


def test_a_context_that_the_convolutions_use_up_is_refused():
    with pytest.raises(ValueError, match=r"5 context steps are too few: four .* take 8 and .* take context=9 or more"):
        shaken("mm_stgcn", kernel=3)
