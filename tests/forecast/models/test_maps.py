"""What holds for every network of maps."""

import pytest
import torch

from insar_dask.forecast.models import build
from tests.forecast.models.map_batches import MAPS, SHAPE, error, maps, shaken

PARAMETERS = {  # by hand, from the sizes of the presets
    "mmstt": 12_997_767,
    "cnn_lstm": 337_761,
    "convlstm": 457_354,
    "mm_stgcn": 2_191_306,
    "mm_staeformer": 1_209_296,
}
STILL = {name: {"dropout": 0.0} for name in ("mmstt", "mm_stgcn", "mm_staeformer")}


@pytest.mark.parametrize(("name", "parameters"), PARAMETERS.items())
def test_presets_have_their_sizes(name, parameters):
    assert sum(p.numel() for p in build(name).parameters()) == parameters


@pytest.mark.parametrize("name", MAPS)
def test_a_map_for_each_lead(name):
    model = build(name, **SHAPE | MAPS[name])
    out = model(maps())
    assert out.shape == (2, 3, 8, 8) and out.dtype == torch.float32 and out.isfinite().all()


@pytest.mark.parametrize("name", MAPS)
def test_predicting_needs_no_targets_and_is_the_same_each_time(name):
    model, given = build(name, **SHAPE | MAPS[name]).eval(), maps()
    known = {key: given[key] for key in ("values", "target_time")}
    assert torch.equal(model(known), model(given))


@pytest.mark.parametrize("name", MAPS)
def test_a_map_does_not_depend_on_the_rest_of_the_batch(name):
    model, given = build(name, **SHAPE | MAPS[name]).eval(), maps(batch=3)
    alone = {key: x[1:2] for key, x in given.items()}
    torch.testing.assert_close(model(given)[1:2], model(alone))


@pytest.mark.parametrize(("name", "bf16"), [*((name, False) for name in MAPS), *((name, True) for name in MAPS)])
def test_one_batch_is_learned_by_heart(name, bf16):
    model, given = build(name, **SHAPE | MAPS[name] | STILL.get(name, {})), maps()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2, fused=True)
    first = error(model, given).item()
    for _ in range(60):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = error(model, given)
        loss.backward()
        assert all(p.grad.isfinite().all() for p in model.parameters())
        optimizer.step()
    assert error(model, given).item() < 0.1 * first


@pytest.mark.parametrize("name", MAPS)
def test_bfloat16_products_change_little(name):
    model, given = shaken(name), maps()
    with torch.no_grad():
        exact = model(given)
        with torch.autocast("cpu", torch.bfloat16):
            near = model(given)
    assert (near - exact).abs().max() < 0.03 * exact.abs().max()


@pytest.mark.parametrize("name", MAPS)
def test_all_weights_and_all_context_maps_matter(name):
    model, given = build(name, **SHAPE | MAPS[name]), maps()
    given["values"].requires_grad_()
    model(given).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    assert (given["values"].grad.abs().sum((3, 4)) > 0).all()


@pytest.mark.parametrize("name", MAPS)
def test_a_correction_starts_at_nothing_and_learns(name):
    model, given = build(name, **SHAPE | MAPS[name], zero_start=True), maps()
    assert (model(given) == 0).all()
    first = error(model, given)
    first.backward()
    with torch.no_grad():
        for p in model.parameters():
            p -= 0.01 * p.grad
    assert error(model.eval(), given) < first


@pytest.mark.parametrize("name", MAPS)
def test_other_batches_than_it_was_built_for_are_refused_with_the_cure(name):
    model = build(name, **SHAPE | MAPS[name])
    for other, told in [
        ({"context": 4, "horizon": 2}, "5 context and 3 target steps, and a batch of 4 and 2 came; build it with cont"),
        ({"channels": 3}, "6 channels, and a batch of 3 came; build it with channels=3"),
        ({"side": 16}, "maps of 8 x 8 cells, and 16 x 16 came; build it with side=16"),
    ]:
        with pytest.raises(ValueError, match=told):
            model(maps(**other))
