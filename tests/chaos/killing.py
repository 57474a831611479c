"""Death as `distributed` deals it, counted from a warm worker, by a seed."""

import importlib
import os
import random
from pathlib import Path
from typing import Any

from distributed.chaos import KillWorker

from tests.chaos.place import WARM


class KillWarmWorker(KillWorker):  # type: ignore[misc]
    """KillWorker with its own chance for each seed, worker and life.

    Parameters
    ----------
    folder : str
        Where lives are counted.
    seed : int
    delay, mode
        As KillWorker's.
    """

    def __init__(self, folder: str, seed: int, delay: float, mode: str) -> None:
        super().__init__(delay, mode)
        self.folder, self.seed = folder, seed

    async def setup(self, worker: Any) -> None:
        """Begin a life."""
        importlib.import_module(WARM)
        lives = Path(self.folder) / f"lives-{worker.name}"
        with lives.open("a") as file:
            file.write(f"{os.getpid()}\n")
        random.seed(f"{self.seed} {self.mode} {worker.name} {len(lives.read_text().split())}")
        await super().setup(worker)


def lives(folder: Path) -> int:
    """Workers that have lived."""
    return sum(len(path.read_text().split()) for path in folder.glob("lives-*"))
