"""The learning rate: a linear warm-up, then lower at each plateau of the validation loss, until training stops."""

from __future__ import annotations

import math
from typing import Any

from insar_dask.forecast.training.job import Training

__all__ = ["LearningRate"]


class LearningRate:
    """Rate of each step, and when to stop; all that it remembers is in `state`.

    Parameters
    ----------
    training : Training
        Its rates, its warm-up and its patience.
    """

    def __init__(self, training: Training) -> None:
        self.training = training
        # remembered: more steps granted later shall not warm up a second time
        self.warmup = training.warmup_steps
        self.scale = 1.0
        self.best = math.inf
        self.best_step = 0
        self.worse = 0
        self.since_cut = 0

    def at(self, step: int) -> float:
        """Rate of step 0, 1, ...: ``first + step (rate - first) / warmup``, then ``rate`` times the cuts so far."""
        training = self.training
        if step < self.warmup:
            return training.first_rate + step * (training.rate - training.first_rate) / self.warmup
        return training.rate * self.scale

    def note(self, loss: float, step: int) -> bool:
        """Take down the validation loss after ``step`` steps; True where it is the least so far.

        Nothing is counted against a rate that is still warming up.
        """
        if loss < self.best:
            self.best, self.best_step, self.worse, self.since_cut = loss, step, 0, 0
            return True
        if step > self.warmup:
            self.worse += 1
            self.since_cut += 1
            if self.since_cut > self.training.plateau_patience:
                self.scale *= self.training.plateau_factor
                self.since_cut = 0
        return False

    @property
    def exhausted(self) -> bool:
        """Whether patience is at its end."""
        return self.worse >= self.training.stop_patience

    def state(self) -> dict[str, Any]:
        """Plain numbers, for a checkpoint."""
        return {name: value for name, value in vars(self).items() if name != "training"}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        vars(self).update(state)
