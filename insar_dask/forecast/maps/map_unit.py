"""One unit of the tables of maps: one network, one seed, one protocol; trained on some tiles, scored on all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from insar_dask.forecast.maps.holdout import Holdout
from insar_dask.forecast.maps.map_material import PROTOCOLS, Material
from insar_dask.forecast.maps.map_scoring import score_tiles
from insar_dask.forecast.maps.map_settings import MAP_TRAINING, PRESETS, MapSettings
from insar_dask.forecast.maps.map_windows import MapWindows
from insar_dask.forecast.training.job import Job, Trained, Training
from insar_dask.forecast.training.train import train
from insar_dask.settings import known

__all__ = ["BATCH", "NETWORKS", "WINDOWS", "MapForecasts", "MapUnit", "run_map_unit"]

Float32 = npt.NDArray[np.float32]
MapForecasts = dict[str, Float32]
Tell = Callable[[str], None]

NETWORKS = ("mmstt", "cnn_lstm", "convlstm", "mm_stgcn", "mm_staeformer")

BATCH = 8

WINDOWS = 2000
"""Windows that a network sees at most, counting one each time it comes; of every network as many. They are 20 minutes
of one core with AVX-512 for MM-STT, 45 without."""

PATIENCE = 8
"""Epochs without a better validation loss before training stops; the publication's 30 are for a GPU."""


@dataclass(frozen=True, kw_only=True)
class MapUnit:
    """What is trained."""

    protocol: str
    """``"paper"`` or ``"honest"``."""
    network: str
    """One of `NETWORKS`."""
    seed: int
    windows: int = WINDOWS
    """Seen at most."""
    bf16: bool = True
    """Multiply in bfloat16 where that is faster."""
    sizes: Mapping[str, Any] = field(default_factory=dict)
    """Of the network, where they are not the published or chosen ones."""

    def __post_init__(self) -> None:
        """Refuse what is none of the units."""
        known("network", self.network, NETWORKS)
        known("protocol", self.protocol, PROTOCOLS)

    @property
    def name(self) -> str:
        """Name of the unit, such as ``paper-mmstt-seed0``."""
        return f"{self.protocol}-{self.network}-seed{self.seed}"

    def training(self, epoch: int) -> Training:
        """AdamW at 1e-4, weight decay 1e-5, smooth L1 and no change of the rate, as published; checked every epoch."""
        return replace(
            MAP_TRAINING,
            max_steps=max(self.windows // BATCH, 1),
            batch=BATCH,
            check_every=epoch,
            stop_patience=PATIENCE,
            bf16=self.bf16,
            seed=self.seed,
            checkpoint_every=epoch,
        )


def run_map_unit(
    unit: MapUnit,
    material: Material,
    holdout: Holdout,
    folder: Path,
    *,
    events: Mapping[str, np.datetime64] | None = None,
    device: str = "cpu",
    tell: Tell = lambda _: None,
) -> tuple[dict[str, Any], MapForecasts]:
    """Train the network of a unit and score it on every tile; killed, it goes on where it was.

    Parameters
    ----------
    unit : MapUnit
    material : Material
        Of the unit's protocol.
    holdout : Holdout
        Tiles that are learned from, and those that are not.
    folder : Path
        For checkpoints.
    events : mapping, optional
        As for `insar_dask.forecast.maps.map_scoring.score_tiles`.
    device : str
    tell : callable
        Gets a line about it.

    Returns
    -------
    result : dict
        JSON-able: configuration, what the network saw and how its loss went, scores of each tile.
    forecasts : dict of (o, h, Y, X) arrays
        At the test origins, by tile [mm].
    """
    began = time.perf_counter(), time.process_time()
    windows = MapWindows(material, holdout.trained, BATCH, unit.seed)
    model, trained = _trained(unit, material, windows, holdout, folder, device)
    account = _account(model, windows, trained, began)
    tell(f"{unit.name}: {_line(account)}")

    def forecast(tile: int, origins: Sequence[int]) -> Float32:
        return windows.predict(model, tile, origins, device=device, bf16=unit.bf16)

    scores, forecasts = score_tiles(material, holdout, forecast, events or {})
    result = {
        "unit": unit.name,
        "configuration": asdict(unit)
        | {
            "training": asdict(unit.training(windows.epoch)),
            "device": device,
            "trained": [material.names[tile] for tile in holdout.trained],
            "held": [material.names[tile] for tile in holdout.held],
            "buffer": holdout.buffer,
        },
        "data": material.digest,
        "network": account | {"scoring_seconds": round(time.perf_counter() - began[0] - account["seconds"], 1)},
        "scores": scores,
    }
    return result, forecasts


def _trained(
    unit: MapUnit, material: Material, windows: MapWindows, holdout: Holdout, folder: Path, device: str
) -> tuple[torch.nn.Module, Trained]:
    preset = PRESETS.get(unit.network, {}) if unit.protocol == "honest" else {}
    settings = MapSettings(
        unit.network,
        side=material.read.shape[-1],
        context=material.context,
        horizon=material.horizon,
        sizes={**preset, **unit.sizes},
        training=unit.training(windows.epoch),
    )
    torch.manual_seed(unit.seed)
    model = settings.build()
    learned = [material.names[tile] for tile in holdout.trained]
    identity = f"{unit.name} {material.digest} {learned} {sorted(settings.sizes.items())}"
    job = Job(model, windows, settings.training, identity)
    return model, train(job, folder, device=device)


def _account(
    model: torch.nn.Module, windows: MapWindows, trained: Trained, began: tuple[float, float]
) -> dict[str, Any]:
    """What the network saw, and how its loss went."""
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "windows": len(windows.samples),
        "steps": trained.steps,
        "epochs": round(trained.steps / windows.epoch, 1),
        "best_epoch": round(trained.best_step / windows.epoch, 1),
        "still_falling": trained.still_falling,
        "curve": {name: [float(f"{value:.4g}") for value in column] for name, column in trained.history.items()},
        "seconds": round(time.perf_counter() - began[0], 1),
        "cpu_seconds": round(time.process_time() - began[1], 1),
    }


def _line(account: Mapping[str, Any]) -> str:
    mark = ", still falling" if account["still_falling"] else ""
    return (
        f"{account['epochs']} epochs of {account['windows']} windows, best loss "
        f"{min(account['curve']['validation']):.4g} after {account['best_epoch']}{mark}, "
        f"{account['cpu_seconds']:.0f} s of CPU, {account['seconds']:.0f} s"
    )
