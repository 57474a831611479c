"""Who holds a store in a bucket: a lease, renewed while its run lives, taken over when that has surely ended.

Clocks of different machines are never compared. A run that finds the lease of another sees whether it changes, for as
long as it is valid, by its own steady clock; how old it was when found, the bucket's clock says. A holder that was held
up, its machine asleep or the network away, writes nothing before the lease is renewed, and nothing any more once it is
another's. What its tasks on workers still write, `insar_dask.jobs.receipts` keeps apart.
"""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread

from insar_dask.bucket_opening import LINGER_SECONDS
from insar_dask.buckets import Bucket, guarded
from insar_dask.jobs.holding.holder import Holder
from insar_dask.store_errors import StoreError

__all__ = ["HeldError", "Lease", "TakenOverError"]

KEY = "jobs/lease"
PROBE = "jobs/lease-probe"
TERM_SECONDS = 180.0
RENEW_SECONDS = 15.0
LOOK_SECONDS = 2.0
CLOCK_SECONDS = 5.0
"""A bucket's clock tells whole seconds, and its servers may differ a little."""


class HeldError(RuntimeError):
    """Another run holds the store."""


class TakenOverError(RuntimeError):
    """Another run has taken the store over from this one, which writes nothing there any more."""


class Lease:
    """The right to write to a store in a bucket.

    Parameters
    ----------
    bucket : Bucket
    term : float
        Seconds after which a lease that was not renewed is nobody's.
    renew : float
        Seconds from one renewal to the next.
    linger : float
        Seconds that a request of this process may take to reach the bucket: it is begun while the lease lasts longer.
    """

    def __init__(
        self,
        bucket: Bucket,
        *,
        term: float = TERM_SECONDS,
        renew: float = RENEW_SECONDS,
        linger: float = LINGER_SECONDS,
    ) -> None:
        self.bucket, self.term, self._every, self._safe = bucket, term, renew, term - linger
        self._holder, self._beat, self._tag, self._renewed, self._lost = Holder.here(term), 0, "", 0.0, ""
        self._lock, self._end = Lock(), Event()

    def take(self) -> None:
        """Take the lease; waits while it is not known whether its holder lives.

        Raises
        ------
        HeldError
            When another run lives and holds the store.
        StoreError
            When the bucket cannot be written, or does not know conditional puts.
        """
        watch = _Watch(self.bucket)
        while True:
            data, tag = self.bucket.get_tagged(KEY)
            free = data is None or watch.is_free(data, str(tag))
            began = _now()
            if free and (taken := self._put(tag)):
                self._tag, self._renewed = taken, began
                break
            if not free:
                time.sleep(LOOK_SECONDS)
        if self.bucket.put_tagged(KEY, b"{}", tag) is not None:
            raise StoreError(
                f"{self.bucket.address} does not know conditional puts (If-Match, If-None-Match), by which runs keep "
                "apart: use a server that does, or a folder"
            )

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the lease meanwhile, let this process write while it lasts, and give it back."""
        keeper = Thread(target=self._keep, name="lease", daemon=True)
        keeper.start()
        try:
            with guarded(self.bucket.address, self.check):
                yield
        finally:
            self._end.set()
            keeper.join()
            self._release()

    def check(self) -> None:
        """Return while the store is surely held for as long as a request may take; renew the lease where it must be.

        Raises
        ------
        TakenOverError
            When another run has taken it over.
        StoreError
            When it cannot be renewed.
        """
        if self._lost:
            raise TakenOverError(self._lost)
        if _now() - self._renewed > self._safe:
            self.renew()

    def renew(self) -> None:
        """Say that this run lives; raises as `check`."""
        with self._lock:
            if self._lost:
                raise TakenOverError(self._lost)
            began = _now()
            tag = self._put(self._tag)
            if tag is None:
                data, seen = self.bucket.get_tagged(KEY)
                holder = Holder.read(data)
                if holder.run == self._holder.run:  # written by a renewal whose answer was lost
                    tag = self._put(seen)
            if tag is None:
                self._lost = (
                    f"{holder} has taken {self.bucket.address} over from this run, which had not been heard of "
                    f"for {self.term:.0f} s; what this run had done stays done, and it writes nothing more"
                )
                raise TakenOverError(self._lost)
            self._tag, self._renewed = tag, began

    def _keep(self) -> None:
        while not self._end.wait(self._every):
            try:
                self.renew()
            except TakenOverError:
                return
            except StoreError:  # a bucket that is out of reach now: whoever writes is told by `check`
                continue

    def _release(self) -> None:
        if self._lost:
            return
        try:
            self.bucket.put_tagged(KEY, self._holder.to_json(self._beat, released=True), self._tag)
        except StoreError:  # it runs out
            return

    def _put(self, seen: str | None) -> str | None:
        self._beat += 1
        return self.bucket.put_tagged(KEY, self._holder.to_json(self._beat), seen)


class _Watch:
    """Looks at the lease of another run until it is known to live or to have ended."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket, self._tag, self._since, self._age = bucket, "", 0.0, 0.0

    def is_free(self, data: bytes, tag: str) -> bool:
        """Whether the lease may be taken over; a `HeldError` where its holder lives."""
        holder = Holder.read(data)
        lives = holder.lives()
        if holder.released or lives is False:
            return True
        if lives:
            raise HeldError(self._refusal(holder))
        if self._tag and tag != self._tag:
            raise HeldError(self._refusal(holder))
        if not self._tag:
            self._tag, self._since, self._age = tag, _now(), self._age_of_lease()
        left = (holder.term or TERM_SECONDS) + CLOCK_SECONDS - self._age - (_now() - self._since)
        if left > 0 and self._since + LOOK_SECONDS > _now():
            sys.stderr.write(f"{holder} held {self._bucket.address}; unless it is heard of, it ends in {left:.0f} s\n")
        return left <= 0

    def _refusal(self, holder: Holder) -> str:
        return f"{holder} is working on {self._bucket.address}; wait for it, or end it"

    def _age_of_lease(self) -> float:
        """Seconds since it was renewed, by the bucket's clock alone."""
        self._bucket.put_tagged(PROBE, uuid.uuid4().hex.encode(), self._bucket.get_tagged(PROBE)[1])
        now, then = self._bucket.modified(PROBE), self._bucket.modified(KEY)
        return max((now - then).total_seconds(), 0.0) if now and then else 0.0


def _now() -> float:
    """Seconds that go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
