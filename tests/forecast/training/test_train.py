import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from insar_dask.forecast import bfloat16
from insar_dask.forecast.training import descent
from insar_dask.forecast.training.adamw import AdamW
from insar_dask.forecast.training.checkpoint import CheckpointError
from insar_dask.forecast.training.job import Batch, Job, Trained, Training
from insar_dask.forecast.training.learning_rate import LearningRate
from insar_dask.forecast.training.progress_line import ProgressLine
from insar_dask.forecast.training.together import Ranks
from insar_dask.forecast.training.train import TrainingError, restored, train
from tests.forecast.toy_training import Toy, ToyWindows, job


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


class CutShortError(Exception):
    pass


def interrupted(at: int, kind: str) -> Any:
    def tell(said: Mapping[str, Any]) -> None:
        if said["kind"] == kind and said["step"] >= at:
            raise CutShortError

    return tell


def assert_same(one: Trained, other: Trained) -> None:
    assert one.history == other.history
    assert (one.steps, one.best_step, one.best_loss) == (other.steps, other.best_step, other.best_loss)
    for name, tensor in one.weights.items():
        assert torch.equal(tensor, other.weights[name]), name


def validation_loss(model: torch.nn.Module, windows: ToyWindows) -> float:
    model.eval()
    summed, count = 0.0, 0
    with torch.no_grad():
        for batch in windows.validation(0, 1):
            error = (model(batch) - batch["targets"])[batch["scored"]]
            summed, count = summed + float((error**2).sum()), count + error.numel()
    return summed / count


def test_a_line_is_learned_and_the_best_weights_are_kept(tmp_path: Path) -> None:
    made = job(max_steps=80, warmup=10, rate=1e-2, check_every=10)
    before = validation_loss(made.model, made.windows)  # type: ignore[arg-type]
    trained = train(made, tmp_path)
    assert trained.best_loss < 0.3 * before
    assert trained.best_loss == min(trained.history["validation"])
    assert trained.history["step"][trained.history["validation"].index(trained.best_loss)] == trained.best_step
    after = validation_loss(made.model, made.windows)  # type: ignore[arg-type]
    assert after == pytest.approx(trained.best_loss, rel=1e-5)


@pytest.mark.parametrize(("at", "kind"), [(2, "checkpoint"), (8, "check"), (12, "end")])
def test_a_run_that_was_interrupted_ends_with_the_same_bits(tmp_path: Path, at: int, kind: str) -> None:
    whole = train(job(), tmp_path / "whole")
    with pytest.raises(CutShortError):
        train(job(), tmp_path / "broken", tell=interrupted(at, kind))
    assert_same(train(job(), tmp_path / "broken"), whole)
    assert_same(restored(tmp_path / "broken"), whole)


def test_a_finished_training_can_be_given_more_steps(tmp_path: Path) -> None:
    whole = train(job(max_steps=24), tmp_path / "whole")
    train(job(max_steps=12), tmp_path / "parts")
    assert_same(train(job(max_steps=24), tmp_path / "parts"), whole)


def test_a_checkpoint_of_other_settings_data_or_shape_is_refused(tmp_path: Path) -> None:
    train(job(identity="one"), tmp_path)
    with pytest.raises(CheckpointError, match=r"rate=0.0005, this training has 0.1; train into another folder"):
        train(job(identity="one", rate=0.1), tmp_path)
    with pytest.raises(CheckpointError, match="data called 'one', these are 'two'"):
        train(job(identity="two"), tmp_path)
    with pytest.raises(CheckpointError, match=r"tensor 'enter.bias' is .*\(8,\), the model wants .*\(9,\)"):
        train(job(identity="one", width=9), tmp_path)


class Poisoned(ToyWindows):
    """What is not scored is another number, or none."""

    poison = math.nan

    def batch(self, step: int, rank: int, world: int) -> Batch:
        batch = super().batch(step, rank, world)
        return {**batch, "targets": torch.where(batch["scored"], batch["targets"], self.poison)}


