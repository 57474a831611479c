"""What one chunk job does, start to end: read a shard, run the steps, write the results, sign the receipts."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy.typing as npt
from zarr.abc.store import Store

from insar_dask.bucket_reads import for_one_task
from insar_dask.cube import CubeError
from insar_dask.jobs.gpu_shards import brought_back, given_to, on_gpu, taken
from insar_dask.jobs.progress.places import block_box
from insar_dask.jobs.receipts import Ledger, Receipt
from insar_dask.jobs.recipe import Stage
from insar_dask.machine import one_blas_thread
from insar_dask.objects import open_store
from insar_dask.shard_store import checksum_block, read_block, write_block
from insar_dask.store import Taken, decoded, shard_plan
from insar_dask.turns import in_turn

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["read_input", "run_shard", "run_steps"]

STATES_KEPT = 4
_STATES: dict[str, dict[str, npt.NDArray[Any]]] = {}
_STATES_LOCK = Lock()


def run_shard(
    path: str | Path | Store, stage: Stage, index: int, keys: Mapping[str, str], checksum: str
) -> list[Receipt]:
    """Make the results named in ``keys`` for one shard.

    Parameters
    ----------
    path : str, Path or zarr Store
        The store.
    stage : Stage
        Steps, source group and targets.
    index : int
        Shard.
    keys : mapping
        Result -> the key its receipt shall bear; results that are done already are left out.
    checksum : str
        Of the source's shard, as its receipt has it and the keys take it for granted.

    Returns
    -------
    list of Receipt
        One a result, as written to the store.

    Raises
    ------
    CubeError
        When the source's shard does not have that checksum.
    SupersededError
        When a later run has made a result of other parameters: this task's driver is gone.
    ImportError, OSError
        When the stage is for GPUs, and this worker has none or lacks what computes there: nothing is computed
        elsewhere than its keys say.
    """
    store, wanted = for_one_task(open_store(path)), set(keys)
    began, there = time.perf_counter(), stage.runs_on_gpu(wanted)
    # Dask owns the threads, and one thread a task keeps BLAS sums the same everywhere
    with one_blas_thread(), on_gpu() if there else nullcontext():
        block = read_input(store, stage.source, index, checksum, stage.reads(wanted), taken if there else decoded)
        with in_turn() if there else nullcontext():
            results = run_steps(stage, block, wanted, Ledger(store))
    return [_write(store, stage, index, result, results[result], keys[result], began) for result in sorted(keys)]


def read_input(
    store: Store,
    source: str,
    index: int,
    checksum: str,
    names: Collection[str] | None = None,
    taken: Taken = decoded,
) -> xr.Dataset:
    """Shard of a stage's source, if it is what its receipt says: else its results would be taken for right for good.

    Of its arrays over ``point`` only those in ``names`` are read, if any are given; ``taken`` makes their values.
    """
    store = for_one_task(store)
    if checksum_block(store, source, index)[0] != checksum:
        raise CubeError(
            f"shard {index} of {source} does not hold the bytes of its receipt: read or save {source} again, "
            "which rebuilds what is damaged"
        )
    return read_block(store, source, index, names, taken)


def run_steps(stage: Stage, block: xr.Dataset, wanted: set[str], ledger: Ledger) -> dict[str, Any]:
    """Results of the steps that lead to ``wanted``; a result is let go when nothing needs it any more.

    On a GPU (within `insar_dask.jobs.gpu_shards.on_gpu`) series stay there from step to step; one that has no body
    for it has them brought back. A step that forecasts with a network takes its turn on the GPU when that has its own.
    """
    source = stage.steps[0].source
    results: dict[str, Any] = {source: block}
    steps, there = stage.needed(wanted), stage.runs_on_gpu(wanted)
    for position, step in enumerate(steps):
        params = {name: _resolve(value, ledger) for name, value in step.params.items()}
        if there:
            results[step.source] = given_to(step.function, results[step.source], params)
        if step.network and stage.device != "cpu":
            params["device"] = stage.device
        results[step.result] = step.resolve()(results[step.source], **params)
        for name in set(results) - wanted - {later.source for later in steps[position + 1 :]}:
            del results[name]
    return brought_back(results) if there else results


def _resolve(value: Any, ledger: Ledger) -> Any:
    """A parameter's value; references to states and plans become the things themselves."""
    kind = next(iter(value)) if isinstance(value, Mapping) and len(value) == 1 else None
    if kind == "state":
        return _read_state(ledger, str(value["state"]))
    if kind == "plan":
        from insar_dask.forecast.protocol import Plan

        return Plan.from_dict(value["plan"])
    return value


def _read_state(ledger: Ledger, name: str) -> dict[str, npt.NDArray[Any]]:
    """Stored arrays; the last few are kept, their name being the hash of what they hold."""
    with _STATES_LOCK:
        if name not in _STATES:
            while len(_STATES) >= STATES_KEPT:
                del _STATES[next(iter(_STATES))]
            _STATES[name] = ledger.read_state(name)
        return _STATES[name]


def _write(store: Store, stage: Stage, index: int, result: str, value: Any, key: str, began: float) -> Receipt:
    import xarray as xr

    target, plan = stage.saves[result], shard_plan(store, stage.source)
    claim = Ledger(store).check_free(target, index, key)
    box: tuple[int, ...] = ()
    if isinstance(value, xr.Dataset):
        stored = write_block(store, target, plan, index, value)
        box = block_box(value) if target.endswith("/raw") else ()  # the stages of a product lie where its raw cube does
    else:
        stored = Ledger(store).write_partial(target, index, value)
    where = plan.slice(index)
    receipt = Receipt.sign(index, key, stored, where.stop - where.start, began, box)
    Ledger(store).write(target, receipt, claim)
    return receipt
