"""Put the page on the web server of a scheduler that runs already, or that `dask scheduler` starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from weakref import WeakSet

from insar_dask.jobs.flights.lookout import ask

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["PAGE", "page_address", "running", "serve"]

PAGE = "/insar"

_SERVED: WeakSet[Client] = WeakSet()
"""Clients whose scheduler has the page: a campaign asks for each of its products."""


def serve(client: Client) -> None:
    """Open the page of chunk jobs on a client's scheduler, where it is not open already."""
    from insar_dask.dashboard.plugin import NAME, JobsPlugin

    if client in _SERVED:
        return
    # to send a plugin takes ten times as long as to ask for it
    if ask(client, "get_metadata", keys=[NAME], default=None) is None:
        client.register_plugin(JobsPlugin(), name=NAME)
    _SERVED.add(client)


def page_address(client: Client) -> str:
    """Where the page of chunk jobs is; empty where the scheduler has no web server."""
    link = str(client.dashboard_link or "")
    return link.removesuffix("/status") + PAGE if link else ""


def running(client: Client, run: str) -> Sequence[tuple[str, int, float, str]]:
    """Stage, shard, since when and where, of the jobs of a run that workers are at, as the page shows them.

    Raises
    ------
    LookupError
        When the scheduler has no such page: it was started anew.
    """
    from insar_dask.dashboard.plugin import ASKED

    found: Sequence[tuple[str, int, float, str]] | None = ask(client, ASKED, run=run)
    if found is None:
        _SERVED.discard(client)
        raise LookupError("the scheduler has no page of chunk jobs any more")
    return found
