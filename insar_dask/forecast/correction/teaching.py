"""Training of the network that corrects the linear forecasts, on dates before the first validation origin alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from insar_dask.forecast.catalogue import CORRECTED, CORRECTING
from insar_dask.forecast.correction.footing import Footing, fit_footing
from insar_dask.forecast.correction.gate import fit_gate
from insar_dask.forecast.correction.inputs import group_inputs, point_inputs
from insar_dask.forecast.correction.network import QUICKER, CorrectingNetwork, build_network, correct, linear_members
from insar_dask.forecast.correction.origin_windows import OriginWindows, Shape, inner_origins, pieces, training_origins
from insar_dask.forecast.correction.signals import Signals, signals
from insar_dask.forecast.groups import cut_groups
from insar_dask.forecast.registry import Arrays, Forecaster, load
from insar_dask.forecast.series.point_source import Source
from insar_dask.forecast.tallies import windows_of
from insar_dask.forecast.timetable import Plan
from insar_dask.forecast.training.hold import passing_folder
from insar_dask.forecast.training.job import Job, Trained, Training

if TYPE_CHECKING:
    import torch

__all__ = ["Lesson", "Run", "Settings", "teach", "train_here"]

Float32 = npt.NDArray[np.float32]
Run = Callable[["Lesson", Footing], Trained]
"""Trains a lesson's job somewhere, from its footing on."""

SIZES = {"width": 64, "hidden": 256, "heads": 2, "head_width": 32, "encoder_layers": 2, "decoder_layers": 2}
"""0.35 million parameters; the preset's 3.4 million take five times as long."""

TRAINING = Training(max_steps=1000, batch=32, warmup=100, check_every=100, plateau_patience=1, checkpoint_every=100)
"""1,000 steps of 32 groups of 16 points are half a million point-windows."""

FOOTING_PIECES, FOOTING_ORIGINS = 8, 8
GATE_PIECES = 12


@dataclass(frozen=True)
class Settings:
    """What network to train, and how; JSON-able by `to_dict`."""

    shape: Shape = field(default_factory=Shape)
    sizes: Mapping[str, Any] = field(default_factory=dict)
    """Of the network, where they are not `SIZES`."""
    training: Training = TRAINING

    @property
    def all_sizes(self) -> dict[str, Any]:
        """Sizes of the network that are not its preset's."""
        return {**SIZES, **self.sizes}

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"shape": asdict(self.shape), "sizes": dict(self.sizes), "training": asdict(self.training)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Settings:
        """Rebuild what `to_dict` gave."""
        return cls(Shape(**data["shape"]), dict(data["sizes"]), Training(**data["training"]))


@dataclass(frozen=True, eq=False)
class Lesson:
    """Series, dates and linear forecasters that a network learns from.

    Parameters
    ----------
    source : Source
    plan : Plan
    state : mapping of arrays
        From `insar_dask.forecast.protocol.fit`.
    shard : int
        Points of a block that is forecast by itself.
    settings : Settings
    identity : str
        What all this was made of, such as a hash: a checkpoint of another identity is refused.
    """

    source: Source
    plan: Plan
    state: Arrays
    shard: int
    settings: Settings
    identity: str = ""

    @property
    def members(self) -> list[Forecaster]:
        """Forecasters that the network reads, fitted before the first validation origin."""
        methods = [method for method in CORRECTED if method in self.plan.methods]
        return linear_members([load(method, f"honest.validation.{method}.", self.state) for method in methods])

    def footing(self) -> Footing:
        """Combination of the linear forecasters over some pieces and training origins."""
        return fit_footing(self._said(), len(self.members) - len(QUICKER))

    def job(self, footing: Footing) -> Job:
        """What `insar_dask.forecast.training.train.train` takes."""
        training = self.settings.training
        windows = OriginWindows(
            self.source,
            self.plan,
            self.members,
            footing,
            self.settings.shape,
            batch=training.batch,
            shard=self.shard,
            seed=training.seed,
        )
        return Job(self.network(), windows, training, self.identity)

    def network(self) -> torch.nn.Module:
        """A new network, the same for the same seed."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.training.seed)
            settings = self.settings
            return build_network(settings.shape, len(self.members), self.plan.horizon, settings.all_sizes)

    def gated(self, footing: Footing, trained: Trained) -> CorrectingNetwork:
        """The trained network, believed as much as the last origins before the first validation origin bear out."""
        network = self.network()
        network.load_state_dict(dict(trained.weights))
        gate = fit_gate(self._checked(footing, network))
        return CorrectingNetwork(self.members, footing, self.settings.shape, network, gate, self.settings.all_sizes)

    def _said(self) -> Iterator[tuple[Signals, Float32]]:
        origins = training_origins(self.plan)
        members = self.members
        for piece in _spread(pieces(self.source.n_points, self.shard), FOOTING_PIECES):
            points = self.source.read(piece.start, piece.stop)
            windows = windows_of(points.values, self.plan, "honest", points.places)
            for origin in _spread(origins, FOOTING_ORIGINS):
                yield signals(windows.context(origin), members), windows.targets(origin)

    def _checked(self, footing: Footing, network: torch.nn.Module) -> Iterator[tuple[Float32, Float32]]:
        members, shape = self.members, self.settings.shape
        for piece in _spread(pieces(self.source.n_points, self.shard), GATE_PIECES):
            points = self.source.read(piece.start, piece.stop)
            windows = windows_of(points.values, self.plan, "honest", points.places)
            for origin in inner_origins(self.plan)[1]:
                inputs = point_inputs(windows.context(origin), members, footing, shape.context)
                groups = cut_groups(inputs.places, shape.length, shape.reach)
                said = groups.scatter(correct(network, group_inputs(inputs, groups, shape.patterns)))
                errors = (windows.targets(origin) - inputs.mean) / np.float32(footing.scale)
                yield said, np.where(inputs.able[:, None], errors, np.float32(np.nan))


def train_here(lesson: Lesson, footing: Footing) -> Trained:
    """Train in this process; nothing is left behind."""
    from insar_dask.forecast.training.train import train

    with passing_folder() as folder:
        return train(lesson.job(footing), folder / "checkpoints")


def teach(lesson: Lesson, run: Run) -> dict[str, npt.NDArray[Any]]:
    """Train the network of a plan; its arrays, under the names that the fitted state has them by."""
    footing = lesson.footing()
    learned = lesson.gated(footing, run(lesson, footing)).state()
    return {f"honest.trained.{CORRECTING}.{name}": array for name, array in learned.items()}


def _spread(items: list[Any], n: int) -> list[Any]:
    """About ``n`` of some items, evenly spread, the first and the last among them."""
    return [items[at] for at in np.unique(np.linspace(0, len(items) - 1, n).round().astype(int))]
