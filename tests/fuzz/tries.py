"""Tries at a door: an input is taken, or refused as promised, within limits; or there is a fault."""

import json
import traceback
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.doors import DOORS, Files
from tests.fuzz.limits import HangError, limited

__all__ = ["CORPUS", "attempt", "fault_of", "from_text", "search", "to_text"]

CORPUS = Path(__file__).with_name("corpus")
"""Inputs that were faults once, by door; every test run tries them again."""

OURS = ("/insar_dask/", "/insar_kernels/")


def attempt(name: str, files: Files) -> bool:
    """Whether a door takes some files; what is neither that nor a refusal is raised."""
    door = DOORS[name]
    with limited():
        try:
            door.enter(files)
        except door.refusals as refusal:
            if not str(refusal).strip():
                raise AssertionError(f"{type(refusal).__name__} without a word") from refusal
            return False
    return True


def fault_of(error: BaseException) -> str:
    """What tells one fault from another: its type, and where in our code it came up."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if any(part in frame.filename for part in OURS)] or frames
    return f"{type(error).__name__} in {Path(ours[-1].filename).name}, {ours[-1].name}"


def search(name: str, number: int, tries: int, known: set[str], current: Path) -> tuple[int, tuple[str, Files] | None]:
    """Up to so many tries with inputs drawn from a number; how many were made, and the first fault not known yet.

    Parameters
    ----------
    current : Path
        File that holds the input of the try that is being made: all that is left if the process dies of it.
    """
    door, made, last = DOORS[name], 0, ("", Files())

    @seed(number)
    @settings(
        max_examples=tries,
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(door.wrong())
    def wrong(files: Files) -> None:
        nonlocal made, last
        made += 1
        current.write_text(to_text(name, files), encoding="ascii")
        try:
            attempt(name, files)
        except (Exception, HangError) as error:
            fault = fault_of(error)
            if fault in known:
                return
            last = fault, files
            raise

    try:
        wrong()
    except (Exception, HangError):
        if not last[0]:
            raise
        return made, last
    return made, None


def to_text(door: str, files: Files) -> str:
    """An input as it is kept: ASCII, so that its changes can be read."""
    return json.dumps({"door": door, "files": {name: data.decode("latin-1") for name, data in files.items()}}, indent=1)


def from_text(text: str) -> tuple[str, Files]:
    """The door and files that ``to_text`` made a text of."""
    kept = json.loads(text)
    return kept["door"], {name: data.encode("latin-1") for name, data in kept["files"].items()}
