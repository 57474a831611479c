"""A fitted forecaster as one folder: a card for people, a card for programs, and arrays; nothing pickled."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["read_folder", "write_folder"]

FORMAT = 1
CARD, README = "card.json", "README.md"

State = dict[str, npt.NDArray[Any]]


def write_folder(folder: Path, card: Mapping[str, Any], readme: str, state: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write arrays, then the cards that name them; equal contents give equal bytes.

    A folder that holds an older forecaster holds that one until the card is replaced, in one step: whoever is killed
    here leaves either.

    Raises
    ------
    FileExistsError
        When the folder holds something else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()) and not (folder / CARD).exists() and not list(folder.glob("weights-*")):
        raise FileExistsError(
            f"{folder} is not empty and holds no forecaster, so nothing is written there; name another"
        )
    packed = io.BytesIO()
    np.savez_compressed(packed, allow_pickle=False, **{name: state[name] for name in sorted(state)})
    digest = hashlib.sha256(packed.getvalue()).hexdigest()
    weights = f"weights-{digest[:16]}.npz"
    _replace(folder / weights, packed.getvalue())
    _replace(folder / README, readme.encode())
    sealed = {"format": FORMAT, "weights": weights, "weights_sha256": digest, **card}
    _replace(folder / CARD, (json.dumps(sealed, indent=1, allow_nan=False) + "\n").encode())
    for leftover in (*folder.glob("weights-*"), *folder.glob("*.partial")):
        if leftover.name != weights:
            leftover.unlink()


def read_folder(folder: Path) -> tuple[dict[str, Any], State]:
    """Read what `write_folder` wrote: the card and the arrays.

    Raises
    ------
    FileNotFoundError
        When there is no such folder, or no forecaster in it.
    ValueError
        When it is damaged, torn, or of another format.
    """
    if not (folder / CARD).is_file():
        raise FileNotFoundError(f"{folder} holds no forecaster: it has no {CARD}; they are written by Forecaster.save")
    try:
        card = dict(json.loads((folder / CARD).read_text(encoding="utf-8")))
        written, weights, digest = card["format"], str(card["weights"]), card["weights_sha256"]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{folder / CARD} is damaged ({error}): save the forecaster again") from error
    if written != FORMAT:
        raise ValueError(f"{folder} has format {written}, this version reads {FORMAT}: fit anew")
    data = (folder / weights).read_bytes() if (folder / weights).is_file() else b""
    if hashlib.sha256(data).hexdigest() != digest:
        raise ValueError(
            f"{folder / weights} is torn or damaged: its {len(data):,} bytes are not those that the card was written "
            "for; copy the whole folder again, or save the forecaster again"
        )
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return card, {name: arrays[name] for name in arrays.files}
    except (zipfile.BadZipFile, zlib.error, ValueError, KeyError) as error:
        raise ValueError(f"{folder / weights} holds no arrays ({error}): save the forecaster again") from error


def _replace(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, also where the power goes."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
