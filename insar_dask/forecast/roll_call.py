"""Which Dask workers are there, by what the scheduler knows: no question goes to a worker, which may never answer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["RESOURCE", "Seat", "evict", "roll_call"]

RESOURCE = "TRAIN"
"""Dask resource that sets workers, or a thread of each, aside for training: ``dask worker --resources TRAIN=1``."""

ANSWER_SECONDS = 10.0


@dataclass(frozen=True)
class Seat:
    """A worker as the scheduler sees it."""

    address: str
    identity: str
    """Changes where a worker was born again at the same address."""
    host: str
    silent: float
    """Seconds since its last heartbeat."""
    busy: int
    """Tasks it was given."""
    reserved: bool
    """Whether it has the resource for training."""


def roll_call(client: Client) -> list[Seat]:
    """All workers that mean to stay, idle ones first.

    Raises
    ------
    OSError
        When the scheduler does not answer in time.
    """
    seats = [Seat(**seat) for seat in _ask(client, _present)]
    return sorted(seats, key=lambda seat: (seat.busy, seat.address))


def evict(client: Client, seat: Seat) -> None:
    """Have the scheduler forget a worker that is frozen: else its tasks stay on it for five minutes."""
    _ask(client, _remove, address=seat.address, identity=seat.identity)


def _ask(client: Client, question: Any, **arguments: Any) -> Any:
    if client.status != "running":
        raise OSError(f"the client is {client.status}, no longer running")
    return client.sync(client._run_on_scheduler, question, **arguments, callback_timeout=ANSWER_SECONDS)


def _present(dask_scheduler: Any) -> list[dict[str, Any]]:
    now = time.time()
    return [
        {
            "address": state.address,
            "identity": str(state.server_id),
            "host": state.host,
            "silent": now - state.last_seen,
            "busy": len(state.processing),
            "reserved": RESOURCE in state.resources,
        }
        for state in dask_scheduler.workers.values()
        if state.status.name in ("running", "paused")
    ]


async def _remove(dask_scheduler: Any, address: str, identity: str) -> None:
    state = dask_scheduler.workers.get(address)
    if state is not None and str(state.server_id) == identity:
        await dask_scheduler.remove_worker(address, stimulus_id=f"frozen-{time.time()}")
