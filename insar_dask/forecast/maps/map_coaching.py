"""Training a network of maps of a Forecaster on tiles, here or on the workers of a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import isqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.forecast.catalogue import RIDGE
from insar_dask.forecast.coaching import MAPS, MASK, Classroom, Coach
from insar_dask.forecast.correction.gate import fit_gate
from insar_dask.forecast.correction.teaching import spread_over
from insar_dask.forecast.maps.gridded import filled, gridded
from insar_dask.forecast.maps.lattice import cells_across
from insar_dask.forecast.maps.map_history import history_bytes
from insar_dask.forecast.maps.map_material import Material
from insar_dask.forecast.maps.map_network import GATE_ORIGINS, MapNetwork
from insar_dask.forecast.maps.map_settings import MapSettings
from insar_dask.forecast.memory import training_bytes
from insar_dask.forecast.registry import load
from insar_dask.forecast.tallies import windows_of
from insar_dask.forecast.timetable import Plan
from insar_dask.forecast.training.anywhere import train_anywhere
from insar_dask.forecast.training.job import Job
from insar_dask.forecast.walk import Tell

if TYPE_CHECKING:
    import torch

    from insar_dask.forecast.maps.map_windows import MapWindows

__all__ = ["MapCoach", "job_from_folder"]

Float64 = npt.NDArray[np.float64]

CHECKPOINTS = "checkpoints"

GATE_TILES = 8


class MapCoach(Coach[MapSettings]):
    """Trains a network that adds to the harmonic ridge of each cell."""

    def bytes(self, cube: xr.Dataset) -> int:
        """Predicted peak memory of training in this process."""
        from insar_dask.forecast.maps import memory

        settings = replace(self.settings, side=cells_across(cube))
        sizes, training, cells = settings.all_sizes, settings.training, settings.side**2
        histories = cube.sizes["point"] // cells * history_bytes(cube.sizes["time"], cells)
        batch = memory.training_bytes(settings.network, sizes, training.batch, training.bf16, device=self.device)
        return training_bytes(batch + histories)

    def taught(self, room: Classroom, tell: Tell) -> dict[str, npt.NDArray[Any]]:
        """Arrays of the trained network; ``tell`` gets what its training says."""
        settings = replace(self.settings, side=isqrt(room.shard))
        _lay_out(room, settings.side)
        windows = _windows(room.folder, room.plan, settings)
        trained = train_anywhere(
            lambda: Job(_network(settings), windows, settings.training, room.identity),
            f"{__name__}:job_from_folder",
            {
                "folder": str(room.folder.absolute()),
                "plan": room.plan.to_dict(),
                "settings": settings.to_dict(),
                "identity": room.identity,
            },
            room.folder / CHECKPOINTS,
            client=self.client,
            ranks=self.ranks,
            device=self.device,
            tell=tell,
        )
        network = _network(settings)
        network.load_state_dict(dict(trained.weights))
        ridge = load(RIDGE, f"honest.validation.{RIDGE}.", room.state)
        made = MapNetwork(settings, network, ridge, 1.0, room.plan.date(room.plan.validation[0]))
        made.gate = _gate(room, made)
        return {f"honest.trained.{settings.network}.{name}": array for name, array in made.state().items()}


def job_from_folder(folder: str, plan: Mapping[str, Any], settings: Mapping[str, Any], identity: str) -> Job:
    """The job of one rank, made in its own process from what lies in the folder of the training."""
    wanted = MapSettings.from_dict(settings)
    return Job(_network(wanted), _windows(Path(folder), Plan.from_dict(plan), wanted), wanted.training, identity)


def _windows(folder: Path, plan: Plan, settings: MapSettings) -> MapWindows:
    from insar_dask.forecast.maps.map_windows import MapWindows

    maps, mask = (np.load(folder / name, mmap_mode="r") for name in (MAPS, MASK))
    n_tiles = len(maps)
    material = Material(
        protocol="honest",
        names=tuple(map(str, range(n_tiles))),
        plan=plan,
        read=maps,
        asked=maps,
        mask=mask,
        statics=None,
        edges=np.zeros((n_tiles, 4)),
        digest="",
        context=settings.context,
    )
    return MapWindows(material, range(n_tiles), settings.training.batch, settings.training.seed)


def _network(settings: MapSettings) -> torch.nn.Module:
    """A new network, the same for the same seed."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.training.seed)
        return settings.build()


def _lay_out(room: Classroom, side: int) -> None:
    """Maps of all tiles on the grid as plain files, mapped: no more of them is in memory than is read."""
    steps, cells = len(room.plan.grid_days(0)), room.shard
    n_tiles = room.source.n_points // cells
    shape = (n_tiles, steps, side, side)
    maps = np.lib.format.open_memmap(room.folder / MAPS, "w+", np.float32, shape)
    mask = np.lib.format.open_memmap(room.folder / MASK, "w+", np.bool_, shape)
    for tile in range(n_tiles):
        points = room.source.read(tile * cells, (tile + 1) * cells)
        raw = gridded(windows_of(points.values, room.plan, "honest", points.places).grid(0), points.places, side)
        maps[tile], mask[tile] = filled(raw), np.isfinite(raw)
    maps.flush()
    mask.flush()


def _gate(room: Classroom, made: MapNetwork) -> float:
    """How much of what the network adds the validation origins of all tiles bear out, by parts of tiles."""
    plan, cells = room.plan, room.shard
    origins = spread_over(list(plan.validation), GATE_ORIGINS)
    gains = []
    for tile in spread_over(list(range(room.source.n_points // cells)), GATE_TILES):
        points = room.source.read(tile * cells, (tile + 1) * cells)
        windows = windows_of(points.values, plan, "honest", points.places)
        by_date = [made.gains(windows.context(origin), windows.targets(origin)) for origin in origins]
        gains.append(np.moveaxis(np.array(by_date), 0, 1))  # (parts, dates, 2)
    runs = [(origin.step - origins[0].step) // plan.horizon for origin in origins]
    return fit_gate(np.concatenate(gains), runs)
