import pytest
import torch
from torch.nn import functional

from insar_dask.forecast.models.long_attention import LONGEST, attend_long


@pytest.mark.parametrize("keys", [136, LONGEST + 8])
def test_products_in_bfloat16_are_near_the_attention_in_double_precision(keys):
    shapes = (2, 3, 16, 8), (2, 3, keys, 8), (2, 3, keys, 8)
    near = [torch.randn(shape).bfloat16().requires_grad_() for shape in shapes]
    exact = [x.detach().double().requires_grad_() for x in near]
    weight = torch.randn(2, 3, 16, 8)
    ours, theirs = attend_long(*near), functional.scaled_dot_product_attention(*exact)
    for out in (ours, theirs):
        (out * weight).sum().backward()
    torch.testing.assert_close(ours.double(), theirs, atol=0.02, rtol=0)
    for mine, other in zip(near, exact, strict=True):
        assert (mine.grad - other.grad).abs().max() < 0.03 * other.grad.abs().max()


def test_parts_of_a_packed_tensor_have_the_same_gradient():
    """Queries, keys and values are views with strides of their own."""
    packed = torch.randn(2, 136, 3, 2, 8).bfloat16().requires_grad_()
    parts = [part.transpose(1, 2) for part in packed.unbind(2)]
    apart = [part.detach().clone().requires_grad_() for part in parts]
    for given in (parts, apart):
        attend_long(*given).float().square().sum().backward()
    torch.testing.assert_close(packed.grad, torch.stack([x.grad.transpose(1, 2) for x in apart], dim=2))
