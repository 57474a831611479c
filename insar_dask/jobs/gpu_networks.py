"""What forecasting with networks takes of the workers' GPUs, predicted before any work, and refused where it lacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from insar_dask.cube import CubeError
from insar_dask.jobs.devices import DEVICE
from insar_dask.jobs.gpu_memory import ask_workers
from insar_dask.jobs.receipts import Ledger
from insar_dask.jobs.recipe import Step

if TYPE_CHECKING:
    from distributed import Client

    from insar_dask.forecast.registry import Arrays

__all__ = ["STAGES", "check_network_gpus", "network_bytes", "release_network_gpus"]

STAGES = {"calibrate_partial": "validation", "score_partial": "test", "hindcast_tile": "test"}
"""Stage of the evaluation whose forecasters a step takes, and all that are evaluated; of any other step ``future``, and
the one that forecasts."""


def check_network_gpus(name: str, steps: Sequence[Step], points: int, ledger: Ledger, client: Client | None) -> None:
    """Refuse steps that forecast with networks where a worker has no GPU, or one that cannot hold what they take.

    One thread of a worker has its turn, whatever their number. Networks take of a GPU what CuPy may not.

    Parameters
    ----------
    name : str
        Of the stage, for messages.
    steps : sequence of Step
    points : int
        Of a shard.
    ledger : Ledger
        Has the states that the steps name.
    client : distributed.Client, optional
        Whose workers compute; default: this process.

    Raises
    ------
    CubeError
        Naming the worker, and what to change.
    """
    if not steps:
        return
    needed: dict[int, int] = {}
    for worker, room in ask_workers(client, _room).items():
        if isinstance(room, str):
            raise CubeError(f"stage {name}, worker {worker}: {room}")
        free, whole = room
        if whole not in needed:
            needed[whole] = network_bytes(steps, points, whole, ledger)
        if needed[whole] > free:
            raise CubeError(
                f"stage {name} forecasts with networks, which takes {needed[whole] / 1e6:,.1f} MB of the GPU of worker "
                f"{worker}, which has {free / 1e6:,.1f} MB for them: end what else computes there, let CuPy take less "
                f"of it (CUPY_GPU_MEMORY_LIMIT), or set {DEVICE}=cpu"
            )


def network_bytes(steps: Iterable[Step], points: int, memory: int, ledger: Ledger) -> int:
    """Predicted bytes of a GPU of ``memory`` bytes in all that the networks of some steps take.

    Those of the hungriest, and the weights of the others, which stay. What is there already is not free, and may be
    counted once more.
    """
    from insar_dask.forecast.registry import computes, fitted, under

    taken, weights = dict[str, int](), dict[str, int]()
    for step in steps:
        state, stage = _state(step, ledger), STAGES.get(step.function, "future")
        methods = step.params["plan"]["plan"]["methods"] if step.function in STAGES else [str(state["ranking"][0])]
        for method in (one for one in methods if computes(one, stage, state) and one not in taken):
            taken[method] = fitted(method, "honest", stage, state).bytes_there(points, memory)  # type: ignore[attr-defined]
            weights[method] = sum(one.nbytes for one in under(f"honest.trained.{method}.weights.", state).values())
    return max((work + sum(weights.values()) - weights[method] for method, work in taken.items()), default=0)


def release_network_gpus(client: Client | None) -> None:
    """Give back what torch keeps of the workers' GPUs for its next tensors: what comes after a stage may be CuPy's."""
    if client is None:
        _release()
    else:
        client.run(_release, on_error="ignore", wait=False)  # as for CuPy


def _state(step: Step, ledger: Ledger) -> Arrays:
    found: dict[str, Any] = {}
    for name in ("state", "trained"):
        reference: Mapping[str, Any] = step.params.get(name, {})
        found |= ledger.read_state(str(reference["state"])) if reference else {}
    return found


def _room() -> tuple[int, int] | str:
    try:
        from insar_dask.forecast.gpu_networks import network_room
    except ImportError as error:
        return f"networks of this run forecast on GPUs, and torch is missing on this worker ({error})"
    return network_room()


def _release() -> None:
    from insar_dask.forecast.gpu_networks import release

    release()
