"""One unit of the tables of maps: one network, one seed, one protocol; trained on some tiles, scored on all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from insar_dask.forecast.maps.holdout import Holdout
from insar_dask.forecast.maps.map_material import PROTOCOLS, Material
from insar_dask.forecast.maps.map_scoring import Forecast, circumstances, score_tiles, tile_gate
from insar_dask.forecast.maps.map_settings import MAP_TRAINING, PRESETS, MapSettings
from insar_dask.forecast.maps.map_windows import MapWindows
from insar_dask.forecast.training.job import Job, Trained, Training
from insar_dask.forecast.training.train import train
from insar_dask.settings import known

__all__ = [
    "BATCH",
    "NETWORKS",
    "PATIENCE",
    "PUBLISHED_PATIENCE",
    "WINDOWS",
    "MapForecasts",
    "MapUnit",
    "Weights",
    "run_map_unit",
]

Float32 = npt.NDArray[np.float32]
MapForecasts = dict[str, Float32]
Weights = dict[str, npt.NDArray[Any]]
Tell = Callable[[str], None]

NETWORKS = ("mmstt", "cnn_lstm", "convlstm", "mm_stgcn", "mm_staeformer")

BATCH = 8

WINDOWS = 1800
"""Windows that a network sees at most, counting one each time it comes; of every network as many. On a core without
AVX-512 they are 40 minutes of MM-STT, 51 of ConvLSTM, 11 of MM-STAEformer, 7 of MM-STGCN and 5 of CNN-LSTM."""

PATIENCE, PUBLISHED_PATIENCE = 8, 30
"""Epochs without a better validation loss before training stops: on a core, and as published, for a GPU."""


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
    patience: int = PATIENCE
    """Epochs without a better validation loss before training stops."""
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
            stop_patience=self.patience,
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
) -> tuple[dict[str, Any], MapForecasts, Weights]:
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
        JSON-able: configuration, what the network saw and how its loss went, scores of each tile; of an honest one
        also ``gates``, what of it each tile's validation origins bear out, and ``gated``, the scores of so much of it.
    forecasts : dict of (o, h, Y, X) arrays
        At the test origins, by tile [mm].
    weights : dict of arrays
        Of the network, from which it forecasts again.
    """
    began = time.perf_counter(), time.process_time()
    windows = MapWindows(material, holdout.trained, BATCH, unit.seed)
    settings = _settings(unit, material, windows)
    model, trained = _trained(unit, settings, material, windows, holdout, folder, device)
    account = _account(model, windows, settings.training, trained, began)
    tell(f"{unit.name}: {_line(account)}")

    @cache
    def at(tile: int, origin: int) -> Float32:
        (said,) = windows.predict(model, tile, [origin], device=device, bf16=unit.bf16)
        return np.asarray(said)

    def forecast(tile: int, origins: Sequence[int]) -> Float32:
        return np.stack([at(tile, origin) for origin in origins])

    scores, forecasts = score_tiles(material, holdout, forecast, events or {})
    gated = _gated(material, holdout, forecast, windows, events or {}) if unit.protocol == "honest" else {}
    result = {
        "unit": unit.name,
        "configuration": asdict(unit)
        | {"sizes": settings.all_sizes, "training": asdict(settings.training), "device": device}
        | circumstances(material, holdout),
        "data": material.digest,
        "network": account | {"scoring_seconds": round(time.perf_counter() - began[0] - account["seconds"], 1)},
        "scores": scores,
        **gated,
    }
    return result, forecasts, {name: tensor.cpu().numpy() for name, tensor in model.state_dict().items()}


def _gated(
    material: Material, holdout: Holdout, said: Forecast, windows: MapWindows, events: Mapping[str, np.datetime64]
) -> dict[str, Any]:
    """The gate of each tile, and the scores of a network that is believed so far."""

    def footing(tile: int, origins: Sequence[int]) -> Float32:
        return np.stack([windows.frames.frame(tile, origin).shift for origin in origins])

    gates = {tile: tile_gate(material, holdout, said, footing, tile) for tile in (*holdout.trained, *holdout.held)}

    def believed(tile: int, origins: Sequence[int]) -> Float32:
        below = footing(tile, origins)
        return below + np.float32(gates[tile]) * (said(tile, origins) - below)

    scores, _ = score_tiles(material, holdout, believed, events)
    return {"gates": {material.names[tile]: round(gate, 4) for tile, gate in gates.items()}, "gated": scores}


def _settings(unit: MapUnit, material: Material, windows: MapWindows) -> MapSettings:
    preset = PRESETS.get(unit.network, {}) if unit.protocol == "honest" else {}
    return MapSettings(
        unit.network,
        side=material.read.shape[-1],
        context=material.context,
        horizon=material.horizon,
        sizes={**preset, **unit.sizes},
        training=unit.training(windows.epoch),
    )


def _trained(
    unit: MapUnit,
    settings: MapSettings,
    material: Material,
    windows: MapWindows,
    holdout: Holdout,
    folder: Path,
    device: str,
) -> tuple[torch.nn.Module, Trained]:
    torch.manual_seed(unit.seed)
    model = settings.build()
    learned = [material.names[tile] for tile in holdout.trained]
    identity = f"{unit.name} {material.digest} {learned} {sorted(settings.to_dict().items())}"
    job = Job(model, windows, settings.training, identity)
    return model, train(job, folder, device=device)


def _account(
    model: torch.nn.Module, windows: MapWindows, wanted: Training, trained: Trained, began: tuple[float, float]
) -> dict[str, Any]:
    """What the network saw, and how its loss went."""
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "windows": len(windows.samples),
        "steps": trained.steps,
        "epochs": round(trained.steps / windows.epoch, 1),
        "best_epoch": round(trained.best_step / windows.epoch, 1),
        "stopped_by": "windows" if trained.steps >= wanted.max_steps else "patience",
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
