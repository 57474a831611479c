"""One unit of the tables of maps: one network, one seed, one protocol; trained on some tiles, scored on all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from insar_dask.forecast.maps.holdout import Holdout
from insar_dask.forecast.maps.map_material import PROTOCOLS, Material
from insar_dask.forecast.maps.map_tallies import Counted, count_maps
from insar_dask.forecast.maps.map_windows import MapWindows
from insar_dask.forecast.models import build
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
"""Windows that a network sees at most, counting one each time it comes: 20 minutes of one core for MM-STT, and as many
for each rival."""

PATIENCE = 8
"""Epochs without a better validation loss before training stops; the publication's 30 are for a GPU."""

NEVER = 10**6
"""Checks before the rate falls: the publication keeps it."""

HONEST = {"mmstt": {"head": "queries", "zero_start": True}}
"""Sizes of networks where they add to a harmonic, beside those published."""


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
    """Multiply in bfloat16."""
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
        return Training(
            max_steps=max(self.windows // BATCH, 1),
            batch=BATCH,
            rate=1e-4,
            first_rate=1e-4,
            warmup=0,
            weight_decay=1e-5,
            check_every=epoch,
            plateau_patience=NEVER,
            stop_patience=PATIENCE,
            loss="huber",
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
    device : str
    tell : callable
        Gets a line about it.

    Returns
    -------
    result : dict
        JSON-able: configuration, what the network saw and how its loss went, counted errors of each tile.
    forecasts : dict of (o, h, Y, X) arrays
        At the test origins, by tile [mm].
    """
    began = time.perf_counter(), time.process_time()
    windows = MapWindows(material, holdout.trained, BATCH, unit.seed)
    model, trained = _trained(unit, material, windows, holdout, folder, device)
    account = _account(model, windows, trained, began)
    tell(f"{unit.name}: {_line(account)}")
    forecasts, scores = {}, {}
    for tile in (*holdout.trained, *holdout.held):
        name, counted = material.names[tile], holdout.counted(material, tile)
        said = windows.predict(model, tile, material.origins("test").tolist(), device=device, bf16=unit.bf16)
        forecasts[name] = said
        scores[name] = _score(material, tile, said, counted)
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


def _score(material: Material, tile: int, said: Float32, counted: npt.NDArray[np.bool_]) -> Counted:
    asked = np.stack([material.targets(tile, int(origin)) for origin in material.origins("test")])
    return count_maps(said, np.where(counted, asked, np.float32(np.nan)))


def _trained(
    unit: MapUnit, material: Material, windows: MapWindows, holdout: Holdout, folder: Path, device: str
) -> tuple[torch.nn.Module, Trained]:
    torch.manual_seed(unit.seed)
    preset = HONEST.get(unit.network, {}) if unit.protocol == "honest" else {}
    sides = {"context": material.context, "horizon": material.horizon, "side": material.read.shape[-1]}
    model = build(unit.network, **{**sides, **preset, **unit.sizes})
    learned = [material.names[tile] for tile in holdout.trained]
    identity = f"{unit.name} {material.digest} {learned} {sorted({**preset, **unit.sizes}.items())}"
    job = Job(model, windows, unit.training(windows.epoch), identity)
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
