"""Training on a cluster that somebody else started: a scheduler and workers of their own commands."""

import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from distributed import Client

import insar_dask as insar
from insar_dask.forecast.training import checkpoint
from insar_dask.forecast.training.job import Trained
from insar_dask.forecast.training.ranks import train_on
from tests.jobs.clusters import external_cluster

ROOT = Path(__file__).parents[3]
STEPS = 40


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Two workers, each with a nanny, that can import these tests."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    with external_cluster(tmp_path, workers=2) as address, insar.session(address=address) as client:
        client.wait_for_workers(2, timeout=200)
        yield client


def trained(client: Client, folder: Path, tell: Any) -> Trained:
    params = {"max_steps": STEPS, "checkpoint_every": 5, "stop_patience": STEPS, "pause": 0.02}
    return train_on(client, "tests.forecast.toy_training:job", params, folder, tell=tell)


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    """Weights, best weights and moments of the optimiser in the newest checkpoint."""
    found = checkpoint.load(folder)
    assert found is not None
    return dict(_tensors(found.state))


def _tensors(value: Any, at: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield at, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _tensors(inner, f"{at}/{name}")
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _tensors(inner, f"{at}/{number}")


def test_a_worker_killed_in_mid_training_changes_no_bit_of_what_is_learned(client: Client, tmp_path: Path) -> None:
    undisturbed = trained(client, tmp_path / "undisturbed", lambda _: None)
    seats: dict[int, str] = {}
    kinds: list[str] = []
    workers = client.run(os.getpid)

    def kill_one_in_the_middle(word: Mapping[str, Any]) -> None:
        kinds.append(word["kind"])
        if word["kind"] == "rank":
            seats[word["rank"]] = word["worker"]
        if word["kind"] == "checkpoint" and word["step"] >= STEPS // 2 and "restart" not in kinds and workers:
            os.kill(workers[seats[1]], signal.SIGKILL)
            workers.clear()

    disturbed = trained(client, tmp_path / "disturbed", kill_one_in_the_middle)
    assert "restart" in kinds, "the kill came too late"
    assert (disturbed.steps, disturbed.world) == (undisturbed.steps, undisturbed.world) == (STEPS, 2)
    assert disturbed.history == undisturbed.history
    # the weights of a `Trained` are the best, which may be older than the kill
    wanted, found = (tensors(tmp_path / name) for name in ("undisturbed", "disturbed"))
    assert found.keys() == wanted.keys() and len(wanted) > 10
    for name, tensor in wanted.items():
        assert torch.equal(found[name], tensor), name
    assert len(client.scheduler_info()["workers"]) == 2, "the nanny did not put another in its place"
