"""Ten minutes of wrong inputs: `make fuzz`.

usage: python -m tests.fuzz.run [--minutes M] [--seed N] [DOOR...]

Prints the seed, with which a run can be made again. The inputs of faults, as small as could be found, are kept in
`corpus/`, where `make test` tries them from then on.
"""

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

from tests.fuzz.tries import CORPUS, search, to_text

TRIES = 100
"""At a door before the next one's turn."""

SILENCE = 240.0
"""Seconds without a try after which a process is taken for hung: beyond the limit of a try, code in C may be at it."""


def main() -> int:
    """Exit 0 where no door had a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("doors", nargs="*", metavar="DOOR")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.folder is not None:
        _work(given.doors, given.minutes, given.seed, given.folder)
        return 0
    return _watch(given.doors, given.minutes, given.seed)


def _watch(doors: list[str], minutes: float, seed: int) -> int:
    """Let another process try, which a fault may end, and begin it anew until the time is up."""
    print(f"seed {seed}, {minutes:g} minutes", flush=True)  # noqa: T201
    until, faults = time.monotonic() + 60 * minutes, 0
    with tempfile.TemporaryDirectory() as folder:
        current, log = Path(folder) / "current", Path(folder) / "log.json"
        while (left := until - time.monotonic()) > 0:
            command = [sys.executable, "-m", "tests.fuzz.run", f"--minutes={left / 60}", f"--seed={seed}"]
            with subprocess.Popen([*command, f"--folder={folder}", *doors]) as process:
                died = _ended(process, current)
            if died and not current.exists():
                break  # it cannot even begin
            if died:
                faults += 1
                _keep(died, current.read_text())
                current.unlink()
            seed += 1
        told = json.loads(log.read_text()) if log.exists() else {"tries": {}, "faults": []}
    for door, tries in told["tries"].items():
        print(f"{door:<14}{tries:>9,} tries")  # noqa: T201
    faults += len(told["faults"])
    print(f"{sum(told['tries'].values()):,} tries, {faults} faults")  # noqa: T201
    return 1 if faults or not told["tries"] else 0


def _ended(process: subprocess.Popen[bytes], current: Path) -> str:
    """Wait for it; how it died, empty where it did not."""
    heard = time.time()
    while process.poll() is None:
        time.sleep(0.2)
        if current.exists():
            heard = max(heard, current.stat().st_mtime)
        if time.time() - heard > SILENCE:
            process.kill()
            process.wait()
            return f"no end within {SILENCE:.0f} s"
    return "" if process.returncode == 0 else f"exit status {process.returncode}"


def _work(doors: list[str], minutes: float, seed: int, folder: Path) -> None:
    """Try all doors in turn until the time is up."""
    from tests.fuzz.doors import DOORS

    warnings.simplefilter("ignore")
    until, log, parent = time.monotonic() + 60 * minutes, folder / "log.json", os.getppid()
    told = json.loads(log.read_text()) if log.exists() else {"tries": {}, "faults": []}
    while time.monotonic() < until:
        for name in doors or DOORS:
            made, fault = search(name, seed, TRIES, set(told["faults"]), folder / "current")
            told["tries"][name] = told["tries"].get(name, 0) + made
            if fault is not None:
                told["faults"].append(fault[0])
                _keep(fault[0], to_text(name, fault[1]))
            log.write_text(json.dumps(told))
            seed += 1
            if time.monotonic() > until or os.getppid() != parent:
                return


def _keep(fault: str, text: str) -> None:
    door = json.loads(text)["door"]
    path = CORPUS / door / f"{hashlib.sha256(text.encode()).hexdigest()[:12]}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="ascii")
    print(f"{door}: {fault}; kept as {path.relative_to(CORPUS.parent)}", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
