"""Checkpoints of a training: whole or not there, and checked before anything is taken from them."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

__all__ = ["Checkpoint", "CheckpointError", "check_shapes", "load", "save"]

KEPT = 2
"""The newest, and the one before it for the day that the newest turns out torn."""

NAME = re.compile(r"checkpoint-(\d{8})-([0-9a-f]{16})\.pt")


class CheckpointError(ValueError):
    """A checkpoint is torn, or of another training; the message says which file, and what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """What was saved, and the file that it came from."""

    path: Path
    state: dict[str, Any]


def save(folder: Path, step: int, state: Mapping[str, Any]) -> Path:
    """Write the state after ``step`` steps; a kill at any moment leaves the earlier checkpoints as they were.

    The name holds the first half of a SHA-256 of the bytes: torch reads many a flipped bit without a word.

    Raises
    ------
    OSError
        When it cannot be written: the disk is full, or somebody else writes to the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    data = buffer.getbuffer()
    path = folder / f"checkpoint-{step:08d}-{_digest(data)}.pt"
    draft = path.with_suffix(f".{os.getpid()}.partial")
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        cure = "free space, and run again: it goes on from the checkpoint before"
        if isinstance(error, FileNotFoundError):
            cure = "another training writes there, or somebody deleted it; name a folder for each training"
        raise OSError(
            error.errno, f"cannot write the checkpoint of step {step} to {folder}: {error.strerror}; {cure}"
        ) from error
    _sync_names(folder)
    _prune(folder, path)
    return path


def load(folder: Path, at: int | None = None, note: Callable[[str], None] = lambda _: None) -> Checkpoint | None:
    """Newest sound checkpoint of a folder; None where there is none.

    Parameters
    ----------
    folder : Path
    at : int, optional
        The checkpoint of this step, and no other.
    note : callable
        Is told of each torn one that was passed over.

    Raises
    ------
    CheckpointError
        When there are checkpoints, and none of them is sound.
    """
    torn = []
    found = _files(folder)
    for path in reversed(found):
        if at is not None and _step(path) != at:
            continue
        try:
            state = _read(path)
        except CheckpointError as error:
            torn.append(str(error))
            continue
        for text in torn:
            note(f"{text}; going on from {path.name}")
        return Checkpoint(path, state)
    if torn:
        raise CheckpointError(f"{'; '.join(torn)}; no sound checkpoint is left: delete {folder} to start anew")
    if at is not None:
        raise CheckpointError(f"{folder} has no checkpoint of step {at} here; is it the same folder on every worker?")
    return None


def check_shapes(path: Path, found: Mapping[str, Any], model: torch.nn.Module) -> None:
    """Refuse weights that are not this model's, naming the first that differs.

    Raises
    ------
    CheckpointError
        With file, tensor, wanted and found shape.
    """
    wanted = model.state_dict()
    cure = f"build the model as it was trained, or delete {path.parent} to start anew"
    for name in sorted(wanted.keys() | found.keys()):
        want, have = (_shape(weights.get(name)) for weights in (wanted, found))
        if want != have:
            raise CheckpointError(f"{path}: tensor {name!r} is {have}, the model wants {want}; {cure}")


def _shape(tensor: torch.Tensor | None) -> str:
    return "absent" if tensor is None else f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"


def _read(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    named = NAME.fullmatch(path.name)
    if named is None or _digest(data) != named[2]:
        raise CheckpointError(f"{path} is torn: its {len(data)} bytes are not those that its name was made of")
    try:
        return dict(torch.load(io.BytesIO(data), map_location="cpu", weights_only=True))
    except (pickle.UnpicklingError, RuntimeError) as error:
        raise CheckpointError(f"{path} holds other things than tensors and numbers: {error}") from error


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("checkpoint-*.pt") if NAME.fullmatch(path.name))


def _step(path: Path) -> int:
    named = NAME.fullmatch(path.name)
    return int(named[1]) if named else -1


def _digest(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _sync_names(folder: Path) -> None:
    """Make the new name outlive a power cut, as its bytes do."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _prune(folder: Path, newest: Path) -> None:
    """Keep the newest and the one before it; others of the same step, or left half written by a kill, go too."""
    older = [path for path in _files(folder) if _step(path) < _step(newest)]
    keep = {newest, *older[-(KEPT - 1) :]}
    for path in (*_files(folder), *folder.glob("checkpoint-*.partial")):
        if path not in keep:
            path.unlink(missing_ok=True)
