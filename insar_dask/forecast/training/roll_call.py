"""Which Dask workers are there, by what the scheduler knows: no question goes to a worker, which may never answer."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["RESOURCE", "RollCall", "Seat", "fit_to_train"]

RESOURCE = "TRAIN"
"""Dask resource that sets workers, or a thread of each, aside for training: ``dask worker --resources TRAIN=1``."""

ANSWER_SECONDS = 10.0
UNDER_WAY = ("executing", "ready", "constrained", "waiting")


@dataclass(frozen=True)
class Seat:
    """A worker as the scheduler sees it."""

    address: str
    identity: str
    """Its own folder, another one where it was born again at the same address."""
    host: str
    silent: float
    """Seconds since its last heartbeat was noticed."""
    busy: int
    """Tasks that it has, by its last heartbeat."""
    reserved: bool
    """Whether it has the resource for training."""
    room: float = math.inf
    """Bytes that it may still take, by its own limit and its last heartbeat."""


class RollCall:
    """Who is there, and who has not been heard of for how long: by this process's clock, not by the scheduler's.

    Parameters
    ----------
    client : distributed.Client
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self._heard: dict[str, tuple[float, float]] = {}

    def seats(self) -> list[Seat]:
        """All workers that mean to stay, idle ones first.

        Raises
        ------
        OSError
            When the scheduler does not answer in time.
        """
        if self.client.status != "running" or self.client.scheduler is None:
            raise OSError(f"the client is {self.client.status}, no longer running")
        answer = self.client.sync(self.client.scheduler.identity, n_workers=-1, callback_timeout=ANSWER_SECONDS)
        staying = {a: w for a, w in answer["workers"].items() if w["status"] in ("running", "paused")}
        seats = [self._seat(address, worker) for address, worker in staying.items()]
        return sorted(seats, key=lambda seat: (seat.busy, seat.address))

    def _seat(self, address: str, worker: dict[str, Any]) -> Seat:
        identity, now = f"{address} {worker['local_directory']}", time.monotonic()
        beat, since = self._heard.get(identity, (None, now))
        if beat != worker["last_seen"]:
            since = now
            self._heard[identity] = worker["last_seen"], now
        tasks = worker["metrics"].get("task_counts", {})
        busy = sum(tasks.get(state, 0) for state in UNDER_WAY)
        room = worker["memory_limit"] - worker["metrics"].get("memory", 0) if worker["memory_limit"] else math.inf
        return Seat(address, identity, worker["host"], now - since, busy, RESOURCE in worker["resources"], room)

    def evict(self, seat: Seat) -> None:
        """Have the scheduler forget a worker that is frozen: else its tasks stay on it for five minutes."""
        self.client.sync(self.client._run_on_scheduler, _remove, address=seat.address, callback_timeout=ANSWER_SECONDS)


def fit_to_train(seats: Sequence[Seat]) -> list[Seat]:
    """Workers that may take ranks: those set aside for it, if any are."""
    reserved = [seat for seat in seats if seat.reserved]
    return reserved or list(seats)


async def _remove(dask_scheduler: Any, address: str) -> None:
    await dask_scheduler.remove_worker(address, stimulus_id=f"frozen-{time.time()}")
