"""What the chunk jobs of a run compute on: the processor, or their workers' GPUs. A run decides, and no worker."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from insar_dask.settings import known

if TYPE_CHECKING:
    from distributed import Client

log = logging.getLogger(__name__)

__all__ = ["DEVICE", "DEVICES", "ON_GPU", "device_of", "mark_gpus", "said_device", "say_if_moved", "steps_by_device"]

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
"""Steps whose kernels have a body for a GPU. All others take and give arrays of NumPy, on any worker; those of them
that forecast with a network (`insar_dask.jobs.recipe.Step.network`) send it there what it reads."""

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


def steps_by_device(device: str, functions: Iterable[str], networks: Collection[str] = ()) -> dict[str, Sequence[str]]:
    """Names of steps, each once and in order, by what they compute on in a run on ``device``.

    ``networks`` are those that forecast with one.
    """
    names = list(dict.fromkeys(functions))
    there = [name for name in names if device == "gpu" and (name in ON_GPU or name in networks)]
    here = [name for name in names if name not in there]
    return {where: of for where, of in (("gpu", there), ("cpu", here)) if of}


def say_if_moved(group: str, recipe: Sequence[Mapping[str, Any]], document: bytes) -> None:
    """Warn where a group, of such a document, is about to be made again on another device, by the same recipe."""
    try:
        both = json.loads(document)["attributes"]["recipe"], json.loads(json.dumps(recipe))
        before, after = ([{k: v for k, v in step.items() if k != "device"} for step in steps] for steps in both)
    except (ValueError, KeyError, TypeError, AttributeError):  # none, or damaged
        return
    there, here = ("gpu" if any("device" in step for step in steps) else "cpu" for steps in both)
    if before == after and there != here:
        told = "%s was made on a %s and is made again on a %s, as this run computes; %s=%s in its environment keeps it"
        log.warning(told, group, there, here, DEVICE, there)
