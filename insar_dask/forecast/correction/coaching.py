"""Training the network of a Forecaster on a cube, here or on the workers of a cluster."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from insar_dask.forecast.correction.network import require_torch
from insar_dask.forecast.correction.teaching import Lesson, Settings, teach
from insar_dask.forecast.series.point_source import ArrayPoints
from insar_dask.forecast.timetable import Plan
from insar_dask.forecast.training.hold import HeldError, held, passing_folder
from insar_dask.forecast.training.progress_line import ProgressLine
from insar_dask.forecast.walk import Tell, Walk
from insar_dask.settings import known, share, whole

if TYPE_CHECKING:
    from distributed import Client

    from insar_dask.forecast.correction.footing import Footing
    from insar_dask.forecast.training.job import Job, Trained

__all__ = ["Coach", "job_from_folder", "settings_of", "usable_device"]

State = Mapping[str, npt.NDArray[Any]]

GIVEN = {"context", "horizon", "known", "patterns", "time_features"}
"""Sizes of a network that its inputs give."""

LAID_OUT = SERIES, PLACES, STATE = "insar-dask-series.npy", "insar-dask-places.npy", "insar-dask-fitted.npz"
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class Coach:
    """Where and how a network is trained.

    Parameters
    ----------
    settings : Settings
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
        Gets what the training says, see `insar_dask.forecast.training.logbook`; default: a line in the terminal.
    """

    settings: Settings
    device: Literal["cpu", "cuda"] = "cpu"
    client: Client | None = None
    ranks: int | None = None
    folder: Path | None = None
    tell: Tell | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be had before anything is read."""
        if self.ranks is not None and self.client is None:
            raise ValueError(f"{self.ranks} ranks need workers: give a client, as in insar_dask.session(workers=2)")
        if self.client is not None and self.ranks is not None and self.ranks > len(self.client.nthreads()):
            raise ValueError(
                f"{self.ranks} ranks are more than the {len(self.client.nthreads())} workers of the client, each takes "
                "one: start more workers, or ask for fewer ranks"
            )

    @property
    def point_windows(self) -> int:
        """Points of a batch."""
        return self.settings.training.batch * self.settings.shape.length

    def train(self, walk: Walk, plan: Plan, state: State, fingerprint: str) -> dict[str, npt.NDArray[Any]]:
        """Arrays of the trained network, under the names that the fitted state has them by.

        ``fingerprint`` is that of the walk.
        """
        identity = json.dumps([fingerprint, walk.plan.shard, plan.to_dict(), self.settings.to_dict()], sort_keys=True)
        key = hashlib.sha256(identity.encode()).hexdigest()
        with _place(self.folder, key[:16]) as folder:
            source = _laid_out(walk, folder)
            lesson = Lesson(source, plan, state, walk.plan.shard, self.settings, key)
            return teach(lesson, lambda lesson, footing: self._run(lesson, footing, folder))

    def _run(self, lesson: Lesson, footing: Footing, folder: Path) -> Trained:
        with ProgressLine("spacetimeformer", quiet=self.tell is not None) as line:
            return self._told(lesson, footing, folder, self.tell or line)

    def _told(self, lesson: Lesson, footing: Footing, folder: Path, tell: Tell) -> Trained:
        if self.client is None:
            from insar_dask.forecast.training.train import train

            return train(lesson.job(footing), folder / CHECKPOINTS, device=self.device, tell=tell)
        from insar_dask.forecast.training.ranks import train_on

        np.savez(folder / STATE, allow_pickle=False, **lesson.state)
        params = {
            "folder": str(folder.absolute()),
            "plan": lesson.plan.to_dict(),
            "shard": lesson.shard,
            "settings": lesson.settings.to_dict(),
            "footing": {"weights": footing.weights.tolist(), "scale": footing.scale},
            "identity": lesson.identity,
        }
        builder, place = f"{__name__}:job_from_folder", folder / CHECKPOINTS
        return train_on(self.client, builder, params, place, self.ranks, device=self.device, tell=tell)


def job_from_folder(
    folder: str,
    plan: Mapping[str, Any],
    shard: int,
    settings: Mapping[str, Any],
    footing: Mapping[str, Any],
    identity: str,
) -> Job:
    """The job of one rank, made in its own process from what lies in the folder of the training."""
    from insar_dask.forecast.correction.footing import Footing

    place, schedule = Path(folder), Plan.from_dict(plan)
    with np.load(place / STATE, allow_pickle=False) as arrays:
        state = {name: arrays[name] for name in arrays.files}
    lesson = Lesson(_source(place, schedule), schedule, state, shard, Settings.from_dict(settings), identity)
    return lesson.job(Footing(np.asarray(footing["weights"], np.float64), footing["scale"]))


def settings_of(
    context: int, group: int, random_state: int, sizes: Mapping[str, Any] | None, training: Mapping[str, Any] | None
) -> Settings:
    """Settings of a network from the parameters of a Forecaster.

    Raises
    ------
    ValueError
        For a name or a number that cannot be meant.
    """
    require_torch()
    default = Settings()
    _check_sizes(sizes or {})
    return Settings(
        replace(default.shape, context=context, length=group),
        dict(sizes or {}),
        replace(default.training, seed=random_state, **(training or {})),
    )


def _check_sizes(sizes: Mapping[str, Any]) -> None:
    from insar_dask.forecast.models import network_class

    asked = inspect.signature(network_class("fast")).parameters
    if unknown := set(sizes) - (asked.keys() - GIVEN):
        has = ", ".join(sorted(asked.keys() - GIVEN))
        raise ValueError(f"sizes has no {', '.join(sorted(unknown))}; it has {has}")
    for name, size in sizes.items():
        if isinstance(asked[name].default, int):
            whole(name, size)
        else:
            share(name, size, zero=True)


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


def _source(folder: Path, plan: Plan) -> ArrayPoints:
    series = np.load(folder / SERIES, mmap_mode="r")
    times = np.asarray(plan.days, "datetime64[D]")
    return ArrayPoints.of(series, np.load(folder / PLACES), times, observed=np.array(plan.observed))
