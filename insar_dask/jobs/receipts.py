"""What is done: one receipt a shard and target, written after the data, compacted into books of about a thousand.

Nothing is forced to the disk: fsync costs 1 to 4 ms a receipt and 4 to 8 ms per 10 MB of data, measured on a virtual
disk. A killed process loses nothing by it. A power cut may leave files of the last half minute empty, cut off or full
of zeros, in any order: receipts and notes bear seals, states are named by their hash, and data have their checksum in
the receipt, so `verify` finds each of them and the next run makes them again.
"""

from __future__ import annotations

import hashlib
import json
import math
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
from zarr.abc.store import Store

from insar_dask.jobs.seals import pack, parsed, sealed, unpack, unsealed
from insar_dask.objects import delete_all, get_bytes, get_many, get_seen, list_keys, put_bytes, put_if, size_of

__all__ = ["Claim", "Ledger", "Receipt", "SupersededError"]

BOOK_RECEIPTS = 1000
MOST = 1 << 63
"""Shards, points and bytes: of more nobody has written a receipt."""

ROOT = "jobs/receipts"
STATES = "jobs/states"
PARTIALS = "jobs/partials"
HISTORY = "jobs/history"
"""What `insar_dask.jobs.progress.history` writes, to be looked at and nothing else."""


class SupersededError(RuntimeError):
    """A task would write what a later run has made; it is its driver that is gone."""


