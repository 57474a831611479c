from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from insar_dask.forecast.published.protocols import Material
from insar_dask.forecast.published.scores import overall
from insar_dask.forecast.published.unit import Unit, run_unit
from insar_dask.forecast.published.windows import ComponentWindows

TINY = {"width": 64, "layers": 1}
SMALL = {"width": 8, "hidden": 8, "heads": 1, "head_width": 8, "encoder_layers": 1, "decoder_layers": 1}


class Oracle(torch.nn.Module):
    """Answers the last value given; and, of a batch with targets, the targets."""

    def __init__(self, knows: bool) -> None:
        super().__init__()
        self.knows = knows

    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return batch["targets"] if self.knows else batch["values"][..., -1:].expand_as(batch["targets"])


@pytest.mark.parametrize("component", ["trend", "season", "residual"])
def test_answers_in_scaled_units_become_millimetres_of_the_right_point(
    component: str, paper: Material, honest: Material
):
    for material in (paper, honest):
        windows = ComponentWindows(material, component)
        said = windows.predict(Oracle(knows=True), 140)
        truth = material.series(component)[:, 140:146]
        seen = np.isfinite(truth) & material.observed[140:146]
        np.testing.assert_allclose(said[seen], truth[seen], atol=2e-4)


def test_a_batch_is_the_same_for_any_number_of_ranks(paper: Material):
    windows = ComponentWindows(paper, "trend")
    whole = windows.batch(7, 0, 1)
    shares = [windows.batch(7, rank, 2) for rank in range(2)]
    for name, tensor in whole.items():
        both = torch.stack([share[name] for share in shares], dim=1).flatten(0, 1)
        torch.testing.assert_close(both, tensor, rtol=0, atol=0)
    assert not torch.equal(windows.batch(8, 0, 1)["values"], whole["values"])


def test_every_rank_gets_as_many_validation_batches(paper: Material):
    windows = ComponentWindows(paper, "trend", pattern=int(np.bincount(paper.patterns).argmax()))
    batches = [list(windows.validation(rank, 2)) for rank in range(2)]
    assert len(batches[0]) == len(batches[1])
    scored = sum(int(batch["scored"].sum()) for share in batches for batch in share)
    assert scored == sum(int(batch["scored"].sum()) for batch in windows.validation(0, 1))


def test_training_windows_lie_in_the_training_block_and_missing_dates_are_masked(honest: Material):
    values = {name: part.copy() for name, part in honest.components.items()}
    for part in values.values():
        part[:, honest.split.train.stop :] = np.nan
    blind = ComponentWindows(replace(honest, components=values), "season")
    known = ComponentWindows(honest, "season")
    for step in range(5):
        for name, tensor in known.batch(step, 0, 1).items():
            torch.testing.assert_close(blind.batch(step, 0, 1)[name], tensor, rtol=0, atol=0)
    batch = known.windows(np.array([0]), np.array([int(np.flatnonzero(~honest.observed)[0]) + 1]))
    assert not batch["given"][..., -1].any()


def test_a_unit_learns_and_is_resumed(paper: Material, tmp_path: Path):
    torch.set_num_threads(1)
    unit = Unit(protocol="paper", network="lstm", component="season", seed=0, steps=120)
    result, forecasts = run_unit(unit, paper, tmp_path, sizes=TINY)
    again, same = run_unit(unit, paper, tmp_path, sizes=TINY)
    np.testing.assert_array_equal(forecasts["test"], same["test"])
    curve = result["networks"][0]["curve"]["validation"]
    assert curve[-1] < 0.9 * curve[0] and again["scores"] == result["scores"]
    error = forecasts["test"] - paper.targets("season", "test")
    assert abs(overall(result["scores"]["test"])["rmse"] - np.sqrt((error**2).mean())) < 1e-3


def test_every_pattern_has_a_network_of_its_own(paper: Material, tmp_path: Path):
    torch.set_num_threads(1)
    unit = Unit(protocol="paper", network="spacetimeformer", component="trend", seed=1, steps=1)
    result, forecasts = run_unit(unit, paper, tmp_path, sizes=SMALL)
    assert [one["pattern"] for one in result["networks"]] == ["ABCDEFGH"[k] for k in np.unique(paper.patterns)]
    assert all(np.isfinite(said).all() for said in forecasts.values())


def test_a_unit_that_is_none_is_refused():
    with pytest.raises(ValueError, match="no network is called 'gru'"):
        Unit(protocol="paper", network="gru", component="trend", seed=0, steps=1)
    with pytest.raises(ValueError, match="honest none"):
        Unit(protocol="honest", network="lstm", component="trend", seed=0, steps=1)
