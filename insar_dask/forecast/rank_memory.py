"""Predicted peak memory of ranks, refused before any work where it does not fit into what their workers may take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from insar_dask.cube import CubeError
from insar_dask.forecast.memory import NETWORK, halves, network_bytes
from insar_dask.forecast.training.roll_call import RollCall, Seat, fit_to_train

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["check_ranks", "check_seats", "process_bytes"]

PROCESS = 270_000_000
"""A rank before it trains: an interpreter with torch. Ranks peaked at 555, 600 and 900 MB whose trainings take 300, 390
and 750 MB of a process that has torch."""


def process_bytes(training: int) -> int:
    """Bytes of a process that does nothing but train, from those that training takes of this one."""
    return PROCESS + training - network_bytes() + NETWORK


def check_ranks(client: Client, ranks: int | None, batch: int, needed: Callable[[int], int]) -> None:
    """Refuse ranks that take more than the workers may that would get them.

    A rank is a process beside its worker, which no limit of the worker's ends: what is too much for a host ends
    whatever the kernel chooses.

    Parameters
    ----------
    client : distributed.Client
    ranks : int, optional
        Default: one a worker.
    batch : int
        Groups of a step, over all ranks.
    needed : callable
        Bytes of a rank by its share of the groups.

    Raises
    ------
    CubeError
        Saying how much a rank takes, which worker has less, and what would fit.
    """
    check_seats(fit_to_train(RollCall(client).seats())[:ranks], batch, needed)


def check_seats(seats: Sequence[Seat], batch: int, needed: Callable[[int], int]) -> None:
    """As `check_ranks`, where it is known who would get a rank."""
    if not seats:
        raise CubeError("the cluster has no workers; start some, or train in this process, without a client")
    world, smallest = len(seats), min(seats, key=lambda seat: seat.room)
    share = -(-batch // world)
    if needed(share) <= smallest.room:
        return
    message = (
        f"each of {world} ranks takes {needed(share) / 1e6:,.0f} MB, and the worker {smallest.address} may take "
        f"{max(smallest.room, 0) / 1e6:,.0f} MB beside what it holds: "
    )
    fits = next((groups for groups in halves(share) if needed(groups) <= smallest.room), None)
    if fits is None:
        raise CubeError(
            f"{message}no batch is small enough, a rank of one group takes {needed(1) / 1e6:,.0f} MB; take a smaller "
            "group or smaller sizes, or start workers with a larger memory_limit"
        )
    cure = f"training={{'batch': {fits * world}}}"
    raise CubeError(
        f"{message}{cure} would take {needed(fits) / 1e6:,.0f} MB, or start workers with a larger memory_limit"
    )
