from collections.abc import Iterator

import pytest
import torch

from insar_dask.forecast import torch_threads
from insar_dask.forecast.torch_threads import all_threads, one_thread


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = torch.get_num_threads(), torch_threads._before
    yield
    torch.set_num_threads(before[0])
    torch_threads._before = before[1]


def test_a_training_after_forecasts_has_the_threads_of_one_before() -> None:
    torch.set_num_threads(2)
    for _ in range(2):
        one_thread()
    assert torch.get_num_threads() == 1
    all_threads()
    assert torch.get_num_threads() == 2


def test_threads_that_were_set_are_left() -> None:
    torch.set_num_threads(3)
    all_threads()
    assert torch.get_num_threads() == 3
    torch.set_num_threads(1)
    torch_threads._before = 1
    all_threads()
    assert torch.get_num_threads() == 1
