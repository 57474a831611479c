"""Training of the network that corrects the linear forecasts, on dates before the first validation origin.

How much of its correction is believed, its gate, is then fitted at the validation origins.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from insar_dask.forecast.catalogue import CORRECTED, CORRECTING
from insar_dask.forecast.correction.footing import Footing, fit_footing
from insar_dask.forecast.correction.gate import fit_gate, products
from insar_dask.forecast.correction.inputs import group_inputs, point_inputs
from insar_dask.forecast.correction.network import QUICKER, CorrectingNetwork, build_network, correct, linear_members
from insar_dask.forecast.correction.origin_windows import OriginWindows, Shape, pieces, training_origins
from insar_dask.forecast.correction.signals import Signals, signals
from insar_dask.forecast.groups import cut_groups
from insar_dask.forecast.network_settings import NetworkSettings
from insar_dask.forecast.registry import Arrays, Forecaster, load
from insar_dask.forecast.series.point_source import Source
from insar_dask.forecast.tallies import windows_of
from insar_dask.forecast.timetable import Plan
from insar_dask.forecast.training.hold import passing_folder
from insar_dask.forecast.training.job import Job, Trained, Training

if TYPE_CHECKING:
    import torch

__all__ = ["STAGES", "Lesson", "Run", "Settings", "spread_over", "teach", "train_here"]

Float32 = npt.NDArray[np.float32]
Run = Callable[["Lesson", Footing], Trained]
"""Trains a lesson's job somewhere, from its footing on."""

SIZES = {"width": 64, "hidden": 256, "heads": 2, "head_width": 32, "encoder_layers": 2, "decoder_layers": 2}
"""0.35 million parameters; the preset's 3.4 million take five times as long."""

TRAINING = Training(max_steps=600, batch=32, warmup=100, check_every=100, plateau_patience=1, checkpoint_every=100)
"""600 steps of 32 groups of 16 points are 0.3 million point-windows, and 60 s of one core. In four trials of 1,000 the
validation loss was least at step 100 twice, at 600 and at 800."""

FOOTING_PIECES, FOOTING_ORIGINS = 8, 8
GATE_PIECES, GATE_ORIGINS = 8, 8

STAGES = "validation", "test", "future"
"""At each of them the forecasters below the network are fitted anew."""


@dataclass(frozen=True)
class Settings(NetworkSettings[Shape]):
    """What network to train, and how; sizes are `SIZES` where nothing else is said."""

    network: ClassVar[str] = "fast"
    given: ClassVar[Collection[str]] = {"context", "horizon", "known", "patterns", "time_features"}

    shape: Shape = field(default_factory=Shape)
    training: Training = TRAINING

    @property
    def all_sizes(self) -> dict[str, Any]:
        """Sizes of the network that are not its preset's."""
        return {**SIZES, **self.sizes}


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
        return self.members_at("validation")

    def members_at(self, stage: str) -> list[Forecaster]:
        """The same as fitted for one of `STAGES`."""
        methods = [method for method in CORRECTED if method in self.plan.methods]
        return linear_members([load(method, f"honest.{stage}.{method}.", self.state) for method in methods])

    def footing(self) -> Footing:
        """What the network corrects: Kriging where it is evaluated, else the linear forecasters combined.

        So a network that adds nothing leaves the best of them. Kriging combined with the other two won 0.004 to 0.011
        mm at the validation origins of three scenes, and lost 0.002 to 0.005 mm at the test origins.
        """
        n_linear = len(self.members) - len(QUICKER)
        alone = CORRECTED[0] in self.plan.methods
        return fit_footing(self._said(), 1 if alone else n_linear).among(n_linear)

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

    def taught(self, footing: Footing, trained: Trained) -> CorrectingNetwork:
        """The trained network, its gate open."""
        network = self.network()
        network.load_state_dict(dict(trained.weights))
        return CorrectingNetwork(self.members, footing, self.settings.shape, network, 1.0, self.settings.all_sizes)

    def gate(self, taught: CorrectingNetwork, stage: str) -> float:
        """How much of the correction the validation origins bear out, above the forecasters of a stage.

        These origins lie after all dates that taught the network or chose its best step, and before the first test
        origin. Forecasters that were fitted anew may not have the faults any more that the network has learned to
        correct: on a scene of bowls one gained 0.7 to 2.8 % of the squared error, by lead, at the validation origins;
        at the test origins it lost up to 9 % above Kriging fitted anew, and up to 1 % above the old one.
        """
        members, shape, horizon = self.members_at(stage), taught.shape, self.plan.horizon
        origins = spread_over(list(self.plan.validation), GATE_ORIGINS)
        gains = []
        for piece in spread_over(pieces(self.source.n_points, self.shard), GATE_PIECES):
            points = self.source.read(piece.start, piece.stop)
            windows = windows_of(points.values, self.plan, "honest", points.places)
            for origin in origins:
                inputs = point_inputs(windows.context(origin), members, taught.footing, shape.context)
                groups = cut_groups(inputs.places, shape.length, shape.reach)
                said = groups.scatter(correct(taught.network, group_inputs(inputs, groups, shape.patterns)))
                errors = (windows.targets(origin) - inputs.mean) / np.float32(taught.footing.scale)
                gains.append(products(said, np.where(inputs.able[:, None], errors, np.float32(np.nan))))
        runs = [(origin.step - origins[0].step) // horizon for origin in origins]
        return fit_gate(np.array(gains).reshape(-1, len(origins), 2), runs)

    def _said(self) -> Iterator[tuple[Signals, Float32]]:
        origins = training_origins(self.plan)
        members = self.members
        for piece in spread_over(pieces(self.source.n_points, self.shard), FOOTING_PIECES):
            points = self.source.read(piece.start, piece.stop)
            windows = windows_of(points.values, self.plan, "honest", points.places)
            for origin in spread_over(origins, FOOTING_ORIGINS):
                yield signals(windows.context(origin), members), windows.targets(origin)


def train_here(lesson: Lesson, footing: Footing) -> Trained:
    """Train in this process; nothing is left behind."""
    from insar_dask.forecast.torch_threads import all_threads
    from insar_dask.forecast.training.train import train

    all_threads()
    with passing_folder() as folder:
        return train(lesson.job(footing), folder / "checkpoints")


def teach(lesson: Lesson, run: Run) -> dict[str, npt.NDArray[Any]]:
    """Train the network of a plan; its arrays, under the names that the fitted state has them by."""
    footing = lesson.footing()
    taught = lesson.taught(footing, run(lesson, footing))
    learned = {name: array for name, array in taught.state().items() if name != "gate"}
    learned |= {f"gate.{stage}": np.array(lesson.gate(taught, stage)) for stage in STAGES}
    return {f"honest.trained.{CORRECTING}.{name}": array for name, array in learned.items()}


def spread_over(items: list[Any], n: int) -> list[Any]:
    """About ``n`` of some items, evenly spread, the first and the last among them."""
    return [items[at] for at in np.unique(np.linspace(0, len(items) - 1, n).round().astype(int))]
