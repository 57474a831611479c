"""Training on a GPU, where there is one: what the processor learns, to the same bits each time, and back and forth."""

from pathlib import Path

import pytest
import torch

from insar_dask.forecast.training import train as training
from insar_dask.forecast.training.accelerator import STEPS
from insar_dask.forecast.training.train import train
from tests.forecast.toy_training import job
from tests.forecast.training.test_train import CutShortError, assert_same, interrupted

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


@pytest.fixture(autouse=True)
def every_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "SAVED_SECONDS", 0.0)


@pytest.mark.parametrize("ways", ["", "graphs", "compiled", "graphs,compiled"])
def test_a_gpu_learns_what_the_processor_learns(ways: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STEPS, ways)
    here = train(job(plain=True), tmp_path / "cpu")
    there = train(job(plain=True), tmp_path / "gpu", device="cuda")
    assert there.history["validation"] == pytest.approx(here.history["validation"], rel=1e-2), "products are in TF32"


@pytest.mark.parametrize("ways", ["", "graphs", "compiled", "graphs,compiled"])
@pytest.mark.parametrize(("at", "kind"), [(2, "checkpoint"), (8, "check")])
def test_a_run_that_was_interrupted_ends_with_the_same_bits(
    ways: str, at: int, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STEPS, ways)
    whole = train(job(), tmp_path / "whole", device="cuda")
    with pytest.raises(CutShortError):
        train(job(), tmp_path / "broken", tell=interrupted(at, kind), device="cuda")
    assert_same(train(job(), tmp_path / "broken", device="cuda"), whole)


@pytest.mark.parametrize(("first", "second"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_checkpoint_of_one_device_is_taken_up_by_the_other(first: str, second: str, tmp_path: Path) -> None:
    whole = train(job(max_steps=24, plain=True), tmp_path / "whole")
    train(job(max_steps=12, plain=True), tmp_path / "parts", device=first)
    newest = max(tmp_path.glob("parts/checkpoint-*.pt"))
    state = torch.load(newest, weights_only=True)  # as it is: nothing in it names a GPU
    assert all(tensor.device.type == "cpu" for tensor in state["model"].values())
    notes: list[str] = []
    found = train(
        job(max_steps=24, plain=True),
        tmp_path / "parts",
        device=second,
        tell=lambda said: notes.append(said["text"]) if said["kind"] == "note" else None,
    )
    assert found.history["validation"] == pytest.approx(whole.history["validation"], rel=1e-2)
    assert [f"{newest.name} was made on {first}, going on on {second}" in note for note in notes] == [True]
