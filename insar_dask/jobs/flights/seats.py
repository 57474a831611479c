"""Where on the scheduler the attempts of a client leave their marks."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING
from uuid import uuid4
from weakref import WeakKeyDictionary

from insar_dask.jobs.flights.attempt import MARKS
from insar_dask.jobs.flights.lookout import ask

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Seats"]

_LOCK = Lock()
_TAKEN: WeakKeyDictionary[Client, Seats] = WeakKeyDictionary()


class Seats:
    """Seats that the flights of a client share: used again, so a run of 100,000 shards has few.

    The last flight to leave erases what is marked there: a campaign of a thousand products asks for that once.

    Parameters
    ----------
    client : str
        Its id, with which their name begins (`insar_dask.jobs.flights.attempt.client_of`).
    """

    def __init__(self, client: str) -> None:
        self.name = f"{client} {uuid4().hex[:12]}"
        self._numbers, self._free = count(), list[int]()
        self._flights = 0

    @classmethod
    def of(cls, client: Client) -> Seats:
        """Those that flights of this client have now; each that takes them leaves them."""
        with _LOCK:
            seats = _TAKEN.setdefault(client, cls(client.id))
            seats._flights += 1
        return seats

    def take(self) -> int:
        """A seat that nobody has."""
        with _LOCK:
            return self._free.pop() if self._free else next(self._numbers)

    def give_back(self, seat: int) -> None:
        """A seat whose attempt has ended; that of one that may still begin is never given back."""
        with _LOCK:
            self._free.append(seat)

    def leave(self, client: Client) -> None:
        """A flight has ended."""
        with _LOCK:
            self._flights -= 1
            if self._flights:
                return
            del _TAKEN[client]
        with suppress(Exception):  # nothing to erase where the client is closed
            ask(client, "set_metadata", keys=[MARKS, self.name], value=None)
