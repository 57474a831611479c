"""Predicted peak memory of fitting and forecasting in this process, refused before any work where it does not fit."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.settings import whole

__all__ = [
    "check_free",
    "check_training",
    "fitting_bytes",
    "free_bytes",
    "gpu_free_bytes",
    "halves",
    "network_bytes",
    "predicting_bytes",
    "training_bytes",
]

WORK = 2.0
"""Copies of a block's series that are held beside it while windows are cut; measured, as those of a chunk job are."""

FIXED = 20_000_000
"""What the counts of errors and small arrays take, whatever the cube."""

TORCH = 220_000_000
"""Torch, where it is not loaded yet; measured."""

NETWORK = 200_000_000
"""A network and what it computes on, its optimiser too; measured with the preset of 3.4 million parameters."""

LEAST_BLOCK = 1024
LIMITS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def predicting_bytes(cube: xr.Dataset, block: int, horizon: int, *, network: int = 0) -> int:
    """Bytes beyond what this process holds already: a block with its windows, and the forecasts of all blocks twice.

    They are held in parts and joined; what is in memory of the cube counts as held already. ``network``: bytes of one,
    as `network_bytes` has them.
    """
    forecasts = cube.sizes["point"] * (_column_bytes(cube) + 3 * 4 * horizon)
    return FIXED + _block_bytes(cube, block) + 2 * forecasts + network


def fitting_bytes(cube: xr.Dataset, block: int, *, training: int = 0) -> int:
    """Bytes beyond what this process holds already; ``training``: what a network takes on top, 0 for none."""
    return FIXED + _block_bytes(cube, block) + training


def training_bytes(batch: int) -> int:
    """Bytes of training a network, ``batch`` of them for what it computes on a batch."""
    return network_bytes() + batch


def network_bytes() -> int:
    """Bytes of a network in use, and of torch where it is not loaded yet."""
    return NETWORK + (0 if "torch" in sys.modules else TORCH)


def check_free(
    what: str, needed: Callable[[int], int], block: int, *, lazy: bool, cells: int = 0, memory: int | None = None
) -> None:
    """Refuse what does not fit into ``memory`` bytes; default: what this machine, or the container, has free.

    Parameters
    ----------
    what : str
        Begins the message.
    needed : callable
        Bytes by the points of a block.
    block : int
        Points of a block.
    lazy : bool
        Whether the blocks are the chunks of a cube.
    cells : int
        Cells of a side of tiles, each of which is a block; 0 where points are no cells.
    memory : int, optional

    Raises
    ------
    CubeError
        Saying how much it takes, how much there is, and what would fit.
    """
    free = free_bytes(memory)
    if needed(block) <= free:
        return
    message = (
        f"{what} in blocks of {block:,} points takes {needed(block) / 1e6:,.0f} MB, {free / 1e6:,.0f} MB are free: "
    )
    if cells:
        raise CubeError(
            f"{message}a block is a tile, {cells} x {cells} cells, and is not cut: free memory, or map the ground onto "
            "fewer cells (insar_dask.rasterise); insar_dask.predict_tiles forecasts stored tiles one at a time"
        )
    fits = next((points for points in _smaller(block) if needed(points) <= free), None)
    if fits is None:
        raise CubeError(
            f"{message}no block is small enough, the least takes {needed(LEAST_BLOCK) / 1e6:,.0f} MB: free memory, "
            "take fewer points, or work in a store, shard by shard (insar_dask.fit_stored, predict_stored)"
        )
    cure = f"cube.chunk(point={fits})" if lazy else f"shard_points={fits}"
    raise CubeError(f"{message}{cure} would take {needed(fits) / 1e6:,.0f} MB")


def check_training(needed: Callable[[int], int], batch: int, memory: int | None = None, *, of: str = "") -> int:
    """Bytes that a training takes; refused where these are more than ``memory`` bytes, by default what is free.

    Parameters
    ----------
    needed : callable
        Bytes by the groups of a batch.
    batch : int
        Groups of a batch.
    memory : int, optional
    of : str
        Says of what the bytes are free.

    Raises
    ------
    CubeError
        Saying how much it takes, how much there is, and what would fit.
    """
    free, taken = free_bytes(memory), needed(batch)
    if taken <= free:
        return taken
    message = f"training takes {taken / 1e6:,.0f} MB, {free / 1e6:,.0f} MB{of} are free: "
    elsewhere = "or train on the workers of a client"
    fits = next((groups for groups in halves(batch) if needed(groups) <= free), None)
    if fits is None:
        raise CubeError(
            f"{message}no batch is small enough, one of one group takes {needed(1) / 1e6:,.0f} MB; free memory, take "
            f"smaller sizes, or smaller groups where points are grouped, {elsewhere}"
        )
    raise CubeError(
        f"{message}training={{'batch': {fits}}} would take {needed(fits) / 1e6:,.0f} MB; smaller sizes, and "
        f"smaller groups where points are grouped, take less too, {elsewhere}"
    )


def halves(groups: int) -> Iterator[int]:
    """A half of a batch, a half of that, and so on down to one group."""
    while groups > 1:
        groups //= 2
        yield groups


def free_bytes(memory: int | None = None) -> int:
    """Bytes that this process may still take: ``memory`` where it is given, else of the machine and its container."""
    if memory is not None:
        return whole("memory", memory, 0, of="bytes")
    import psutil

    free = int(psutil.virtual_memory().available)
    for limit, usage in LIMITS:
        if Path(limit).exists() and (text := Path(limit).read_text().strip()) != "max":
            free = min(free, max(int(text) - int(Path(usage).read_text()), 0))
    return free


def gpu_free_bytes() -> int:
    """Bytes of the GPU that torch computes on here that nobody holds."""
    import torch

    return int(torch.cuda.mem_get_info()[0])


def _smaller(block: int) -> Iterator[int]:
    """Powers of two below a block, the largest first."""
    points = 1 << max(block - 1, 1).bit_length() - 1
    while points >= LEAST_BLOCK:
        yield points
        points //= 2


def _block_bytes(cube: xr.Dataset, block: int) -> int:
    return int(block * (_column_bytes(cube) + 4 * cube.sizes["time"] * (1 + WORK)))


def _column_bytes(cube: xr.Dataset) -> int:
    """Bytes of a point's variables without a time axis, which travel with its forecast."""
    return sum(variable.dtype.itemsize for variable in cube.variables.values() if variable.dims == ("point",))
