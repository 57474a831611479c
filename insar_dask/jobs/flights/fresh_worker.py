"""A worker that has run nothing yet, for a chunk that is suspected of killing those it runs on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from insar_dask.jobs.flights.lookout import ask

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["FreshWorkers"]

RESTART_SECONDS = 60.0


class FreshWorkers:
    """Workers of a cluster that were not handed out yet.

    Parameters
    ----------
    client : distributed.Client
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._used: set[str] = set()

    def one(self) -> list[str]:
        """Address of a worker that has run nothing yet, if there is a way to one; nothing else of ours is in flight."""
        with suppress(OSError, TimeoutError):
            workers = self._running()
            self._used |= set() if self._used else set(workers)
            chosen = sorted(set(workers) - self._used)[:1] or self._restarted(workers)
            self._used.update(chosen)
            return chosen
        return []

    def _restarted(self, workers: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """A worker in the place of one that nobody uses; without a nanny nobody would start it again."""
        busy = {a for what in ("processing", "has_what") for a, keys in ask(self._client, what).items() if keys}
        idle = [address for address in workers if address not in busy]
        nannied = [address for address in idle if workers[address]["nanny"]][-1:]
        if not nannied:
            return idle[-1:]
        how = {"timeout": RESTART_SECONDS, "wait_for_workers": False, "on_error": "return"}
        ask(self._client, "restart_workers", workers=nannied, stimulus_id=f"insar-dask-fresh-{time.time()}", **how)
        return self._newcomer(set(workers))

    def _running(self) -> dict[str, Mapping[str, Any]]:
        workers = ask(self._client, "identity")["workers"]
        return {address: worker for address, worker in workers.items() if worker["status"] == "running"}

    def _newcomer(self, before: set[str]) -> list[str]:
        """Wait for a worker that was not there."""
        deadline = time.monotonic() + RESTART_SECONDS
        while time.monotonic() < deadline:
            if new := sorted(set(self._running()) - before):
                return new[:1]
            time.sleep(0.2)
        return []