def test_what_is_not_scored_teaches_nothing(tmp_path: Path) -> None:
    made = job()
    poisoned = replace(job(), windows=Poisoned(16, 0))
    assert_same(train(made, tmp_path / "a"), train(poisoned, tmp_path / "b"))


class Blank(ToyWindows):
    """Nothing is scored: in training, or in validation."""

    def __init__(self, training: bool, validation: bool) -> None:
        super().__init__(16, 0)
        self.blank = training, validation

    def batch(self, step: int, rank: int, world: int) -> Batch:
        return self.blanked(super().batch(step, rank, world), self.blank[0])

    def validation(self, rank: int, world: int) -> Iterator[Batch]:
        for batch in super().validation(rank, world):
            yield self.blanked(batch, self.blank[1])

    def blanked(self, batch: Batch, blank: bool) -> Batch:
        return {**batch, "scored": batch["scored"] & (not blank)}


def test_batches_without_a_scored_value_move_nothing(tmp_path: Path) -> None:
    made = replace(job(), windows=Blank(training=True, validation=False))
    before = {name: p.detach().clone() for name, p in made.model.named_parameters()}
    train(made, tmp_path)
    for name, parameter in made.model.named_parameters():
        assert torch.equal(parameter, before[name])


def test_validation_without_a_scored_value_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no value of the validation windows is scored"):
        train(replace(job(), windows=Blank(training=False, validation=True)), tmp_path)


def test_a_loss_that_is_no_number_ends_training_with_a_cure(tmp_path: Path) -> None:
    made = job()
    torch.nn.init.constant_(made.model.leave.bias, math.inf)  # type: ignore[arg-type, union-attr]
    with pytest.raises(TrainingError, match=r"training loss at step 0 is inf: lower rate"):
        train(made, tmp_path)


def test_huber_is_square_below_one_and_a_line_above(tmp_path: Path) -> None:
    made = job(loss="huber", max_steps=1, check_every=1, rate=1e-12)
    torch.nn.init.zeros_(made.model.leave.weight)  # type: ignore[arg-type, union-attr]
    torch.nn.init.zeros_(made.model.leave.bias)  # type: ignore[arg-type, union-attr]
    batch = made.windows.batch(0, 0, 1)
    error = batch["targets"][batch["scored"]].abs().numpy().astype(np.float64)
    expected = np.where(error < 1, error**2 / 2, error - 0.5).mean()
    assert train(made, tmp_path).history["training"][0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("quick", [True, False])
def test_bfloat16_is_taken_where_it_pays_and_learns_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: bool
) -> None:
    settings = {"max_steps": 40, "warmup": 5, "rate": 1e-2, "check_every": 10}
    for module in (bfloat16, descent):
        monkeypatch.setattr(module, "is_quick", lambda _: quick)
    exact = train(job(**settings), tmp_path / "float32").best_loss
    told: list[Mapping[str, Any]] = []
    rough = train(job(**settings, bf16=True), tmp_path / "bfloat16", tell=told.append).best_loss
    assert (rough != exact) == quick
    assert rough == pytest.approx(exact, rel=0.1)
    assert any(said.get("text") == bfloat16.FLOAT32_INSTEAD for said in told) != quick


def test_going_on_in_another_precision_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"max_steps": 20, "warmup": 5, "check_every": 10, "checkpoint_every": 10, "bf16": True}
    for module in (bfloat16, descent):
        monkeypatch.setattr(module, "is_quick", lambda _: True)
    with pytest.raises(CutShortError):
        train(job(**settings), tmp_path, tell=interrupted(10, "checkpoint"))
    for module in (bfloat16, descent):
        monkeypatch.setattr(module, "is_quick", lambda _: False)
    told: list[Mapping[str, Any]] = []
    train(job(**settings), tmp_path, tell=told.append)
    (note,) = (said["text"] for said in told if "was made in" in said.get("text", ""))
    assert note.endswith("was made in bfloat16, going on in float32: products are rounded otherwise")


