"""The quickest of the scenarios; `make chaos` runs all of them."""

from pathlib import Path

import pytest

from tests.chaos.scenarios import SCENARIOS

QUICK = ("poisoned_chunk", "paused_worker")


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_nothing_is_lost(name: str, tmp_path: Path) -> None:
    assert SCENARIOS[name](tmp_path) == ""
