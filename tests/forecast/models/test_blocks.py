import pytest
import torch

from insar_dask.forecast.models.blocks import Dropout, TokenBatchNorm, attend, presence


@pytest.mark.parametrize("keys", [1, 5, 32, 40])
@pytest.mark.parametrize("masked", [False, True])
def test_attention_is_that_of_the_fused_kernel_however_it_is_computed(keys, masked):
    query, key, value = torch.randn(2, 3, 6, 8), torch.randn(2, 3, keys, 8), torch.randn(2, 3, keys, 8)
    allowed = torch.rand(2, 1, 1, keys) > 0.4 if masked else None
    if masked:
        allowed[..., 0] = True
    fused = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
    torch.testing.assert_close(attend(query, key, value, allowed), fused)


def test_dropout_drops_its_share_and_keeps_the_mean():
    x = torch.ones(1000, 100, requires_grad=True)
    out = Dropout(0.2).train()(x)
    dropped = (out == 0).double().mean()
    assert dropped == pytest.approx(51 / 256, abs=0.005)  # four deviations; the nearest multiple of 1/256
    assert out.mean().item() == pytest.approx(1, abs=0.01)
    out.sum().backward()
    torch.testing.assert_close(x.grad, out.detach())


def test_dropout_draws_each_element_by_itself_from_the_seed():
    x = torch.ones(64, 1024)
    first, second = Dropout(0.5)(x), Dropout(0.5)(x)
    assert not torch.equal(first, second)
    kept = (first != 0).double()
    by_byte = kept.view(-1, 8).mean(0)  # eight elements share a draw of 64 bits
    assert (by_byte - 0.5).abs().max() < 0.03
    assert torch.corrcoef(kept.view(-1, 8).T).fill_diagonal_(0).abs().max() < 0.06
    torch.manual_seed(0)
    assert torch.equal(Dropout(0.5)(x), first)


def test_no_dropout_in_use_or_at_a_rate_of_zero():
    x = torch.randn(3, 7)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0).train()(x) is x


def test_batch_normalisation_takes_its_moments_from_present_tokens():
    norm, x = TokenBatchNorm(3).train(), torch.randn(2, 4, 5, 3)
    present = torch.tensor([[True, False, True, False], [True, True, True, True]])
    out = norm(x, presence(present, 5).rows)[present].flatten(0, 1)
    torch.testing.assert_close(out.mean(0), torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(out.var(0, unbiased=False), torch.ones(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(norm.norm.running_mean, 0.1 * x[present].flatten(0, 1).mean(0))
