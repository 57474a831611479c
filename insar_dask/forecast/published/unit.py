"""One unit of the published tables: one component, one seed, one kind of network, one protocol; trained and scored."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from insar_dask.forecast.models import build
from insar_dask.forecast.published.protocols import N_PATTERNS, STAGES, Material
from insar_dask.forecast.published.scores import Counted, count_stage
from insar_dask.forecast.published.windows import ComponentWindows
from insar_dask.forecast.training.job import Job, Trained, Training
from insar_dask.forecast.training.train import train

__all__ = ["NETWORKS", "Forecasts", "Unit", "run_unit"]

Float32 = npt.NDArray[np.float32]
Forecasts = dict[str, Float32]

NETWORKS = ("spacetimeformer", "lstm", "transformer")

BFLOAT = ("lstm", "transformer")
"""Networks trained in bfloat16 where that is faster: with AVX-512 a step takes half as long (transformer 1.9 against
3.6 s, lstm 0.17 against 0.32 s of one core). The Spacetimeformer's narrow matrices lose by it (0.97 against 0.71 s)."""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """What is trained: eight Spacetimeformers, one a pattern, or one rival for all patterns."""

    protocol: str
    """``"paper"`` or ``"honest"``."""
    network: str
    """One of `NETWORKS`."""
    component: str
    """``"trend"``, ``"season"`` or ``"residual"``."""
    seed: int
    steps: int
    """At most, of each network."""
    filtering: tuple[int, int] | None = (11, 2)
    """Window and order of Savitzky-Golay; None where the protocol is honest."""

    def __post_init__(self) -> None:
        """Refuse what is none of the units."""
        if self.network not in NETWORKS:
            raise ValueError(f"no network is called {self.network!r}; there are {', '.join(NETWORKS)}")
        if (self.protocol == "honest") != (self.filtering is None):
            raise ValueError(
                f"protocol is {self.protocol!r}, filtering {self.filtering}: as published has it, honest none"
            )

    @property
    def family(self) -> str:
        """Name of the three units whose forecasts are added, such as ``paper-sg11-spacetimeformer-seed0``."""
        how = self.protocol if self.filtering is None else f"{self.protocol}-sg{self.filtering[0]}"
        return f"{how}-{self.network}-seed{self.seed}"

    @property
    def name(self) -> str:
        """Name of the unit, such as ``paper-sg11-spacetimeformer-seed0-trend``."""
        return f"{self.family}-{self.component}"

    @property
    def patterns(self) -> list[int | None]:
        """Patterns that have a network of their own; None is one for all."""
        return list(range(N_PATTERNS)) if self.network == "spacetimeformer" else [None]

    def training(self) -> Training:
        """Settings of each network: warm-up over a fifth of the steps, 500 at most; all else as published."""
        return Training(
            max_steps=self.steps,
            warmup=min(500, self.steps // 5),
            check_every=-(-self.steps // 8),
            checkpoint_every=max(self.steps // (2 if self.network == "transformer" else 8), 1),  # 265 MB, 27 or 16
            bf16=self.network in BFLOAT,
            seed=self.seed,
        )


def run_unit(
    unit: Unit,
    material: Material,
    folder: Path,
    *,
    device: str = "cpu",
    sizes: Mapping[str, Any] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> tuple[dict[str, Any], Forecasts]:
    """Train the networks of a unit and score them; killed, it goes on where it was.

    Parameters
    ----------
    unit : Unit
    material : Material
        Of the unit's protocol and filter.
    folder : Path
        For checkpoints, one folder a network, and the best weights of each, ``A.pt`` to ``H.pt`` or ``all.pt``.
    device : str
    sizes : mapping, optional
        Sizes of the network other than the preset's.
    tell : callable
        Gets a line about each network.

    Returns
    -------
    result : dict
        JSON-able: configuration, what each network saw and how its loss went, sums of errors of the component.
    forecasts : dict of (o, n, h) arrays
        By stage [mm].
    """
    forecasts = {s: np.full(material.targets(unit.component, s).shape, np.nan, np.float32) for s in STAGES}
    networks = []
    for pattern in unit.patterns:
        began = time.perf_counter(), time.process_time()
        windows = ComponentWindows(material, unit.component, pattern, seed=unit.seed)
        if not windows.n_points:
            continue
        model, trained = _trained(unit, material, windows, pattern, folder, device, sizes or {})
        for stage in STAGES:
            for at, origin in enumerate(material.scored(stage)):
                said = windows.predict(model, int(origin), device=device, bf16=unit.network in BFLOAT)
                forecasts[stage][at, windows.rows] = said
        torch.save(dict(trained.weights), folder / f"{_letter(pattern)}.pt")
        networks.append(_account(pattern, windows, model, trained, began))
        tell(f"{unit.name} pattern {networks[-1]['pattern']}: {_line(networks[-1])}")
    result = {
        "unit": unit.name,
        "family": unit.family,
        "configuration": asdict(unit)
        | {"training": asdict(unit.training()), "device": device, "sizes": dict(sizes or {})},
        "data": material.digest,
        "networks": networks,
        "scores": _scores(forecasts, material, unit.component),
    }
    return result, forecasts


def _trained(
    unit: Unit,
    material: Material,
    windows: ComponentWindows,
    pattern: int | None,
    folder: Path,
    device: str,
    sizes: Mapping[str, Any],
) -> tuple[torch.nn.Module, Trained]:
    torch.manual_seed(1000 * unit.seed + (0 if pattern is None else 1 + pattern))
    model = build(unit.network, **sizes)
    identity = f"{unit.name} {pattern} {material.digest} {sorted(sizes.items())}"
    job = Job(model, windows, unit.training(), identity)
    return model, train(job, folder / _letter(pattern), device=device)


def _account(
    pattern: int | None, windows: ComponentWindows, model: torch.nn.Module, trained: Trained, began: tuple[float, float]
) -> dict[str, Any]:
    """What one network saw, and how its loss went."""
    return {
        "pattern": _letter(pattern),
        "points": windows.n_points,
        "groups": len(windows.groups.members),
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": trained.steps,
        "best_step": trained.best_step,
        "still_falling": trained.still_falling,
        "curve": {name: [float(f"{value:.4g}") for value in column] for name, column in trained.history.items()},
        "seconds": round(time.perf_counter() - began[0], 1),
        "cpu_seconds": round(time.process_time() - began[1], 1),
    }


def _scores(forecasts: Forecasts, material: Material, component: str) -> dict[str, Counted]:
    return {
        stage: count_stage(said, material.targets(component, stage), material.patterns)
        for stage, said in forecasts.items()
    }


def _letter(pattern: int | None) -> str:
    """A is the pattern that sinks fastest."""
    return "all" if pattern is None else "ABCDEFGH"[pattern]


def _line(network: Mapping[str, Any]) -> str:
    losses = network["curve"]["validation"]
    mark = ", still falling" if network["still_falling"] else ""
    return (
        f"{network['steps']} steps, best loss {min(losses):.4g} at {network['best_step']}{mark}, "
        f"{network['cpu_seconds']:.0f} s of CPU, {network['seconds']:.0f} s"
    )
