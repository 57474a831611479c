"""All of chaos, and its table: `make chaos`.

usage: python -m tests.chaos.run [--anew] [NAME...]     what has a result already is not run again, unless --anew

A name is a scenario, or a mode of KillWorker. Results lie beside, one file each, so that a run that was ended goes on.
"""

import argparse
import json
import logging
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import kills
from tests.chaos.scenarios import SCENARIOS

RESULTS = Path(__file__).with_name("results")


def run_scenario(name: str) -> None:
    """Run a scenario and keep what came of it."""
    began, result = time.monotonic(), RESULTS / "scenarios" / f"{name}.json"
    result.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        try:
            wrong = SCENARIOS[name](Path(folder))
        except pytest.skip.Exception as skipped:
            wrong = f"skipped: {skipped}"
        except (Exception, pytest.fail.Exception) as error:
            wrong = f"{type(error).__name__}: {error}"
    seconds = round(time.monotonic() - began, 1)
    result.write_text(json.dumps({"scenario": name, "wrong": wrong, "seconds": seconds}, indent=1) + "\n")
    sys.stdout.write(f"{name}: {wrong or 'nothing lost'}, {seconds} s\n")


def table() -> str:
    """All results, as Markdown."""
    lines = [
        "# What chaos came to",
        "",
        f"`make chaos`; the table was made at {_commit()}, each result is of the commit that added its file. Where",
        "nothing was lost, rows in were rows out, and all bytes those of the undisturbed run.",
        "",
        "| KillWorker | runs | complete | identical | workers | deaths while running | pre-empted | blamed | s a run |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for mode in kills.MODES:
        found = [
            json.loads(path.read_text()) for path in sorted(kills.RESULTS.glob(f"{mode.replace('.', '-')}-*.json"))
        ]
        lines += [_row(mode, found)] if found else []
    lines += ["", "| scenario | what it is | lost | s |", "|---|---|---|---|"]
    for name, scenario in SCENARIOS.items():
        path = RESULTS / "scenarios" / f"{name}.json"
        if path.exists():
            one, what = json.loads(path.read_text()), (scenario.__doc__ or "").strip()
            lines.append(f"| {name.replace('_', ' ')} | {what} | {one['wrong'] or 'nothing'} | {one['seconds']} |")
    return "\n".join(lines) + "\n"


def _row(mode: str, found: list[dict[str, Any]]) -> str:
    complete, identical = sum(one["complete"] for one in found), sum(one["loss"] == "" for one in found)
    workers = sum(one["workers"] for one in found)
    died, went = (sum(one["retried"].get(why, 0) for one in found) for why in (DIED, WENT))
    blamed = sum(len(one["blamed"]) for one in found)
    seconds = sorted(one["seconds"] for one in found)[len(found) // 2]
    numbers = (len(found), complete, identical, workers, died, went, blamed, f"{seconds:.0f}")
    return f"| {mode} | {' | '.join(map(str, numbers))} |"


DIED, WENT = "its worker died while it ran", "its worker was told to go"


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or "an unknown commit"


def main() -> int:
    """Run what is wanted, then print the table; 1 when anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=[*SCENARIOS, *kills.MODES])
    parser.add_argument("--anew", action="store_true", help="run also what has a result")
    parser.add_argument("--table", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    for name in [] if arguments.table else arguments.names:
        if name in kills.MODES:
            kills.main([name], kills.SEEDS, anew=arguments.anew)
        elif arguments.anew or not (RESULTS / "scenarios" / f"{name}.json").exists():
            run_scenario(name)
    text = table()
    (RESULTS / "table.md").write_text(text)
    sys.stdout.write(text)
    return int(_lost())


def _lost() -> bool:
    found = [json.loads(path.read_text()) for path in RESULTS.glob("*/*.json")]
    return any(one.get("wrong") or one.get("loss") or one.get("complete") is False for one in found)


if __name__ == "__main__":
    sys.exit(main())
