"""What a user decides of a Forecaster before it is fitted, and what follows from that."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.forecast import protocol, schedule
from insar_dask.forecast.catalogue import CORRECTED, CORRECTING, FORECASTERS, MAPPED, METHODS, RIDGE, TRAINED
from insar_dask.forecast.correction.origin_windows import PIECE
from insar_dask.forecast.maps.lattice import cells_across
from insar_dask.forecast.memory import network_bytes
from insar_dask.forecast.parameters import Parameters
from insar_dask.forecast.timetable import Plan
from insar_dask.forecast.training.job import Training
from insar_dask.forecast.walk import check_raw, observed_dates
from insar_dask.settings import known, plain, whole
from insar_dask.shards import ShardPlan

if TYPE_CHECKING:
    from insar_dask.forecast.coaching import Coach

__all__ = ["BEST", "MAP_STEPS", "Choices"]

BEST = "best"

DEVICES = "cpu", "cuda", "auto"

PLANNED = "every", "horizon", "level", "test_fraction", "stride", "context"
"""Parameters that dates and origins follow from."""

NETWORK = "context", "group", "random_state", "sizes", "training"
"""Parameters that a network's settings follow from."""

WHERE = {"client": "client", "ranks": "ranks", "folder": "checkpoints"}
"""What of the training of a network is chosen at its fit, and what a user calls it."""

REFERENCES = "persistence", "harmonic"
"""Scored beside the method asked for, so that its card says what it is worth; both cost next to nothing."""

BESIDE = {CORRECTING: CORRECTED} | dict.fromkeys(MAPPED, (RIDGE, "kriging"))
"""Scored beside a network too: what it stands on, and what it has to be measured by."""

STEPS, MAP_STEPS = (24, 6), (10, 10)
"""Steps read and steps ahead, of points and of maps, as the two publications have them."""


