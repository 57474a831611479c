"""Training of the networks one after the other, each in a folder of its own: whoever is killed goes on where he was."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from insar_dask.forecast.coaching import MATERIAL
from insar_dask.forecast.components.history import PARTS, first_unknown
from insar_dask.forecast.components.material import Material, survey
from insar_dask.forecast.components.network import ComponentNetworks, Learned
from insar_dask.forecast.components.settings import NETWORK, Settings
from insar_dask.forecast.model_folder import write_whole
from insar_dask.forecast.series.point_source import Source
from insar_dask.forecast.series.splits import Block, Split
from insar_dask.forecast.timetable import Plan
from insar_dask.forecast.training.anywhere import train_anywhere
from insar_dask.forecast.walk import Tell

if TYPE_CHECKING:
    from distributed import Client

    from insar_dask.forecast.series.jobs import Draft
    from insar_dask.forecast.training.job import Job, Trained

__all__ = ["School", "job_from_folder", "teach"]

ACCOUNT = "account"

CHECKED = 128
"""Windows of groups that a check looks at, about, so that looking costs a tenth of training."""


@dataclass(frozen=True)
class School:
    """Where the networks are trained.

    Parameters
    ----------
    folder : Path
        For checkpoints, and what came of each network. A network that is done there is not trained again.
    device : {"cpu", "cuda"}
    client : distributed.Client, optional
        Train on its workers, which share the folder; default: in this process.
    ranks : int, optional
        Workers that train together; default: all of the client's.
    tell : callable
        Gets what the trainings say, see `insar_dask.forecast.training.logbook`, with ``network``, the name of the one
        that is trained; steps are counted over all networks.
    """

    folder: Path
    device: Literal["cpu", "cuda"] = "cpu"
    client: Client | None = None
    ranks: int | None = None
    tell: Tell = lambda _: None


def teach(source: Source, plan: Plan, settings: Settings, school: School) -> dict[str, npt.NDArray[Any]]:
    """Train a network for each component and pattern; their arrays, under the names that the fitted state has them by.

    Raises
    ------
    CubeError, TooShortError
        When there is nothing to learn from.
    """
    material, patterns = survey(source, plan, settings)
    course = _Course(material, settings, plan.horizon, school, list(product(PARTS, range(len(patterns)))))
    school.folder.mkdir(parents=True, exist_ok=True)
    try:
        if school.client is not None:
            material.write(school.folder / MATERIAL)
        if (found := len(patterns)) < (most := settings.shape.patterns):
            text = f"{found} of {most} patterns are told apart: points are too few, or series without a gap"
            school.tell({"kind": "note", "step": 0, "text": text})
        learned = [course.taught(at) for at in range(len(course.wanted))]
    finally:
        (school.folder / MATERIAL).unlink(missing_ok=True)
    made = ComponentNetworks(settings, patterns, first_unknown(plan), learned)
    return {f"honest.trained.{ComponentNetworks.name}.{name}": array for name, array in made.state().items()}


def job_from_folder(folder: str, component: str, pattern: int, settings: Mapping[str, Any], horizon: int) -> Job:
    """The job of one rank, made in its own process from what lies in the folder of the training."""
    material = Material.read(Path(folder) / MATERIAL, component)
    return _draft(material, component, pattern, Settings.from_dict(settings), horizon).job()


@dataclass(frozen=True, eq=False)
class _Course:
    """Networks to train, one after the other."""

    material: Material
    settings: Settings
    horizon: int
    school: School
    wanted: list[tuple[str, int]]
    """Component and pattern of each."""

    def taught(self, at: int) -> Learned:
        """One network, trained or found done; its checkpoints, four times its size, go when it is."""
        component, pattern = self.wanted[at]
        draft = _draft(self.material, component, pattern, self.settings, self.horizon)
        checkpoints = self.school.folder / f"{component}-{pattern}"
        path = checkpoints.with_suffix(".npz")
        kept = _read(path, draft.identity, self.school.tell)
        if kept is None:
            trained = self._train(at, draft, checkpoints)
            weights = {name: tensor.numpy() for name, tensor in trained.weights.items()}
            kept = weights, _account(component, pattern, self.material, trained)
            _write(path, draft.identity, *kept)
        if checkpoints.exists():
            shutil.rmtree(checkpoints)
        return Learned(draft.windows.framing, *kept)

    def _train(self, at: int, draft: Draft, folder: Path) -> Trained:
        """Train one of them.

        Ranks are started anew for each, so that what befalls them befalls one network. On cores that four processes
        shared that took 6 to 9 s of one rank and 9 to 11 of two, 4 minutes over 24 networks; 150 steps each take an
        hour, and 1,000 seven.
        """
        component, pattern = self.wanted[at]
        school = self.school
        tell = _counted(school.tell, folder.name, at, len(self.wanted), self.settings.training.max_steps)
        for text in draft.windows.remarks if component == PARTS[0] else ():
            tell({"kind": "note", "step": 0, "text": text})
        params = {
            "folder": str(school.folder.absolute()),
            "component": component,
            "pattern": pattern,
            "settings": self.settings.to_dict(),
            "horizon": self.horizon,
        }
        return train_anywhere(
            draft.job,
            f"{__name__}:job_from_folder",
            params,
            folder,
            client=school.client,
            ranks=school.ranks,
            device=school.device,
            tell=tell,
        )


def _draft(material: Material, component: str, pattern: int, settings: Settings, horizon: int) -> Draft:
    """One network, and the windows that it learns from: see `insar_dask.forecast.series.windows`.

    Of the points of its pattern each round shows every group about once, whatever its kind of motion, at an origin
    drawn uniformly.
    """
    from insar_dask.forecast.series.jobs import series_job

    shape, known = settings.shape, len(material.days)
    train, validation = Block("train", 0, material.fitted), Block("validation", material.fitted, known)
    n_checks = len(validation.origins(shape.context, horizon, reach_back=True))
    windows = {
        "context": shape.context,
        "horizon": horizon,
        "length": shape.length,
        "reach": shape.reach,
        "scaling": "last" if component == "trend" else "global",
        "reach_back": True,
        "pattern": pattern,
        "evenness": 1.0,
        "validation_points": -(-CHECKED // n_checks) * shape.length,
    }
    told = {"material": material.digest(component), "component": component, "settings": settings.to_dict()}
    return series_job(
        material.source(component),
        Split(train, validation, Block("test", known, known)),
        NETWORK,
        windows=windows,
        sizes=settings.sizes,
        training=asdict(settings.training),
        told=told,
    )


def _account(component: str, pattern: int, material: Material, trained: Trained) -> dict[str, Any]:
    """What one network saw, and how its loss went, for the card."""
    return {
        "component": component,
        "pattern": pattern,
        "points": int((material.patterns == pattern).sum()),
        "steps": trained.steps,
        "best_step": trained.best_step,
        "best_loss": float(f"{trained.best_loss:.4g}"),
        "still_falling": trained.still_falling,
    }


def _counted(tell: Tell, name: str, at: int, total: int, steps: int) -> Tell:
    """Says what one of several trainings says, its steps counted over all of them."""

    def say(said: Mapping[str, Any]) -> None:
        step, left = int(said["step"]), said.get("eta_s")
        done, of = at * steps + step, total * steps
        more = {"network": name, "step": done, "of": of}
        if left is not None and step < steps:
            more["eta_s"] = round(left * (of - done) / (steps - step), 1)
        tell({**said, **more})

    return say


def _read(path: Path, identity: str, tell: Tell) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]] | None:
    """Weights and account of a network that is done, if the file is whole and of these settings and data."""
    if not path.exists():
        return None
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as kept:
            weights = {name: kept[name] for name in kept.files if name != ACCOUNT}
            account = json.loads(str(kept[ACCOUNT]))
    except (BadZipFile, EOFError, KeyError, ValueError) as error:
        tell({"kind": "note", "step": 0, "text": f"{path} is damaged ({error}): this network is trained again"})
        return None
    return (weights, account) if account.pop("identity") == identity else None


def _write(path: Path, identity: str, weights: Mapping[str, npt.NDArray[Any]], account: Mapping[str, Any]) -> None:
    packed = io.BytesIO()
    told = np.array(json.dumps({**account, "identity": identity}))
    np.savez(packed, allow_pickle=False, **weights, **{ACCOUNT: told})
    write_whole(path, packed.getvalue())
