from pathlib import Path
from typing import Any

import torch
from distributed import Client

from insar_dask.forecast.training.anywhere import train_anywhere
from insar_dask.forecast.training.job import Job
from insar_dask.forecast.training.train import train
from tests.forecast.toy_training import job

BUILDER = "tests.forecast.toy_training:job"


def test_what_began_here_goes_on_there_with_the_same_bits(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    made: list[int] = []

    def of(steps: int) -> tuple[Any, str, dict[str, Any], Path]:
        def here() -> Job:
            made.append(steps)
            return job(max_steps=steps)

        return here, BUILDER, {"max_steps": steps}, tmp_path / "moved"

    with Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=":0") as client:
        begun = train_anywhere(*of(8))
        ended = train_anywhere(*of(12), client=client, ranks=1)
    assert made == [8], "nothing is made here of what is trained there"
    whole = train(job(max_steps=12), tmp_path / "whole")
    assert (begun.steps, ended.steps) == (8, 12) and ended.history == whole.history
    assert all(torch.equal(ended.weights[name], tensor) for name, tensor in whole.weights.items())
