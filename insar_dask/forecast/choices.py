"""What a user decides of a Forecaster before it is fitted, and what follows from that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import xarray as xr

from insar_dask.forecast import protocol
from insar_dask.forecast.catalogue import CORRECTED, METHODS, TRAINED
from insar_dask.forecast.correction.origin_windows import PIECE
from insar_dask.forecast.parameters import Parameters
from insar_dask.forecast.timetable import Plan
from insar_dask.forecast.walk import check_raw, observed_dates
from insar_dask.shards import ShardPlan

if TYPE_CHECKING:
    from insar_dask.forecast.correction.coaching import Coach

__all__ = ["BEST", "Choices"]

BEST = "best"

REFERENCES = "persistence", "harmonic"
"""Scored beside the method asked for, so that its card says what it is worth; both cost next to nothing."""


class Choices(Parameters):
    """Parameters of `insar_dask.forecast.Forecaster`, which says what they are."""

    def __init__(
        self,
        method: str = "spacetimeformer",
        *,
        context: int = 24,
        horizon: int = 6,
        every: str | None = None,
        level: float = 0.9,
        test_fraction: float = 0.2,
        stride: int = 3,
        scored_points: int | None = 65_536,
        random_state: int = 0,
        group: int = 16,
        sizes: Mapping[str, Any] | None = None,
        training: Mapping[str, Any] | None = None,
        device: str = "cpu",
    ) -> None:
        self.method = method
        self.context = context
        self.horizon = horizon
        self.every = every
        self.level = level
        self.test_fraction = test_fraction
        self.stride = stride
        self.scored_points = scored_points
        self.random_state = random_state
        self.group = group
        self.sizes = sizes
        self.training = training
        self.device = device

    def plan_to_fit(self, cube: xr.Dataset) -> Plan:
        """Dates and origins of the fit, after checking that the cube can be learned from; nothing is computed."""
        names = "every", "horizon", "level", "test_fraction", "stride", "context"
        settings = {name: getattr(self, name) for name in names}
        beside = (*CORRECTED, *REFERENCES) if self.trains else REFERENCES
        methods = METHODS if self.method == BEST else tuple(dict.fromkeys((self.method, *beside)))
        return protocol.plan(check_raw(cube)["time"].values, observed=observed_dates(cube), methods=methods, **settings)

    @property
    def trains(self) -> bool:
        """Whether the method is a network."""
        return self.method in TRAINED

    def coach(self, **where: Any) -> Coach:
        """What trains the network, after checking settings, device, and ``where``: see `Coach`."""
        from insar_dask.forecast.correction.coaching import Coach, settings_of, usable_device

        settings = settings_of(self.context, self.group, self.random_state, self.sizes, self.training)
        return Coach(settings, usable_device(self.device), **where)

    def counted(self, plan: ShardPlan) -> int | None:
        """Points of each block that intervals and scores come from; None for all.

        Whole pieces of neighbours, so that a network sees there what it sees when it forecasts.
        """
        wanted = self.scored_points
        if wanted is None or wanted >= plan.n_points:
            return None
        return -(-wanted // (plan.n_shards * PIECE)) * PIECE