class Choices(Parameters):
    """Parameters of `insar_dask.forecast.Forecaster`, which says what they are."""

    def __init__(
        self,
        method: str = "kriging",
        *,
        context: int | None = None,
        horizon: int | None = None,
        every: str | None = None,
        level: float = 0.9,
        test_fraction: float = 0.2,
        stride: int = 3,
        scored_points: int | None = 65_536,
        random_state: int = 0,
        group: int | None = None,
        n_patterns: int = 8,
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
        self.n_patterns = n_patterns
        self.sizes = sizes
        self.training = training
        self.device = device

    def plan_to_fit(self, cube: xr.Dataset) -> Plan:
        """Dates and origins of the fit, after checking that the cube can be learned from, and then be forecast.

        Nothing is computed.
        """
        check_raw(cube)
        checked = self.checked()
        settings = {name: checked[name] for name in PLANNED}
        if self.maps and not cells_across(cube):
            raise CubeError(f"{self.method} forecasts maps: give a tile cube, such as insar_dask.rasterise makes")
        beside = (*BESIDE.get(self.method, ()), *REFERENCES)
        methods = METHODS if self.method == BEST else tuple(dict.fromkeys((self.method, *beside)))
        plan = protocol.plan(cube["time"].values, observed=observed_dates(cube), methods=methods, **settings)
        schedule.check_context(plan)
        return plan

    def checked(self) -> dict[str, Any]:
        """Parameters as plain values, if all of them can be meant.

        Raises
        ------
        ValueError
            Naming the first that cannot, what was wanted, and what came.
        """
        known("method", self.method, (*FORECASTERS, BEST))
        known("device", self.device, DEVICES)
        named = zip(("context", "horizon"), self.steps, strict=True)
        steps = {name: whole(name, value, of="steps") for name, value in named}
        whole("n_patterns", self.n_patterns)
        whole("random_state", self.random_state, 0, 2**32 - 1)
        for name in ("group", "scored_points"):
            if getattr(self, name) is not None:
                whole(name, getattr(self, name), of="points")
        schedule.check_settings(**{name: getattr(self, name) for name in PLANNED})
        for name in ("sizes", "training"):
            if not isinstance(getattr(self, name), Mapping | None):
                raise ValueError(f"{name} is {getattr(self, name)!r}; wanted a mapping of names to values, or None")
        trainable = set(vars(Training())) - {"seed"}
        if unknown := set(self.training or {}) - trainable:
            raise ValueError(f"training has no {_listed(unknown)}; it has {_listed(trainable)}")
        checked = {name: _plain(value) for name, value in self.get_params().items()} | steps
        Training(**checked["training"] or {})
        return checked

    @property
    def trains(self) -> bool:
        """Whether the method is a network."""
        return self.method in TRAINED

    @property
    def maps(self) -> bool:
        """Whether the method is a network of maps."""
        return self.method in MAPPED

    @property
    def steps(self) -> tuple[int, int]:
        """Steps read and steps ahead, the usual ones of the method where none are given."""
        context, horizon = MAP_STEPS if self.maps else STEPS
        return (
            context if self.context is None else self.context,
            horizon if self.horizon is None else self.horizon,
        )

    def coach(self, **where: Any) -> Coach[Any] | None:
        """What trains the networks, after checking settings, device, and ``where``, see `Coach`; None without networks.

        Raises
        ------
        ValueError
            For what cannot be meant, and what only the training of a network has.
        """
        if not self.trains:
            self._check_untrained(where)
            return None
        from insar_dask.forecast.coaching import usable_device
        from insar_dask.forecast.correction.network import require_torch

        require_torch()
        checked = self.checked()
        chosen = {name: checked[name] for name in NETWORK}
        if self.method == CORRECTING:
            from insar_dask.forecast.correction.coaching import CorrectionCoach
            from insar_dask.forecast.correction.teaching import Settings

            return CorrectionCoach(Settings.of(**chosen), usable_device(self.device), **where)
        if self.maps:
            from insar_dask.forecast.maps.map_coaching import MapCoach
            from insar_dask.forecast.maps.map_settings import MapSettings

            chosen = {name: checked[name] for name in (*NETWORK, "horizon") if name != "group"}
            return MapCoach(MapSettings.of(self.method, **chosen), usable_device(self.device), **where)
        from insar_dask.forecast.components.coaching import ComponentCoach
        from insar_dask.forecast.components.settings import Settings as ComponentSettings

        settings = ComponentSettings.of(**chosen, patterns=checked["n_patterns"])
        return ComponentCoach(settings, usable_device(self.device), **where)

    def forecasting_bytes(self) -> int:
        """Bytes that a network takes to forecast with, 0 for none."""
        return network_bytes() if self.trains else 0

    def counted(self, plan: ShardPlan) -> int | None:
        """Points of each block that intervals and scores come from; None for all.

        Whole pieces of neighbours, so that a network sees there what it sees when it forecasts. As many of networks of
        components as of all else: they forecast 165 points a second, so that 65,536 at twenty origins take two hours,
        but 16,384 on two scenes of 65,536 points moved the RMSE by 6 and 15 %, and intervals by up to 17 %.
        """
        wanted = self.scored_points
        if wanted is None or wanted >= plan.n_points or self.maps:
            return None
        return -(-wanted // (plan.n_shards * PIECE)) * PIECE

    def _check_untrained(self, where: Mapping[str, Any]) -> None:
        """Refuse what would be ignored; ``device="auto"`` asks for nothing that a processor is not."""
        given = {**{name: where.get(name) for name in WHERE}, "sizes": self.sizes, "training": self.training}
        given["device"] = self.device if self.device == "cuda" else None
        for name, value in given.items():
            if value is not None:
                raise ValueError(
                    f"{WHERE.get(name, name)} is given, and {self.method} trains no network: leave it out, or choose "
                    f"{' or '.join(TRAINED)}"
                )


def _plain(value: Any) -> Any:
    return {name: plain(item) for name, item in value.items()} if isinstance(value, Mapping) else plain(value)


def _listed(names: Collection[Any]) -> str:
    return ", ".join(sorted(map(str, names)))