def test_progress_is_told_and_filed_alike(tmp_path: Path) -> None:
    told: list[Mapping[str, Any]] = []
    train(job(warmup=100), tmp_path, tell=told.append)
    assert told == [json.loads(line) for line in (tmp_path / "progress.jsonl").read_text().splitlines()]
    assert told[0]["text"] == "warm-up shortened from 100 to 6 steps, half of max_steps"
    kinds = [said["kind"] for said in told]
    assert kinds[1] == "begin" and kinds[-1] == "end" and kinds.count("check") == 3 and kinds.count("checkpoint") == 6
    (step, *_) = (said for said in told if said["kind"] == "step")
    assert {"step", "of", "loss", "rate", "samples_per_s", "eta_s"} <= step.keys()


def test_half_a_line_of_progress_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / "progress.jsonl").write_text('{"kind": "st')
    train(job(), tmp_path)
    half, *lines = (tmp_path / "progress.jsonl").read_text().splitlines()
    assert half == '{"kind": "st' and json.loads(lines[0])["kind"] == "begin"


def test_a_device_that_there_is_not_is_named_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"device is 'tpu'; wanted 'cpu'.*, which is what there is here"):
        train(job(), tmp_path, device="tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"device is 'cuda:0', and torch .* finds no GPU here; take device='cpu'"):
        train(job(), tmp_path, device="cuda:0")


def test_a_rank_that_is_none_of_them_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="rank is 2 of 2; wanted 0 to 1"):
        train(job(), tmp_path, rank=2, world=2)


def test_a_pulse_comes_with_every_step_and_validation_batch(tmp_path: Path) -> None:
    pulses: list[None] = []
    train(job(), tmp_path, pulse=lambda: pulses.append(None))
    assert len(pulses) == 12 + 3 * 2


def test_the_rate_warms_up_on_a_line_and_falls_at_plateaus() -> None:
    rate = LearningRate(Training(max_steps=100, warmup=10, rate=1.0, first_rate=0.1, plateau_patience=2))
    assert [rate.at(step) for step in (0, 5, 10, 99)] == pytest.approx([0.1, 0.55, 1.0, 1.0])
    assert rate.note(3.0, 5)
    assert not rate.note(4.0, 6), "a rate that warms up is given time"
    assert rate.worse == 0
    assert rate.note(2.0, 20)
    seen = []
    for step in range(30, 70, 10):
        rate.note(2.0, step)
        seen.append(rate.at(step))
    assert seen == [1.0, 1.0, 0.25, 0.25]
    assert not rate.exhausted
    assert rate.best_step == 20


def test_training_stops_when_patience_is_at_its_end(tmp_path: Path) -> None:
    settings = {"max_steps": 60, "rate": 1e-12, "first_rate": 1e-12, "warmup": 0, "check_every": 2}
    made = replace(job(**settings, stop_patience=3), windows=Blank(training=True, validation=False))
    for norm in (m for m in made.model.modules() if isinstance(m, torch.nn.BatchNorm1d)):
        norm.momentum = 0.0
    trained = train(made, tmp_path)
    assert trained.steps == 8 and trained.best_step == 2, "nothing is learned, so the first check is the best"


def test_adamw_is_that_of_the_paper() -> None:
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=5), rng.normal(size=(4, 5))
    weights, mean, square = start.copy(), np.zeros(5), np.zeros(5)
    parameter = torch.tensor(start, dtype=torch.float32, requires_grad=True)
    ours = AdamW([parameter, torch.zeros(3, requires_grad=True)], weight_decay=0.1)
    for n, (gradient, rate) in enumerate(zip(gradients, (0.1, 0.2, 0.05, 0.1), strict=True), 1):
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        weights -= rate * 0.1 * weights
        weights -= rate * (mean / (1 - 0.9**n)) / (np.sqrt(square / (1 - 0.999**n)) + 1e-8)
        ours.forget_gradients()
        (parameter * torch.tensor(gradient, dtype=torch.float32)).sum().backward()  # type: ignore[no-untyped-call]
        ours.step(rate)
    np.testing.assert_allclose(parameter.detach().numpy(), weights, rtol=1e-5)


