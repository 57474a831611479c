"""Predict what a task takes of a GPU before any work, and refuse where a worker's GPU is too small, or is none."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from inspect import signature
from typing import TYPE_CHECKING, Any

from zarr.abc.store import Store

from insar_dask.cube import CubeError
from insar_dask.jobs.devices import DEVICE, ON_GPU
from insar_dask.jobs.gpu_shards import usable_cupy
from insar_dask.jobs.recipe import Stage, Step
from insar_dask.shards import shard_axis
from insar_dask.store import point_arrays, shard_plan
from insar_kernels.gpu.fits import COLUMN
from insar_kernels.gpu.running import ALONG, ON_SERIES, RESIDENT
from insar_kernels.holt_winters_gaps import gappy_rows
from insar_kernels.holt_winters_starts import MOST
from insar_kernels.seasonal_trend import MATRICES

if TYPE_CHECKING:
    import xarray as xr
    from distributed import Client

log = logging.getLogger(__name__)

__all__ = ["ask_workers", "check_gpus", "gpu_memory", "gpu_room", "release_gpus"]

POOL = 1.2
"""What CuPy's pool takes of the GPU for each byte in use: what it cuts off, and keeps between tasks."""

DECODING = 2.75
"""Copies of a source of tenths, in float32, while it is decoded: the integers, two of the numbers, a mask."""

WORK = {"savgol": 4.5, "holt_winters": 32.0, "stl": 4.5, "sum_patterns": 2.5, "label_patterns": 2.5}
"""Copies of its series that a step works in at its worst instant, beside them and its results; others in half of one.
Counted in arrays of NumPy, which the same bodies run on, and what CuPy takes for places of gaps."""

ROOM_SECONDS = 60.0
"""That workers have to say what their GPUs hold: one may first have to import what it asks."""

NUMBER_BYTES = 80
"""Of each number of the matrices of STL's series with gaps, of which some are held at a time."""


def gpu_room() -> tuple[int, int] | str:
    """Bytes of this worker's GPU that CuPy may take, and its multiprocessors; or why there is none to take any of."""
    try:
        cupy = usable_cupy()
        device, pool = cupy.cuda.Device(), cupy.get_default_memory_pool()
        free, whole = device.mem_info
        most = min(pool.get_limit() or whole, free + pool.total_bytes())
        return most, device.attributes["MultiProcessorCount"]
    except Exception as error:  # of a driver, too
        return str(error) or repr(error)


def gpu_memory(
    stage: Stage, store: Store, templates: Mapping[str, xr.Dataset], processors: int, threads: int = 1
) -> int:
    """Predicted bytes of a GPU of so many multiprocessors that ``threads`` with tasks of ``stage`` take.

    One has its turn: all series of its source and results at once, of which each step's are some, and what the
    hungriest step works in. The others have their next source there. ``templates`` are its results for some points.
    """
    plan = shard_plan(store, stage.source)
    points = min(plan.shard, plan.n_points)
    source = 4 * sum(array.size // array.shape[0] for array, _ in point_arrays(store, stage.source) if array.ndim > 1)
    made = {result: _series_bytes(template) for result, template in templates.items()}
    sizes = {stage.steps[0].source: source, **made}
    work = [(DECODING - 1.0) * source * points]
    for step in stage.steps:
        if step.function in ON_GPU:
            size = sizes.get(step.source, max(sizes.values()))
            work.append(WORK.get(step.function, 0.5) * size * points + _beside(step, points, size, processors))
    others = (threads - 1) * DECODING * source * points
    return int(POOL * (points * (source + sum(made.values())) + max(work) + others))


def check_gpus(
    stage: Stage, store: Store, templates: Mapping[str, xr.Dataset], client: Client | None, threads: int
) -> None:
    """Refuse a stage for GPUs where a worker has none, or one that cannot hold what its threads have there.

    Raises
    ------
    CubeError
        Naming the worker, and what to change.
    """
    rooms = ask_workers(client, gpu_room)
    told = {} if client is None else client.scheduler_info(n_workers=-1)["workers"]
    for worker, room in rooms.items():
        if isinstance(room, str):
            raise CubeError(f"stage {stage.name}, worker {worker}: {room}")
        limit, processors = room
        at_once = told[worker]["nthreads"] if worker in told else threads
        needed = gpu_memory(stage, store, templates, processors, at_once)
        if needed > limit:
            raise CubeError(
                f"stage {stage.name} needs {needed / 1e6:,.1f} MB of the GPU of worker {worker} ({at_once} threads), "
                f"which has {limit / 1e6:,.1f} MB for it: take threads_per_worker=1, let CuPy take more of it "
                f"(CUPY_GPU_MEMORY_LIMIT), store smaller shards, or set {DEVICE}=cpu"
            )


def release_gpus(client: Client | None) -> None:
    """Give back what CuPy keeps of the workers' GPUs for its next arrays: what comes after a stage may be torch's."""
    if client is None:
        _release()
    else:
        client.run(_release, on_error="ignore", wait=False)  # one that is gone has given it back, one frozen may later


def ask_workers(client: Client | None, room: Callable[[], Any]) -> dict[str, Any]:
    """What each worker has, but for one that goes just now; nothing where one is frozen, which flights find out."""
    if client is None:
        return {"of this process": room()}
    try:
        found: dict[str, Any] = client.sync(client._run, room, on_error="ignore", callback_timeout=ROOM_SECONDS)
    except TimeoutError:
        log.warning("a worker did not say within %g s what its GPU holds: memory there is not checked", ROOM_SECONDS)
        return {}
    return found


def _release() -> None:
    usable_cupy().get_default_memory_pool().free_all_blocks()


def _beside(step: Step, points: int, series_bytes: int, processors: int) -> float:
    """Bytes that a step takes beside its copies of the series: columns of its threads, matrices."""
    n_dates = series_bytes // 4
    if step.function == "holt_winters":  # its hungriest threads search series with gaps, from `MOST` starts of each
        return 4 * gappy_rows(n_dates, _period(step)) * min(RESIDENT * processors, MOST * points)
    if step.function == "stl":
        return NUMBER_BYTES * min(points * n_dates**2, MATRICES)
    if step.function == "motion":
        return 8 * COLUMN * min(ON_SERIES * processors, points + ALONG)
    return 0.0


def _period(step: Step) -> int:
    """Dates in a season of a step, which may leave it to its function."""
    given = signature(step.resolve()).bind(None, **step.params)
    given.apply_defaults()
    return int(given.arguments["period"])


def _series_bytes(template: xr.Dataset) -> int:
    """Bytes a point takes in what is over more than points, as float32."""
    cut = [variable for variable in template.variables.values() if shard_axis(variable.dims) and variable.ndim > 1]
    return sum(4 * variable.size // variable.sizes[str(shard_axis(variable.dims))] for variable in cut)
