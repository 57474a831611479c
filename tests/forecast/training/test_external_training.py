"""Training on a cluster that somebody else started: a scheduler and workers of their own commands."""

import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from distributed import Client

import insar_dask as insar
from insar_dask.forecast import Forecaster, protocol
from insar_dask.forecast.maps.lattice import flattened
from insar_dask.forecast.training import checkpoint
from insar_dask.forecast.training.job import Trained
from insar_dask.forecast.training.ranks import train_on
from insar_dask.forecast.walk import Walk
from insar_dask.shards import SHARD_POINTS
from tests.forecast.maps.test_map_forecaster import SMALL, TRAINING
from tests.forecast.maps.toy_tiles import toy_tiles
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


class Killer:
    """Kills the worker of the second rank when a checkpoint of half the steps or more has been written."""

    def __init__(self, client: Client, steps: int) -> None:
        self.steps, self.kinds, self.seats = steps, list[str](), dict[int, str]()
        self.workers = client.run(os.getpid)

    def __call__(self, word: Mapping[str, Any]) -> None:
        self.kinds.append(kind := word.get("kind", ""))
        if kind == "rank":
            self.seats[word["rank"]] = word["worker"]
        if kind == "checkpoint" and word["step"] >= self.steps // 2 and "restart" not in self.kinds and self.workers:
            os.kill(self.workers[self.seats[1]], signal.SIGKILL)
            self.workers.clear()


def test_a_worker_killed_in_mid_training_changes_no_bit_of_what_is_learned(client: Client, tmp_path: Path) -> None:
    undisturbed = trained(client, tmp_path / "undisturbed", lambda _: None)
    kill_one_in_the_middle = Killer(client, STEPS)
    disturbed = trained(client, tmp_path / "disturbed", kill_one_in_the_middle)
    assert "restart" in kill_one_in_the_middle.kinds, "the kill came too late"
    assert (disturbed.steps, disturbed.world) == (undisturbed.steps, undisturbed.world) == (STEPS, 2)
    assert disturbed.history == undisturbed.history
    # the weights of a `Trained` are the best, which may be older than the kill
    wanted, found = (tensors(tmp_path / name) for name in ("undisturbed", "disturbed"))
    assert found.keys() == wanted.keys() and len(wanted) > 10
    for name, tensor in wanted.items():
        assert torch.equal(found[name], tensor), name
    assert len(client.scheduler_info()["workers"]) == 2, "the nanny did not put another in its place"


def test_a_network_of_maps_learns_on_two_ranks_what_it_would_here_whoever_is_killed(
    client: Client, tmp_path: Path
) -> None:
    model = Forecaster("mmstt", sizes=SMALL, training={**TRAINING, "checkpoint_every": 3}, stride=4)
    tiles = flattened(toy_tiles())
    walk, plan = Walk(tiles, SHARD_POINTS), model.plan_to_fit(tiles)
    kill_one_in_the_middle = Killer(client, TRAINING["max_steps"])
    alone = model.coach(tell=lambda _: None)
    together = model.coach(client=client, folder=tmp_path, tell=kill_one_in_the_middle)
    assert alone is not None and together is not None
    state = protocol.fit([protocol.fit_partial(block, plan) for block in walk], plan)
    here, there = (coach.train(walk, plan, state, "toy tiles") for coach in (alone, together))
    assert "restart" in kill_one_in_the_middle.kinds, "the kill came too late"
    weights = [name for name in here if ".weights." in name]
    assert there.keys() == here.keys() and len(weights) > 10
    for name in weights:  # sums over two ranks have other last bits
        np.testing.assert_allclose(there[name], here[name], rtol=0, atol=1e-3, err_msg=name)
