"""Training networks on a cube, here or on the workers of a cluster, from where a run that was killed has come to."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.forecast.memory import check_training, gpu_free_bytes
from insar_dask.forecast.rank_memory import check_ranks, process_bytes
from insar_dask.forecast.series.point_source import ArrayPoints
from insar_dask.forecast.timetable import Plan
from insar_dask.forecast.training.hold import HeldError, held, passing_folder
from insar_dask.forecast.training.job import Training
from insar_dask.forecast.training.progress_line import ProgressLine
from insar_dask.forecast.walk import Tell, Walk
from insar_dask.settings import known, whole

if TYPE_CHECKING:
    from distributed import Client

__all__ = [
    "MAPS",
    "MASK",
    "MATERIAL",
    "PLACES",
    "SERIES",
    "STATE",
    "Classroom",
    "Coach",
    "State",
    "usable_device",
]

State = Mapping[str, npt.NDArray[Any]]

SERIES, PLACES = "insar-dask-series.npy", "insar-dask-places.npy"
STATE, MATERIAL = "insar-dask-fitted.npz", "insar-dask-material.npz"
MAPS, MASK = "insar-dask-maps.npy", "insar-dask-mask.npy"
LAID_OUT = SERIES, PLACES, STATE, MATERIAL, MAPS, MASK
"""Files that a training reads, and that go with it."""


class Wanted(Protocol):
    """What settings of any networks have."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def training(self) -> Training:
        """How they are trained."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""


Settings = TypeVar("Settings", bound=Wanted)


@dataclass(frozen=True)
class Classroom:
    """What lies ready for a training."""

    source: ArrayPoints
    """Series in the order of the walk."""
    shard: int
    """Points of a block that is forecast by itself."""
    plan: Plan
    state: State
    """From `insar_dask.forecast.protocol.fit`."""
    folder: Path
    identity: str
    """Hash of data, dates and settings."""


@dataclass(frozen=True)
class Coach(ABC, Generic[Settings]):
    """Where and how networks are trained.

    Parameters
    ----------
    settings
        Of the networks.
    device : str
        ``"cpu"`` or ``"cuda"``.
    client : distributed.Client, optional
        Train on its workers, which share this machine's files.
    ranks : int, optional
        Workers that train together; default: all of the client's.
    folder : Path, optional
        For checkpoints: a training that was killed goes on from there, in a folder of its own for each cube and
        settings. Default: one that passes.
    tell : callable, optional
        Gets what the training says, see `insar_dask.forecast.training.logbook`; default: a line in the terminal, and
        where there is none its notes.
    """

    settings: Settings
    device: Literal["cpu", "cuda"] = "cpu"
    client: Client | None = None
    ranks: int | None = None
    folder: Path | None = None
    tell: Tell | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be had before anything is read."""
        _check_workers(self.client, self.ranks)
        if self.folder is not None and self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"checkpoints is {str(self.folder)!r}, which is a file; name a folder, or one to be made")

    @abstractmethod
    def bytes(self, cube: xr.Dataset) -> int:
        """Predicted peak memory of training in this process, or on its GPU."""

    def rank_bytes(self, cube: xr.Dataset, groups: int) -> int:
        """Predicted peak memory of a rank whose share of a batch is so many groups."""
        return process_bytes(self._host_bytes(cube, groups))

    def check_memory(self, cube: xr.Dataset, memory: int | None = None) -> int:
        """Bytes that training takes of this process: 0 where workers train.

        Raises
        ------
        CubeError
            When that, or what a rank takes, or this process' GPU, does not fit; saying what would.
        """
        batch = self.settings.training.batch
        if self.client is not None:
            check_ranks(self.client, self.ranks, batch, lambda groups: self.rank_bytes(cube, groups))
            return 0
        if self.device == "cuda":
            check_training(lambda groups: self._with(groups).bytes(cube), batch, gpu_free_bytes(), of=" of the GPU")
        return check_training(lambda groups: self._host_bytes(cube, groups), batch, memory)

    def _host_bytes(self, cube: xr.Dataset, groups: int) -> int:
        """Of a process that trains on so many groups; what these take is a GPU's where there is one."""
        return self._with(1 if self.device == "cuda" else groups).bytes(cube)

    def _with(self, groups: int) -> Self:
        """The same with batches of so many groups, in this process."""
        training = replace(self.settings.training, batch=groups)
        return replace(self, settings=replace(self.settings, training=training), client=None, ranks=None)

    def train(self, walk: Walk, plan: Plan, state: State, fingerprint: str) -> dict[str, npt.NDArray[Any]]:
        """Arrays of the trained networks, under the names that the fitted state has them by.

        ``fingerprint`` is that of the walk.
        """
        identity = json.dumps([fingerprint, walk.plan.shard, plan.to_dict(), self.settings.to_dict()], sort_keys=True)
        key = hashlib.sha256(identity.encode()).hexdigest()
        with _place(self.folder, key[:16]) as folder:
            room = Classroom(_laid_out(walk, folder), walk.plan.shard, plan, state, folder, key)
            with ProgressLine("train", quiet=self.tell is not None) as line:
                return self.taught(room, self.tell or line)

    @abstractmethod
    def taught(self, room: Classroom, tell: Tell) -> dict[str, npt.NDArray[Any]]:
        """As `train`, where everything lies ready; ``tell`` gets what the training says."""


