"""What network of maps to train, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from insar_dask.forecast.catalogue import MAPPED
from insar_dask.forecast.model_folder import OlderModelError
from insar_dask.forecast.network_settings import check_sizes
from insar_dask.forecast.training.job import Training

if TYPE_CHECKING:
    import torch

__all__ = ["GIVEN", "MAP_TRAINING", "PRESETS", "MapSettings"]

GIVEN = {"context", "horizon", "channels", "side"}
"""Sizes of the networks that their inputs give."""

PRESETS: dict[str, dict[str, Any]] = {name: {"zero_start": True} for name in MAPPED}
PRESETS["mmstt"] |= {"head": "queries"}
"""Sizes of networks where they add to a harmonic, beside those published: an untrained one adds nothing, and MM-STT is
told the dates asked for."""

SCALED = "by cell"
"""What a network's numbers are divided by: see `insar_dask.forecast.maps.framing.above_harmonic`."""

NEVER = 10**6
"""Checks before the rate falls: the publication keeps it."""

MAP_TRAINING = Training(
    max_steps=250,
    batch=8,
    rate=1e-4,
    first_rate=1e-4,
    warmup=0,
    weight_decay=1e-5,
    check_every=25,
    plateau_patience=NEVER,
    stop_patience=4,
    loss="huber",
    bf16=True,
    checkpoint_every=25,
)
"""AdamW, decay and smooth L1 as published; 2,000 windows of MM-STT are 20 minutes of a core with AVX-512, 45 of one
without."""


@dataclass(frozen=True)
class MapSettings:
    """JSON-able by `to_dict`."""

    network: str
    """Of `insar_dask.forecast.models.MODELS`."""
    side: int = 64
    """Cells of a map's side."""
    context: int = 10
    horizon: int = 10
    sizes: Mapping[str, Any] = field(default_factory=dict)
    """Of the network, where they are not the published ones."""
    training: Training = MAP_TRAINING

    @classmethod
    def of(
        cls,
        network: str,
        context: int,
        horizon: int,
        random_state: int,
        sizes: Mapping[str, Any] | None,
        training: Mapping[str, Any] | None,
    ) -> MapSettings:
        """Settings from the parameters of a Forecaster; the side follows from the tiles.

        Raises
        ------
        ValueError
            For a name or a number that cannot be meant.
        """
        check_sizes(network, GIVEN, sizes or {})
        taught = replace(MAP_TRAINING, seed=random_state, **(training or {}))
        chosen = {**PRESETS.get(network, {}), **(sizes or {})}
        return cls(network, context=context, horizon=horizon, sizes=chosen, training=taught)

    @property
    def all_sizes(self) -> dict[str, Any]:
        """Everything that the network is built with."""
        steps = {"context": self.context, "horizon": self.horizon, "side": self.side}
        return {**steps, **self.sizes}

    def build(self) -> torch.nn.Module:
        """A new network, its weights drawn from torch's generator."""
        from insar_dask.forecast.models import build

        return build(self.network, **self.all_sizes)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"sizes": dict(self.sizes), "scaled": SCALED}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> MapSettings:
        """Rebuild what `to_dict` gave.

        Raises
        ------
        OlderModelError
            For a network that learned numbers scaled otherwise, as they were before all cells had their own scale.
        """
        if data.get("scaled") != SCALED:
            raise OlderModelError(
                f"this {data['network']} learned maps that one number scaled for a whole tile, not {SCALED} as they "
                "are now: train it again"
            )
        given = {name: value for name, value in data.items() if name != "scaled"}
        return cls(**{**given, "training": Training(**data["training"])})
