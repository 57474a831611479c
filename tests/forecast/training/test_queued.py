"""Steps that nobody waits for: what a GPU is given to do, on the processor; oracle: steps that are waited for."""

import gc
import math
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from insar_dask.forecast.models import blocks, build
from insar_dask.forecast.training import train as training
from insar_dask.forecast.training.accelerator import STEPS, ways_of
from insar_dask.forecast.training.descent import Descent, TrainingError
from insar_dask.forecast.training.feeding import AHEAD, Pick, QueuedFeed
from insar_dask.forecast.training.job import Batch, Job, Training
from insar_dask.forecast.training.queued import QueuedDescent
from insar_dask.forecast.training.together import Ranks
from insar_dask.forecast.training.train import train
from tests.forecast.models.batches import SMALL, TIMES, batch
from tests.forecast.toy_training import ToyWindows, job
from tests.forecast.training.replay import stand_in
from tests.forecast.training.test_train import Blank, CutShortError, assert_same, interrupted

CPU = torch.device("cpu")
LOOKED_AT = {"_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "item", "tolist", "numpy", "cpu"}
LOOKED_AT |= {"__bool__", "__int__", "__float__", "__index__"}
"""Operations and methods that a device is waited for at."""


@pytest.fixture(autouse=True)
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks compute as they do where nothing is waited for; every checkpoint that is asked for is written."""
    torch.set_num_threads(1)
    monkeypatch.setattr(blocks, "WAITED_FOR", frozenset())
    monkeypatch.setattr(training, "SAVED_SECONDS", 0.0)


class UnseenOperations(TorchDispatchMode):
    """Refuses operations that ask for a number, in backward passes too."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func._schema.name.removeprefix("aten::") not in LOOKED_AT, f"{func} waits for the device"
        return func(*args, **(kwargs or {}))


class Unseen(TorchFunctionMode):
    """Refuses methods that do; of a processor's tensor they are no operations."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert getattr(func, "__name__", "") not in LOOKED_AT, f"{func} waits for the device"
        with UnseenOperations():
            return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("loss", ["mse", "huber"])
def test_the_same_is_learned_as_where_each_step_is_waited_for(tmp_path: Path, loss: str) -> None:
    waited = train(job(loss=loss, clip=0.05, plain=True), tmp_path / "waited")
    queued = train(job(loss=loss, clip=0.05, plain=True), tmp_path / "queued", queued=True)
    for name, column in waited.history.items():
        assert queued.history[name] == pytest.approx(column, rel=1e-5)
    for name, tensor in waited.weights.items():
        torch.testing.assert_close(queued.weights[name], tensor, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("at", "kind"), [(2, "checkpoint"), (8, "check"), (12, "end")])
def test_a_run_that_was_interrupted_ends_with_the_same_bits(tmp_path: Path, at: int, kind: str) -> None:
    whole = train(job(), tmp_path / "whole", queued=True)
    with pytest.raises(CutShortError):
        train(job(), tmp_path / "broken", tell=interrupted(at, kind), queued=True)
    assert_same(train(job(), tmp_path / "broken", queued=True), whole)


@pytest.mark.parametrize("first", [True, False])
def test_a_checkpoint_of_the_one_kind_is_taken_up_by_the_other(tmp_path: Path, first: bool) -> None:
    whole = train(job(max_steps=24, plain=True), tmp_path / "whole")
    train(job(max_steps=12, plain=True), tmp_path / "parts", queued=first)
    found = train(job(max_steps=24, plain=True), tmp_path / "parts", queued=not first)
    assert found.history["validation"] == pytest.approx(whole.history["validation"], rel=1e-5)


def test_checkpoints_are_some_seconds_apart_and_the_last_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SAVED_SECONDS", math.inf)
    told: list[Mapping[str, Any]] = []
    train(job(), tmp_path, tell=told.append, queued=True)
    assert [said["step"] for said in told if said["kind"] == "checkpoint"] == [2, 12]


def test_batches_without_a_scored_value_move_nothing(tmp_path: Path) -> None:
    made = replace(job(), windows=Blank(training=True, validation=False))
    before = {name: p.detach().clone() for name, p in made.model.named_parameters()}
    trained = train(made, tmp_path, queued=True)
    assert trained.history["training"] == [0.0, 0.0, 0.0]
    for name, parameter in made.model.named_parameters():
        assert torch.equal(parameter, before[name])
    assert torch.load(next(tmp_path.glob("checkpoint-*12-*.pt")), weights_only=True)["optimiser"]["count"] == 0


class Spoilt(ToyWindows):
    """One step has a target that is no number."""

    def batch(self, step: int, rank: int, world: int) -> Batch:
        batch = super().batch(step, rank, world)
        return batch if step != 5 else {**batch, "targets": torch.full_like(batch["targets"], math.inf)}


def test_a_loss_that_is_no_number_is_told_with_its_step_before_anything_of_it_is_kept(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="the training loss at step 5 is nan: lower rate"):
        train(replace(job(), windows=Spoilt(16, 0)), tmp_path, queued=True)
    kept = [torch.load(path, weights_only=True) for path in tmp_path.glob("checkpoint-*.pt")]
    assert sorted(state["step"] for state in kept) == [2, 4]
    assert all(tensor.isfinite().all() for state in kept for tensor in state["model"].values())


@pytest.mark.parametrize("name", SMALL)
def test_nothing_of_a_step_is_looked_at(name: str) -> None:
    torch.manual_seed(0)
    descent = QueuedDescent(Job(build(name, **SMALL[name]), ToyWindows(1, 0), Training(loss="huber")), Ranks(), CPU)
    given = batch(times=TIMES[name], absent=[(0, 1), *((2, point) for point in range(4))])
    with Unseen():
        for step in range(2):
            descent.step(given, step, 1e-3)
        with pytest.raises(AssertionError, match="waits for the device"):
            descent.settle()
    assert descent.recent[1] == 2 and math.isfinite(descent.loss)


@pytest.mark.parametrize("name", [name for name in SMALL if name != "lstm"])  # oneDNN's keeps memory of its own
def test_steps_that_are_recorded_and_done_again_learn_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random numbers, batches of two shapes, running means and gradients among it."""
    graphs = stand_in(monkeypatch)

    def learned(ways: tuple[str, ...]) -> QueuedDescent:
        torch.manual_seed(0)
        descent = QueuedDescent(Job(build(name, **SMALL[name]), ToyWindows(1, 0), Training()), Ranks(), CPU, ways)
        for step in range(8):
            groups = 3 if step in (5, 7) else 4
            descent.step(batch(groups=groups, times=TIMES[name], seed=step, absent=[(0, 1)]), step, 1e-2)
        return descent

    plain, recorded = learned(()), learned(("graphs",))
    assert [graph.replays for graph in graphs] == [3], "of six batches of one shape; of the other there are too few"
    assert recorded.recent == plain.recent and recorded.loss == plain.loss
    expected, found = plain.model.state_dict(), recorded.model.state_dict()
    assert all(torch.equal(found[key], tensor) for key, tensor in expected.items())


@pytest.mark.parametrize("ways", [(), ("graphs",)])
def test_nothing_of_a_training_stays_when_it_is_over(ways: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU's memory cannot wait for the collector of cycles, which knows nothing of it."""
    stand_in(monkeypatch)
    descent = QueuedDescent(job(plain=True), Ranks(), CPU, ways)
    for step in range(4):
        descent.step(ToyWindows(16, 0).batch(step, 0, 1), step, 1e-3)
    left = weakref.ref(descent)
    gc.disable()
    try:
        del descent
        assert left() is None
    finally:
        gc.enable()


class Twins(Ranks):
    """Two ranks with the same windows."""

    def add_up(self, tensors: Sequence[torch.Tensor]) -> None:
        for tensor in tensors:
            tensor.mul_(2)


@pytest.mark.parametrize("plain", [False, True])
def test_ranks_follow_the_sums_of_all_of_them(plain: bool) -> None:
    alone, two = (QueuedDescent(job(plain=plain), ranks, CPU) for ranks in (Ranks(), Twins(0, 2)))
    for step in range(3):
        for descent in (alone, two):
            descent.step(ToyWindows(16, 0).batch(step, 0, 1), step, 1e-3)
    assert two.recent[0] == pytest.approx(alone.recent[0], rel=1e-6)
    states = alone.model.state_dict(), two.model.state_dict()
    for name in ["leave.weight", *(() if plain else ("norm.running_mean", "norm.running_var"))]:
        torch.testing.assert_close(states[1][name], states[0][name])


def test_a_step_that_is_waited_for_is_looked_at() -> None:
    descent = Descent(job(), Ranks(), CPU)
    with Unseen(), pytest.raises(AssertionError, match="waits for the device"):
        descent.step(ToyWindows(16, 0).batch(0, 0, 1), 0, 1e-3)


class Broken(ToyWindows):
    """Raises at a step, of batches or of validation."""

    def __init__(self, at: int) -> None:
        super().__init__(16, 0)
        self.at, self.asked = at, []

    def batch(self, step: int, rank: int, world: int) -> Batch:
        self.asked.append(step)
        if step == self.at:
            raise TimeoutError("the disk is gone")
        return super().batch(step, rank, world)


def test_batches_are_made_ahead_and_an_error_comes_with_its_own_step() -> None:
    windows = Broken(AHEAD + 2)
    feed = QueuedFeed(windows, Ranks(), CPU, room=0)
    for step in range(AHEAD + 2):
        expected = ToyWindows(16, 0).batch(step, 0, 1)
        for name, tensor in feed.batch(step).items():
            assert torch.equal(tensor, expected[name])
    with pytest.raises(TimeoutError, match="the disk is gone"):
        feed.batch(AHEAD + 2)
    feed.close()
    assert windows.asked[: AHEAD + 3] == list(range(AHEAD + 3))


@pytest.mark.parametrize("room", [0, 10**9])
def test_validation_batches_are_made_once_where_they_fit(room: int) -> None:
    class Counted(ToyWindows):
        times = 0

        def validation(self, rank: int, world: int) -> Iterator[Batch]:
            self.times += 1
            yield from super().validation(rank, world)

    windows = Counted(16, 0)
    feed = QueuedFeed(windows, Ranks(), CPU, room)
    for _ in range(3):
        found, expected = list(feed.validation()), list(ToyWindows(16, 0).validation(0, 1))
        assert all(torch.equal(one["values"], other["values"]) for one, other in zip(found, expected, strict=True))
    feed.close()
    assert windows.times == (1 if room else 3)


def test_what_does_not_fit_is_made_on_the_host_and_said() -> None:
    class Large(ToyWindows):
        def stock_bytes(self) -> int:
            return 3 * 10**9

        def pick(self, step: int, rank: int, world: int) -> Pick:
            raise AssertionError("there is no stock to pick from")

    told: list[str] = []
    feed = QueuedFeed(Large(16, 0), Ranks(), CPU, room=10**9, note=told.append)
    assert feed.batch(0)["values"].shape[0] == 16
    feed.close()
    assert told == [
        "what batches are gathered from takes 3 GB, and 1 GB of cpu may be its own: batches are made on the host"
    ]


@pytest.mark.parametrize(
    ("asked", "message"), [("graph", "asks for graph; there are graphs and compiled"), ("graphs", "cpu does not have")]
)
def test_ways_that_there_are_not_are_refused(asked: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STEPS, asked)
    with pytest.raises(ValueError, match=message):
        ways_of(CPU)
    monkeypatch.setenv(STEPS, " compiled ")
    assert ways_of(CPU) == {"compiled"}
