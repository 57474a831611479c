"""A fitted forecaster as one folder: a card for people, a card for programs, and arrays; nothing pickled."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.array_files import read_arrays

__all__ = ["OlderModelError", "read_folder", "write_folder", "write_whole"]

FORMAT = 2
CARD, README = "card.json", "README.md"
NEEDED = "weights", "weights_sha256", "seal"

WEIGHTS = re.compile(r"weights-[0-9a-f]{16}\.npz(\.partial)?")
UNFINISHED = f"{CARD}.partial", f"{README}.partial"
"""Files that a save which was killed leaves, beside weights and the page."""

State = dict[str, npt.NDArray[Any]]


class OlderModelError(ValueError):
    """A forecaster is sound, but learned what this version forecasts otherwise: fit it anew."""


def write_folder(folder: Path, card: Mapping[str, Any], readme: str, state: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write arrays, then the cards that name them; equal contents give equal bytes.

    A folder that holds an older forecaster holds that one until the card is replaced, in one step: whoever is killed
    here leaves either. Files of others that came beside it stay.

    Raises
    ------
    FileExistsError
        When the folder holds something else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _check_ours(folder)
    packed = io.BytesIO()
    np.savez_compressed(packed, allow_pickle=False, **{name: state[name] for name in sorted(state)})
    digest = hashlib.sha256(packed.getvalue()).hexdigest()
    weights = f"weights-{digest[:16]}.npz"
    write_whole(folder / weights, packed.getvalue())
    write_whole(folder / README, readme.encode())
    named = {"format": FORMAT, "weights": weights, "weights_sha256": digest, **card}
    sealed = {**named, "seal": _seal(named)}
    write_whole(folder / CARD, (json.dumps(sealed, indent=1, allow_nan=False) + "\n").encode())
    for path in list(folder.iterdir()):
        if path.name != weights and (WEIGHTS.fullmatch(path.name) or path.name in UNFINISHED):
            path.unlink()


def read_folder(folder: Path) -> tuple[dict[str, Any], State]:
    """Read what `write_folder` wrote: the card and the arrays.

    Raises
    ------
    FileNotFoundError
        When there is no such folder, or no forecaster in it.
    ValueError
        When it is damaged, torn, or of another format.
    """
    card = _read_card(folder / CARD)
    weights, digest = str(card["weights"]), card["weights_sha256"]
    if weights != Path(weights).name:
        raise ValueError(
            f"{folder / CARD} names {weights!r}, which is no file of its folder: save the forecaster again"
        )
    if not (folder / weights).is_file():
        raise ValueError(f"{folder / weights} is missing: copy the whole folder again, or save the forecaster again")
    data = (folder / weights).read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        raise ValueError(
            f"{folder / weights} is torn or damaged: its {len(data):,} bytes are not those that the card was written "
            "for; copy the whole folder again, or save the forecaster again"
        )
    try:
        return card, read_arrays(io.BytesIO(data))
    except ValueError as error:
        raise ValueError(f"{folder / weights} holds no arrays ({error}): save the forecaster again") from error


def _check_ours(folder: Path) -> None:
    """Refuse a folder that holds neither a forecaster nor only what a save that was killed has left of one."""
    if (folder / CARD).is_file():
        try:
            _read_card(folder / CARD)
        except ValueError as error:
            raise FileExistsError(f"{error}; nothing is written to {folder}: name another folder") from error
        return
    names = {path.name for path in folder.iterdir()}
    weights = {name for name in names if WEIGHTS.fullmatch(name)}
    if others := sorted(names - (weights | {README, *UNFINISHED} if weights else weights)):
        raise FileExistsError(
            f"{folder} is not empty and holds no forecaster, so nothing is written there: it has {others[0]!r}; "
            "name another folder"
        )


def _read_card(path: Path) -> dict[str, Any]:
    """A card as it was written."""
    if not path.is_file():
        raise FileNotFoundError(f"{path.parent} holds no forecaster: it has no {path.name}; Forecaster.save writes it")
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is torn or damaged ({error}): copy the folder again, or save anew") from error
    if not isinstance(card, dict) or "format" not in card:
        raise ValueError(f"{path} is no card of a forecaster: name a folder that Forecaster.save has written")
    if card["format"] != FORMAT:
        raise ValueError(f"{path} has format {card['format']}, this version reads {FORMAT}: fit anew")
    if missing := [name for name in NEEDED if name not in card]:
        raise ValueError(f"{path} lacks {', '.join(missing)}: put it back as it was saved, or fit anew")
    if card.pop("seal") != _seal(card):
        raise ValueError(
            f"{path} was changed after it was saved, and what was learned goes with what it said: put it back as it "
            "was; for other parameters make a new Forecaster and fit that"
        )
    return card


def _seal(card: Mapping[str, Any]) -> str:
    """SHA-256 of what a card says, however that is laid out."""
    text = json.dumps(card, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, also where the power goes."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
