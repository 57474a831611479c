"""A training as a job: done once for a key, resumed in a folder beside the store, kept as a state."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt
from zarr.abc.store import Store

from insar_dask.addresses import beside
from insar_dask.buckets import Bucket
from insar_dask.forecast.training.hold import passing_folder
from insar_dask.forecast.training.progress_line import ProgressLine
from insar_dask.jobs.engine import Engine, str_path
from insar_dask.jobs.forecasting.bucket_checkpoints import checkpoints_in
from insar_dask.jobs.progress.events import Event
from insar_dask.jobs.receipts import Ledger
from insar_dask.jobs.recipe import canonical_key

if TYPE_CHECKING:
    from distributed import Client

    from insar_dask.forecast.series.point_source import Source
    from insar_dask.forecast.timetable import Plan

__all__ = ["Arrays", "Tell", "client_of", "source_of", "trained_once", "training_key"]

Arrays = dict[str, npt.NDArray[Any]]
Tell = Callable[[Mapping[str, Any]], None]

NEEDED = "days", "observed", "every", "horizon", "context", "train_start", "starts"
"""What of a plan any training depends on."""


def trained_once(engine: Engine, product: str, name: str, key: str, learn: Callable[[Path, Tell], Arrays]) -> str:
    """Hash of the state that ``learn`` makes in a folder for checkpoints, or made when it was done under this key.

    Parameters
    ----------
    engine : Engine
    product : str
    name : str
        Of the note that says what was done.
    key : str
        From `training_key`.
    learn : callable
        Given the folder and what to tell of the training.
    """
    note = engine.ledger.read_note(f"trained/{product}/{name}")
    if note is not None and note["key"] == key and _is_stored(engine.ledger, note["state"]):
        return str(note["state"])
    line = ProgressLine(f"train {product}", quiet=engine.quiet)
    with _folder(engine, product, name, key) as (folder, keep), line as tell:
        state = engine.ledger.write_state(learn(folder, _told_too(engine, f"{product} {name}", tell, keep)))
        engine.ledger.write_note(f"trained/{product}/{name}", {"key": key, "state": state})
    return state


def _told_too(engine: Engine, model: str, tell: Tell, keep: Callable[[], None]) -> Tell:
    """Says what a training says, has it on the dashboard and in the history, and its checkpoints kept."""

    def say(said: Mapping[str, Any]) -> None:
        tell(said)
        if said.get("kind") == "checkpoint":
            keep()
        engine.told(Event("loss", "training", extra={"model": model, **said}))

    return say


def training_key(
    engine: Engine, product: str, version: int, plan: Plan, settings: Mapping[str, Any], **more: Any
) -> str:
    """What a training depends on: the series, dates and settings, and what else is named."""
    done = engine.require(f"{product}/raw")
    told = plan.to_dict()
    return canonical_key(
        {
            "version": version,
            "input": [receipt.checksum for receipt in done.values()],
            "plan": {name: told[name] for name in NEEDED},
            "settings": settings,
            **more,
        }
    )


def source_of(path: str | Store, product: str) -> Source:
    """Raw series of a product, read where they lie."""
    from insar_dask.forecast.series.point_source import CubePoints
    from insar_dask.forecast.series.stored_points import StoredPoints
    from insar_dask.store import open_group

    group = f"{product}/raw"
    return CubePoints(open_group(path, group)) if isinstance(path, Store) else StoredPoints(path, group)


def client_of(engine: Engine, ranks: int) -> Client:
    """Client whose workers can train on a store; a ValueError where there is none, or the store has no address."""
    if engine.client is None or isinstance(str_path(engine.path), Store):
        raise ValueError(f"{ranks} ranks need a client and a store with an address; leave out ranks to train here")
    return engine.client


def _is_stored(ledger: Ledger, state: str) -> bool:
    try:
        ledger.read_state(state)
    except FileNotFoundError:
        return False
    return True


@contextmanager
def _folder(engine: Engine, product: str, name: str, key: str) -> Iterator[tuple[Path, Callable[[], None]]]:
    """Folder for checkpoints, removed when training has ended well, and what keeps them besides."""
    if isinstance(engine.store, Bucket):
        with checkpoints_in(engine.store, f"{product}/{name}", key[:16]) as kept:
            yield kept
        return
    if isinstance(engine.path, Store):
        with passing_folder() as passing:
            yield passing / "checkpoints", _kept_already
        return
    place = beside(engine.path, "-training") / product / key[:16]
    place.mkdir(parents=True, exist_ok=True)
    yield place, _kept_already
    shutil.rmtree(place)
    for parent in (place.parent, place.parent.parent):
        if not any(parent.iterdir()):
            parent.rmdir()


def _kept_already() -> None:
    """Where a checkpoint lies, it stays."""
