"""What `constraints-3.11.txt` pins: all that a user, the image or CI installs, at the versions that are tested here."""

import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = ROOT / f"constraints-{sys.version_info[0]}.{sys.version_info[1]}.txt"
UNPINNED = ("gpu12", "gpu13")
"""They want a GPU to be tested at all."""


def pinned() -> dict[str, str]:
    lines = (line.split("==") for line in PINS.read_text().splitlines() if line)
    return {canonicalize_name(name): version for name, version in lines}


def needed(requirements: list[str]) -> dict[str, str]:
    """Versions of what is installed of some requirements, and of all that these need in turn."""
    found: dict[str, str] = {}
    waiting = [(Requirement(text), "") for text in requirements]
    while waiting:
        one, extra = waiting.pop()
        if one.marker is not None and not one.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(one.name)
        try:
            here = distribution(one.name)
        except PackageNotFoundError:
            continue
        if name not in found or one.extras:
            found[name] = here.version
            waiting += [(Requirement(text), of) for text in here.requires or () for of in ("", *one.extras)]
    return found


@pytest.mark.skipif(not PINS.exists(), reason=f"no {PINS.name}: this Python's versions are not pinned")
def test_whatever_is_installed_is_pinned_at_its_version() -> None:
    extras = [texts for name, texts in PROJECT["optional-dependencies"].items() if name not in UNPINNED]
    found, pins = needed([*PROJECT["dependencies"], *(text for texts in extras for text in texts)]), pinned()
    assert len(found) > 100
    assert sorted(set(found) - set(pins)) == []
    wrong = {name: (version, pins[name]) for name, version in found.items() if version.partition("+")[0] != pins[name]}
    assert wrong == {}


@pytest.mark.skipif(not PINS.exists(), reason=f"no {PINS.name}: this Python's versions are not pinned")
def test_nothing_is_pinned_twice_or_loosely() -> None:
    lines = PINS.read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+", line)] == []
    assert len(pinned()) == len(lines)