@dataclass(frozen=True)
class Receipt:
    """That shard ``index`` of a target holds ``size`` bytes with ``checksum``, made as ``key`` says."""

    index: int
    key: str
    checksum: str
    size: int
    points: int
    seconds: float = 0.0
    worker: str = ""
    box: tuple[int, ...] = ()
    """West, south, east and north of the points of a raw cube [m]; empty where nobody said."""

    @classmethod
    def sign(
        cls, index: int, key: str, stored: tuple[str, int], points: int, began: float, box: tuple[int, ...] = ()
    ) -> Receipt:
        """Receipt of what is ``stored`` (checksum, bytes), by this host, timed since ``began`` (perf_counter)."""
        seconds = round(time.perf_counter() - began, 4)
        return cls(index, key, *stored, points, seconds, socket.gethostname(), box)

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Receipt:
        """The receipt that JSON holds; TypeError where it is none."""
        return cls(**{**values, "box": tuple(values.get("box", ()))})

    def is_sound(self) -> bool:
        """Whether it may be one that was read: a seal proves what was written, not who wrote it."""
        counts, words = (self.index, self.size, self.points), (self.key, self.checksum, self.worker)
        whole = all(type(count) is int and 0 <= count < MOST for count in counts)
        timed = type(self.seconds) in (int, float) and math.isfinite(self.seconds)
        placed = len(self.box) in (0, 4) and all(type(edge) is int and abs(edge) < MOST for edge in self.box)
        return whole and timed and placed and all(type(word) is str for word in words)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; a box that is not known is left out."""
        values = dict(vars(self))
        if not self.box:
            del values["box"]
        return values

    def to_json(self) -> bytes:
        """At most 1 KB."""
        return json.dumps(sealed(self.to_dict()), sort_keys=True).encode()


@dataclass(frozen=True)
class Claim:
    """How the receipt and the book of a shard were when a task found that it may write it."""

    receipt: str | None
    book: str | None


@dataclass(frozen=True)
class Ledger:
    """Receipts, partial results and states of one store. Needs no scheduler and no driver."""

    store: Store

    def done(self, target: str) -> dict[int, Receipt]:
        """Receipts of a target by shard: the books, overridden by what came after them."""
        books, loose = self._keys(target)
        return self._read(books + loose)

    def write(self, target: str, receipt: Receipt, claim: Claim | None = None) -> None:
        """Say that a shard is done; to be called after its data are stored.

        A task gives the claim that it had before. Where the shard has become another run's meanwhile, the data that the
        task has just stored may have replaced what that run made: then the shard is not done, whosever it is.

        Raises
        ------
        SupersededError
            When the claim holds no more.
        """
        loose, data = _loose(target, receipt.index), receipt.to_json()
        if claim is None:
            put_bytes(self.store, loose, data)
            return
        if put_if(self.store, loose, data, claim.receipt):
            # a later run may have bound its receipts into the book, and removed them
            book, seen = self._book(target, receipt.index)
            if seen == claim.book or _key_of(receipt.index, _receipts(book)) in ("", receipt.key):
                return
        else:
            found = _receipts(get_bytes(self.store, loose))
            if found and (found[0].key, found[0].checksum) == (receipt.key, receipt.checksum):
                return  # another task made the same
        self.revoke(target, [receipt.index])
        raise SupersededError(_outlived(target, receipt.index))

    def check_free(self, target: str, index: int, key: str) -> Claim:
        """Raise `SupersededError` where a shard has a receipt of another key; to be called before its data are stored.

        A run revokes what has another key before its first task. So what has one now is of a later run, and the caller
        a task that outlived its driver. Returns what `write` wants.
        """
        data, seen = get_seen(self.store, _loose(target, index))
        book, book_seen = self._book(target, index)
        if _key_of(index, _receipts(data) or _receipts(book)) not in ("", key):
            raise SupersededError(_outlived(target, index))
        return Claim(seen, book_seen)

    def find(self, target: str, index: int) -> Receipt | None:
        """The receipt of one shard, loose or in its book; None where it has none, or it was revoked."""
        loose = _receipts(get_bytes(self.store, _loose(target, index)))
        found = loose or _receipts(self._book(target, index)[0])
        return next((receipt for receipt in found if receipt.index == index and receipt.key), None)

    def _book(self, target: str, index: int) -> tuple[bytes | None, str | None]:
        return get_seen(self.store, f"{ROOT}/{target}/book-{index // BOOK_RECEIPTS:06d}.json")

    def revoke(self, target: str, indices: Iterable[int]) -> None:
        """Say that shards are not done: a receipt without a key overrides the book."""
        for index in indices:
            self.write(target, Receipt(index, "", "", 0, 0))

    def supersede(self, target: str, keys: Mapping[int, str]) -> None:
        """Revoke what has another key than the wanted one of its shard, or is no shard any more.

        To be called before the first shard is written: else a run that is killed leaves a mixture of two cubes, or of
        two parameters, of which every shard looks done.
        """
        self.revoke(target, [index for index, receipt in self.done(target).items() if receipt.key != keys.get(index)])

    def forget(self, target: str) -> None:
        """Remove all receipts of a target; those of targets below it stay."""
        books, loose = self._keys(target)
        delete_all(self.store, books + loose)

    def compact(self, target: str) -> dict[int, Receipt]:
        """Bind loose receipts into books; a receipt is removed only after its book is stored.

        Returns what `done` would; of a target that has no loose receipts nothing is read, and nothing returned.
        """
        books, loose = self._keys(target)
        if not loose:
            return {}
        receipts = self._read(books + loose)
        for number in sorted({int(_name(key)) // BOOK_RECEIPTS for key in loose}):
            book = [sealed(r.to_dict()) for index, r in receipts.items() if index // BOOK_RECEIPTS == number]
            data = json.dumps(book, sort_keys=True).encode()
            put_bytes(self.store, f"{ROOT}/{target}/book-{number:06d}.json", data)
        delete_all(self.store, loose)
        return receipts

    def _read(self, keys: Sequence[str]) -> dict[int, Receipt]:
        """Receipts of books, and of what came after them."""
        found: dict[int, Receipt] = {}
        for data in get_many(self.store, keys):
            found.update((receipt.index, receipt) for receipt in _receipts(data))
        return {index: receipt for index, receipt in sorted(found.items()) if receipt.key}

    def _keys(self, target: str) -> tuple[list[str], list[str]]:
        """Where the books of a target lie, and its loose receipts."""
        folder = f"{ROOT}/{target}"
        keys = [key for key in list_keys(self.store, f"{folder}/") if key.rpartition("/")[0] == folder]
        return [key for key in keys if not _name(key).isdecimal()], [key for key in keys if _name(key).isdecimal()]

    # --- partial results of reductions, and the states made of them ---------------------------------------------------

    def write_partial(self, target: str, index: int, arrays: Mapping[str, npt.NDArray[Any]]) -> tuple[str, int]:
        """Store the small arrays of one shard; returns their checksum and bytes."""
        data = pack(arrays)
        put_bytes(self.store, partial_key(target, index), data)
        return hashlib.sha256(data).hexdigest(), len(data)

    def read_partial(self, target: str, index: int) -> dict[str, npt.NDArray[Any]]:
        """The arrays that ``write_partial`` stored."""
        data = get_bytes(self.store, partial_key(target, index))
        if data is None:
            raise FileNotFoundError(f"{partial_key(target, index)} is gone; run again to rebuild it")
        return unpack(data)

    def checksum_partial(self, target: str, index: int) -> str:
        """Checksum of a stored partial, empty when it is gone."""
        data = get_bytes(self.store, partial_key(target, index))
        return "" if data is None else hashlib.sha256(data).hexdigest()

    def write_state(self, arrays: Mapping[str, npt.NDArray[Any]]) -> str:
        """Store arrays under their own hash, which is returned."""
        data = pack(arrays)
        name = hashlib.sha256(data).hexdigest()
        if get_bytes(self.store, f"{STATES}/{name}.npz") != data:
            put_bytes(self.store, f"{STATES}/{name}.npz", data)
        return name

    def read_state(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """The arrays stored under a hash; a state whose bytes do not have that hash is an error."""
        data = get_bytes(self.store, f"{STATES}/{name}.npz")
        if data is None or hashlib.sha256(data).hexdigest() != name:
            raise FileNotFoundError(f"{STATES}/{name}.npz is missing or damaged; run again to rebuild it")
        return unpack(data)

    def state_bytes(self, name: str) -> int:
        """Size of the arrays stored under a hash, packed."""
        return size_of(self.store, f"{STATES}/{name}.npz")

    def write_note(self, name: str, content: Mapping[str, Any]) -> None:
        """Keep a sealed JSON document beside the receipts."""
        put_bytes(self.store, f"jobs/{name}.json", json.dumps(sealed(content), indent=1, sort_keys=True).encode())

    def read_note(self, name: str) -> dict[str, Any] | None:
        """The JSON document of that name; None where there is none, or not the one that was written."""
        return _unsealed(get_bytes(self.store, f"jobs/{name}.json"))

    def notes(self) -> list[str]:
        """Keys of all notes."""
        return [key for key in list_keys(self.store, "jobs/") if _is_note(key)]

    def damaged(self) -> list[str]:
        """Books, receipts, states and notes that are not what was written; partials have receipts of their own."""
        return [key for key in list_keys(self.store, "jobs/") if not self._sound(key)]

    def _sound(self, key: str) -> bool:
        if key.startswith(f"{ROOT}/"):
            return _entries(get_bytes(self.store, key)) == len(_receipts(get_bytes(self.store, key)))
        if key.startswith(f"{STATES}/"):
            return hashlib.sha256(get_bytes(self.store, key) or b"").hexdigest() == _name(key).removesuffix(".npz")
        return not _is_note(key) or _unsealed(get_bytes(self.store, key)) is not None


def _is_note(key: str) -> bool:
    elsewhere = key.startswith((f"{ROOT}/", f"{STATES}/", f"{PARTIALS}/", f"{HISTORY}/"))
    return key.endswith(".json") and not key.endswith("/zarr.json") and not elsewhere


def _key_of(index: int, receipts: Iterable[Receipt]) -> str:
    """Key of a shard in some receipts; empty where it has none."""
    return next((receipt.key for receipt in receipts if receipt.index == index), "")


def _outlived(target: str, index: int) -> str:
    return f"shard {index} of {target} is of a later run; this task has outlived its own"


def _loose(target: str, index: int) -> str:
    return f"{ROOT}/{target}/{index:06d}.json"


def _name(key: str) -> str:
    return key.rpartition("/")[2].removesuffix(".json")


def _receipts(data: bytes | None) -> list[Receipt]:
    """Receipts of a loose object or a book; what is not as it was written proves nothing, and is none."""
    try:
        found = [unsealed(entry) for entry in _listed(data)]
        return [receipt for entry in found if entry is not None and (receipt := Receipt.read(entry)).is_sound()]
    except (ValueError, TypeError):
        return []


def _entries(data: bytes | None) -> int:
    """Number of receipts that an object holds, sound or not; -1 where it cannot be read."""
    try:
        return len(_listed(data))
    except ValueError:
        return -1


def _listed(data: bytes | None) -> list[Any]:
    entries = parsed(b"[]" if data is None else data)
    return entries if isinstance(entries, list) else [entries]


def _unsealed(data: bytes | None) -> dict[str, Any] | None:
    try:
        return unsealed(parsed(data or b"null"))
    except ValueError:
        return None


def partial_key(target: str, index: int) -> str:
    """Where the partial of a shard lies."""
    return f"{target}/{index:06d}.npz"
