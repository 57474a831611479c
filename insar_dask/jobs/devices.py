"""What the chunk jobs of a run compute on: the processor, or their workers' GPUs. A run decides, and no worker."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from insar_dask.settings import known

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["DEVICE", "DEVICES", "ON_GPU", "device_of", "mark_gpus", "said_device", "steps_by_device"]

DEVICES = "cpu", "gpu"

DEVICE = "INSAR_DASK_DEVICE"
"""Variable of the environment of the process that drives a run: ``gpu`` or ``cpu``, whatever the cluster is."""

ON_GPU = frozenset(
    {
        "regularise",
        "savgol",
        "moving_average",
        "motion",
        "holt_winters",
        "stl",
        "cumulative_displacement",
        "component_variances",
        "sum_patterns",
        "label_patterns",
    }
)
"""Steps whose kernels have a body for a GPU. All others take and give arrays of NumPy, on any worker."""

MARK = ["insar-dask-device"]
"""Where a scheduler keeps what its session was started for: whoever joins it computes on the same."""


def mark_gpus(client: Client) -> None:
    """Have all runs on a cluster compute on its GPUs, of which each of its workers has one."""
    client.set_metadata(MARK, "gpu")


def said_device() -> str | None:
    """What the environment of this process says, if anything; ValueError when that is no device."""
    said = os.environ.get(DEVICE)
    return str(known(DEVICE, said, DEVICES)) if said else None


def device_of(client: Client | None) -> str:
    """``"gpu"`` or ``"cpu"``, for all chunk jobs of a run.

    What the environment of this process says (`DEVICE`); else ``"gpu"`` on a cluster that ``session(gpus=...)``
    started, and ``"cpu"`` on any other and in this process. It travels with each task and is in the keys of all that
    a GPU makes (`insar_dask.jobs.recipe.Stage.key`), so that shards of the two never pass for each other.

    Raises
    ------
    ValueError
        When the environment names another device.
    OSError
        When the scheduler does not answer.
    """
    said = said_device()
    if said is not None or client is None:
        return said or "cpu"
    from insar_dask.jobs.flights.lookout import ask

    return str(ask(client, "get_metadata", keys=MARK, default=None) or "cpu")


def steps_by_device(device: str, functions: Iterable[str]) -> dict[str, Sequence[str]]:
    """Names of steps, each once and in order, by what they compute on in a run on ``device``."""
    names = list(dict.fromkeys(functions))
    there = [name for name in names if device == "gpu" and name in ON_GPU]
    here = [name for name in names if name not in there]
    return {where: of for where, of in (("gpu", there), ("cpu", here)) if of}
