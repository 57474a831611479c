"""What a run of ``examples/chumar.py`` took, stage by stage, and how far its forecasts err: from its store and card.

python -m tests.benchmarks.chumar_run FOLDER METHOD [--into FILE]

FOLDER and METHOD are those of the example. A run that was killed and went on has all its parts added up. Most of what
its seconds have beyond those of its stages went into the training of networks.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zarr.storage import LocalStore

from insar_dask.jobs.progress.board import Board
from insar_dask.jobs.progress.history import Reader, runs
from tests.benchmarks.published_data import RESULTS
from tests.benchmarks.unit_files import machine, write

CARD = "method", "parameters", "data", "scores", "networks"
"""What of a forecaster's card is kept."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("method")
    parser.add_argument("--into", type=Path, help="default: results/chumar_METHOD.json")
    options = parser.parse_args(arguments)
    found = read(options.folder, options.method)
    write(options.into or RESULTS / f"chumar_{options.method}.json", found)
    print(json.dumps(found["stages"], indent=1))
    return 0


def read(folder: Path, method: str) -> dict[str, Any]:
    card = json.loads((folder / method / "card.json").read_text())
    store = LocalStore(folder / "cube.zarr")
    boards = [Reader(store, run).read() for run in runs(store)]
    took = {"machine": machine(), "seconds": round(sum(map(seconds_of, boards)), 1), "stages": stages(boards)}
    return took | {"card": {name: card[name] for name in CARD if name in card}}


def stages(boards: list[Board]) -> dict[str, dict[str, float]]:
    """Seconds on the clock, and of all workers together, of each stage that did anything."""
    found: dict[str, dict[str, float]] = {}
    for name, clock, busy in (row for board in boards for row in told(board)):
        row = found.setdefault(name, {"seconds": 0.0, "busy_s": 0.0})
        row["seconds"], row["busy_s"] = round(row["seconds"] + clock, 1), round(row["busy_s"] + busy, 1)
    return found


def told(board: Board) -> Iterator[tuple[str, float, float]]:
    for name, stage in board.stages.items():
        yield name.rsplit("/", 1)[-1], (stage.ended or board.last) - stage.began, stage.busy


def seconds_of(board: Board) -> float:
    return round((board.ended or board.last) - board.began, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