def _check_workers(client: Client | None, ranks: int | None) -> None:
    if ranks is not None:
        whole("ranks", ranks)
    if client is None:
        if ranks is not None:
            raise ValueError(f"{ranks} ranks need workers: give a client, as in insar_dask.session(workers=2)")
        return
    if client.status != "running":
        raise ValueError(f"the client is {client.status}: give one that runs, or none to train in this process")
    if ranks is not None and ranks > (n_workers := len(client.nthreads())):
        raise ValueError(
            f"{ranks} ranks are more than the {n_workers} workers of the client, each takes one: start more workers, "
            "or ask for fewer ranks"
        )


def usable_device(device: str) -> Literal["cpu", "cuda"]:
    """What torch shall compute on: ``"cpu"``, ``"cuda"``, or ``"auto"``, a GPU where there is one.

    Raises
    ------
    ValueError
        For another name, or a GPU that is not there.
    """
    known("device", device, ("cpu", "cuda", "auto"))
    if device == "cpu":
        return "cpu"
    import torch

    found = torch.cuda.is_available()
    if device == "cuda" and not found:
        raise ValueError(
            f"device 'cuda' was asked for, but torch {torch.__version__} finds no GPU here: take device='cpu', or "
            "'auto' for a GPU where there is one"
        )
    return "cuda" if found else "cpu"


@contextmanager
def _place(folder: Path | None, key: str) -> Iterator[Path]:
    """A folder of this training alone; what is laid out there goes with it, or when the next one starts."""
    if folder is None:
        with passing_folder() as passing:
            yield passing
        return
    for left in folder.glob(f"*/{SERIES}"):
        with suppress(HeldError), held(left.parent):
            _clear(left.parent)
    with held(folder / key) as place:
        try:
            yield place
        finally:
            _clear(place)


def _clear(folder: Path) -> None:
    """Remove what was laid out; whoever has a file mapped keeps it as it was."""
    for name in LAID_OUT:
        (folder / name).unlink(missing_ok=True)


def _laid_out(walk: Walk, folder: Path) -> ArrayPoints:
    """The series as a plain file in the order of the walk, mapped: no more of it is in memory than is read."""
    shape = (walk.plan.n_points, walk.cube.sizes["time"])
    series = np.lib.format.open_memmap(folder / SERIES, "w+", np.float32, shape)
    places = np.empty((shape[0], 2))
    at = 0
    for block in walk:
        where = slice(at, at + block.sizes["point"])
        series[where] = block["displacement"].values
        places[where] = np.stack([block["easting"].values, block["northing"].values], axis=1)
        at = where.stop
    series.flush()
    np.save(folder / PLACES, places)
    real = walk.cube["observed"].values if "observed" in walk.cube else None
    return ArrayPoints.of(np.load(folder / SERIES, mmap_mode="r"), places, walk.cube["time"].values, observed=real)