@pytest.mark.parametrize(
    ("losses", "falling"),
    [
        ([5, 4, 3, 2, 1], True),
        ([5, 1, 1, 1, 1, 1, 1, 1, 1, 1], False),
        ([5, 4, 3], True),
        ([5, 3, 4], False),
        ([5], True),
        ([1, 1, 1, 1, 1, 1, 1, 1, 0.995, 0.995], False),
        ([1, 1, 1, 1, 1, 1, 1, 1, 0.98, 0.97], True),
    ],
)
def test_a_curve_that_still_falls_is_marked(losses: list[float], falling: bool) -> None:
    assert Trained({}, {"validation": losses}, 0, 0.0, 0, 1).still_falling is falling


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("max_steps", 0, "max_steps is 0; wanted a whole number, at least 1"),
        ("rate", 0.0, "rate is 0.0; wanted a positive number"),
        ("warmup", -1, "warmup is -1; wanted a whole number, at least 0"),
        ("weight_decay", -1, "weight_decay is -1; wanted a positive number, or 0"),
        ("bf16", "yes", "bf16 is 'yes'; wanted True or False"),
        ("plateau_factor", 2.0, "wanted a share"),
        ("loss", "mae", "wanted 'mse' or 'huber'"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(setting: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Training(**{setting: value})  # type: ignore[arg-type]


def test_a_job_needs_no_more_than_a_model_and_windows() -> None:
    assert Job(torch.nn.Identity(), ToyWindows(16, 0)).training == Training()


class Skipping(Toy):
    """Has no use for a parameter where nothing is scored, as networks that leave out absent groups."""

    def __init__(self) -> None:
        super().__init__(8, plain=True)
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, batch: Batch) -> torch.Tensor:
        said = super().forward(batch)
        return said * self.scale if batch["scored"].any() else said


class Counted(Ranks):
    """Keeps the number of values that it sends to the others."""

    def add_up(self, tensors: Sequence[torch.Tensor]) -> None:
        self.sent = sum(tensor.numel() for tensor in tensors)


def test_a_rank_without_a_group_of_a_batch_sends_as_much_as_the_others() -> None:
    windows, sent = ToyWindows(16, 0), []
    for rank in (0, 1):
        batch = windows.batch(0, 0, 1)
        batch["scored"] &= rank == 0
        ranks = Counted(rank, 2)
        descent.Descent(Job(Skipping(), windows, Training()), ranks, torch.device("cpu")).step(batch, 0, 1e-3)
        sent.append(ranks.sent)
    assert sent[0] == sent[1]


def test_where_nobody_watches_the_log_still_says_what_was_passed_over_and_from_where_it_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(job(max_steps=8), tmp_path)
    sound, torn = sorted(tmp_path.glob("checkpoint-*.pt"))
    torn.write_bytes(torn.read_bytes()[:-1])
    with ProgressLine("train [site]/trend") as tell:
        train(job(max_steps=12), tmp_path, tell=tell)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and all(line.startswith("train [site]/trend: ") for line in said)
    assert torn.name in said[0] and "torn" in said[0] and sound.name in said[0]
    assert said[1].endswith(f"going on from step {int(sound.name[11:19])} of 12")
    train(job(max_steps=8), tmp_path / "other")
    with ProgressLine("train", quiet=True) as tell:
        train(job(max_steps=12), tmp_path / "other", tell=tell)
    assert not capsys.readouterr().err


def test_a_log_says_a_note_once_and_does_not_take_the_next_network_for_one_that_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with ProgressLine("train") as tell:
        for step in (0, 2):
            tell({"kind": "note", "step": step, "text": "warm-up shortened"})
            tell({"kind": "begin", "step": step, "of": 4})
        tell({"kind": "restart", "step": 3, "text": "rank 1 was killed"})
        tell({"kind": "begin", "step": 2, "of": 4})
        tell({"kind": "note", "step": 2, "text": "warm-up shortened"})
    assert capsys.readouterr().err.splitlines() == [
        "train: note at step 0: warm-up shortened",
        "train: restart at step 3: rank 1 was killed",
        "train: going on from step 2 of 4",
        "train: note at step 2: warm-up shortened",
    ]
