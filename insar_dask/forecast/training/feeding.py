"""Batches where the network computes: made there of what lies there, or sent some steps ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from threading import Lock
from typing import Protocol, runtime_checkable

import torch

from insar_dask.forecast.training.job import Batch, Windows
from insar_dask.forecast.training.together import Ranks

__all__ = ["Feed", "Pick", "QueuedFeed", "Stocked", "batch_bytes"]

AHEAD = 8
"""Steps whose batches are made before they are asked for; where each has its own stock, so many lie on the host."""

PATIENCE_SECONDS = 0.2

Tick = Callable[[], None]


@dataclass(frozen=True)
class Pick:
    """Which windows a batch has, of a stock that serves many of them."""

    key: Hashable
    """Of the stock: it is sent once for as long as this stays the same."""
    stock: Callable[[Tick], Batch]
    """Makes it, on the host; calls its argument now and then, for a sign of life."""
    taken: Batch
    """Small tensors that tell the windows."""
    gather: Callable[[Batch, Batch], Batch]
    """Makes the batch of stock and ``taken`` where these are, looking at none of their numbers."""


_Made = tuple[Pick | Batch, Batch]
"""A batch and nothing, or what picks it and the stock."""


@runtime_checkable
class Stocked(Protocol):
    """Windows whose batches can be gathered where the network is; for those who are `Windows` too."""

    def stock_bytes(self) -> int:
        """Of the largest stock."""

    def pick(self, step: int, rank: int, world: int) -> Pick:
        """What makes up the batch of a step, of which ``batch`` gives the same."""


class Feed:
    """Batches of a rank as the windows have them, on the host.

    Parameters
    ----------
    windows : Windows
    ranks : Ranks
    """

    def __init__(self, windows: Windows, ranks: Ranks) -> None:
        self.windows, self.rank, self.world = windows, ranks.rank, ranks.world

    def batch(self, step: int) -> Batch:
        """Share of this rank in the windows of a step."""
        return self.windows.batch(step, self.rank, self.world)

    def validation(self) -> Iterator[Batch]:
        """Share of this rank in the validation windows."""
        return self.windows.validation(self.rank, self.world)

    def close(self) -> None:
        """No more batches are wanted."""


class QueuedFeed(Feed):
    """The same on a device that is not waited for.

    Where the windows are `Stocked` and the stock fits, it is sent once, and batches are gathered there. All others are
    made by a thread some steps ahead, and sent from pinned memory while earlier steps compute. Validation batches,
    always the same ones, stay there where they fit.

    Parameters
    ----------
    windows : Windows
    ranks : Ranks
    device : torch.device
    room : int
        Bytes of the device that a stock may take, and as many that validation batches may.
    pulse : callable
        Called while a batch is waited for and its making goes on.
    note : callable
        Is told where the stock does not fit.
    """

    def __init__(
        self,
        windows: Windows,
        ranks: Ranks,
        device: torch.device,
        room: int,
        pulse: Callable[[], None] = lambda: None,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(windows, ranks)
        self.device, self.room, self.pulse = device, room, pulse
        self.on_gpu = device.type == "cuda"
        self.stocked = self._stocked(note)
        self.lock = Lock()
        """Windows know one caller at a time: the thread, or whoever wants validation batches."""
        self.thread = ThreadPoolExecutor(1, "windows", self._begin)
        self.coming: deque[tuple[int, Future[_Made]]] = deque()
        self.there: tuple[Hashable, Batch] = None, {}
        """The stock on the device, and its key."""
        self.here: tuple[Hashable, Batch] = None, {}
        """The newest stock on the host until it is sent, and its key."""
        self.checked: list[Batch] = []
        self.ticks = 0

    def batch(self, step: int) -> Batch:
        """Share of this rank in the windows of a step."""
        made, stock = self._made(step)
        if not isinstance(made, Pick):
            return self._sent(made)
        if self.there[0] != made.key:
            self.there = None, {}  # before the next one comes
            self.there = made.key, self._sent(stock)
            stock.clear()  # nor is it needed on the host any more
        return made.gather(self.there[1], self._sent(made.taken))

    def validation(self) -> Iterator[Batch]:
        """Share of this rank in the validation windows."""
        if self.checked:
            yield from self.checked
            return
        kept, size, batches = [], 0, self.windows.validation(self.rank, self.world)
        while True:
            with self.lock:
                batch = next(batches, None)
            if batch is None:
                break
            there = self._sent(self._pinned(batch))
            size += batch_bytes(batch)
            if size <= self.room:
                kept.append(there)
            yield there
        self.checked = kept if size <= self.room else []

    def close(self) -> None:
        """Stop making batches, and leave nothing on the device."""
        self.thread.shutdown(wait=True, cancel_futures=True)
        self.there, self.here, self.checked = (None, {}), (None, {}), []
        self.coming.clear()

    def _stocked(self, note: Callable[[str], None]) -> Stocked | None:
        if not isinstance(self.windows, Stocked):
            return None
        needed = self.windows.stock_bytes()
        if needed <= self.room:
            return self.windows
        note(
            f"what batches are gathered from takes {needed / 1e9:.3g} GB, and {self.room / 1e9:.3g} GB of "
            f"{self.device} may be its own: batches are made on the host"
        )
        return None

    def _begin(self) -> None:
        """On the thread, once: pinned memory is asked for in the name of a device."""
        if self.on_gpu:
            torch.cuda.set_device(self.device)

    def _made(self, step: int) -> _Made:
        """What the thread has made of a step; waits for it, and shows life as long as the thread does."""
        while self.coming and self.coming[0][0] != step:
            self.coming.popleft()[1].cancel()
        for ahead in range(step + len(self.coming), step + AHEAD):
            self.coming.append((ahead, self.thread.submit(self._make, ahead)))
        _, future = self.coming.popleft()
        seen = self.ticks
        while not wait([future], PATIENCE_SECONDS).done:
            if self.ticks != seen:
                seen = self.ticks
                self.pulse()
        return future.result()

    def _make(self, step: int) -> _Made:
        """On the thread: the batch of a step in pinned memory, or what it is picked from."""
        with self.lock:
            if self.stocked is None:
                return self._pinned(self.windows.batch(step, self.rank, self.world)), {}
            pick = self.stocked.pick(step, self.rank, self.world)
            if self.here[0] != pick.key:
                self.here = None, {}
                self.here = pick.key, self._pinned(pick.stock(self._tick))
            return replace(pick, taken=self._pinned(pick.taken)), self.here[1]

    def _tick(self) -> None:
        self.ticks += 1

    def _pinned(self, batch: Batch) -> Batch:
        return {name: tensor.pin_memory() for name, tensor in batch.items()} if self.on_gpu else batch

    def _sent(self, batch: Batch) -> Batch:
        return {name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()}


def batch_bytes(batch: Batch) -> int:
    """Bytes of the tensors of a batch."""
    return sum(tensor.numel() * tensor.element_size() for tensor in batch.values())
