"""Stores in a bucket: what Zarr asks of a store, conditional puts beside it, and failures told in our words."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, Self, TypeVar

from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
from zarr.core.common import concurrent_map
from zarr.core.sync import sync
from zarr.storage import ObjectStore

from insar_dask.store_errors import StoreError, meaning_of

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest

__all__ = ["AT_ONCE", "Bucket", "gathered", "guarded"]

Answer = TypeVar("Answer")

AT_ONCE = 32
"""Requests to a bucket that are on their way together."""

_GUARDS: dict[str, list[Callable[[], None]]] = {}
"""Of stores by address but for options, which may differ for one store: then all are called."""


class Bucket(ObjectStore[Any]):
    """A Zarr store in a bucket, which travels as its address and tells its failures as `StoreError`."""

    def __init__(self, store: Any, address: str, *, read_only: bool = False) -> None:
        super().__init__(store, read_only=read_only)
        self.address = address

    def __reduce__(self) -> Any:
        """Its address, with which a worker opens it for itself: no credentials travel."""
        from insar_dask.bucket_opening import open_bucket

        return open_bucket, (self.address, self.read_only)

    def __str__(self) -> str:
        return self.address

    def with_read_only(self, read_only: bool = False) -> Self:
        """The same bucket, to be read alone or not."""
        return type(self)(self.store, self.address, read_only=read_only)

    def check_writable(self) -> None:
        """Raise where this process no longer holds the store."""
        for check in tuple(_GUARDS.get(self.address.partition("?")[0], ())):  # none on a worker: see receipts
            check()

    def meant(self, error: Exception, verb: str, key: str) -> StoreError:
        """What a failure of the bucket means; any other error is raised again."""
        missing = isinstance(error, FileNotFoundError) and not self._is_absent(error)
        if missing or type(error).__module__.startswith("obstore"):
            return meaning_of(error, verb, key, self.address)
        raise error

    def _asked(self, verb: str, key: str, ask: Callable[[], Answer]) -> Answer:
        try:
            return ask()
        except Exception as error:
            meant = self.meant(error, verb, key)
        raise meant  # out here: nothing of what the server said, which may name a key, hangs on it

    def _if_there(self, key: str, ask: Callable[[], Answer]) -> Answer | None:
        """What is asked of an object; None where there is none."""

        def found() -> Answer | None:
            try:
                return ask()
            except FileNotFoundError as error:
                if self._is_absent(error):
                    return None
                raise

        return self._asked("read", key, found)

    async def _ask(self, verb: str, key: str, answer: Awaitable[Answer]) -> Answer:
        try:
            return await answer
        except Exception as error:
            meant = self.meant(error, verb, key)
        raise meant

    def put(self, key: str, data: bytes | IO[bytes], part: int) -> None:
        """Write an object at once, one of a file in parts of so many bytes."""
        import obstore

        self.check_writable()
        whole = isinstance(data, bytes)
        self._asked(
            "write",
            key,
            lambda: obstore.put(self.store, key, data, use_multipart=not whole, chunk_size=part, max_concurrency=2),
        )

    def put_if(self, key: str, data: bytes, seen: str | None) -> bool:
        """Write an object if it is still as it was seen (its tag; None: absent); whether it is what now lies there."""
        self.check_writable()
        return self.put_tagged(key, data, seen) is not None

    def put_tagged(self, key: str, data: bytes, seen: str | None) -> str | None:
        """As `put_if`, whoever holds the store; returns the tag of what was written."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        meant = None
        try:
            put = obstore.put(self.store, key, data, mode="create" if seen is None else {"e_tag": seen})
            return put["e_tag"] or ""
        except (AlreadyExistsError, PreconditionError):
            pass
        except Exception as error:
            meant = self.meant(error, "write", key)
        if meant is not None:
            raise meant
        # an attempt whose answer was lost may have been the one that wrote it
        found, tag = self.get_tagged(key)
        return tag if found == data else None

    def modified(self, key: str) -> datetime | None:
        """When an object was written, by the bucket's clock; None where there is none."""
        found = self.look_at(key)
        return found and found[1]

    def look_at(self, key: str) -> tuple[int, datetime, str | None] | None:
        """Bytes of an object, its date and its tag; None where there is none."""
        import obstore

        def look() -> tuple[int, datetime, str | None]:
            found = obstore.head(self.store, key)
            return found["size"], found["last_modified"], found["e_tag"]

        return self._if_there(key, look)

    def get_part(self, key: str, first: int, stop: int, tag: str | None) -> bytes | None:
        """Some bytes of an object, or None; StoreError where it is another one than had the tag."""
        import obstore

        options: Any = {"range": (first, stop)} | ({"if_match": tag} if tag else {})
        return self._if_there(key, lambda: bytes(obstore.get(self.store, key, options=options).bytes()))

    def get_tagged(self, key: str) -> tuple[bytes | None, str | None]:
        """Whole object, or None, and its tag."""
        data, stamp = self.get_stamped(key)
        return data, stamp and stamp[0]

    def get_stamped(self, key: str) -> tuple[bytes | None, tuple[str | None, datetime] | None]:
        """Whole object, or None, its tag and its date."""
        import obstore

        def whole() -> tuple[bytes, tuple[str | None, datetime]]:
            found = obstore.get(self.store, key)
            return bytes(found.bytes()), (found.meta["e_tag"], found.meta["last_modified"])

        return self._if_there(key, whole) or (None, None)

    def stream(self, key: str, block: int) -> tuple[int, Iterator[bytes]] | None:
        """Size of an object and its bytes as they come; None where there is none."""
        import obstore

        found = self._if_there(key, lambda: obstore.get(self.store, key))
        return None if found is None else (found.meta["size"], self._blocks(found, key, block))

    def _blocks(self, found: Any, key: str, block: int) -> Iterator[bytes]:
        try:
            yield from map(bytes, found.stream(min_chunk_size=block))
            return
        except Exception as error:
            meant = self.meant(error, "read", key)
        raise meant

    def delete_all(self, keys: Sequence[str]) -> None:
        """Remove objects, a thousand a request."""
        import obstore

        self.check_writable()
        self._asked("delete", next(iter(keys), ""), lambda: obstore.delete(self.store, keys))

    @staticmethod
    def _is_absent(error: Exception) -> bool:
        return isinstance(error, FileNotFoundError) and "NoSuchBucket" not in str(error)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """As of every Zarr store."""
        return await self._ask("read", key, self._get(key, prototype, byte_range))

    async def _get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None) -> Buffer | None:
        import obstore

        if byte_range is not None:
            return await super().get(key, prototype, byte_range)
        try:  # Zarr's own takes a missing bucket for a missing object
            answer = await obstore.get_async(self.store, key)
            return prototype.buffer.from_bytes(await answer.bytes_async())  # type: ignore[arg-type]
        except FileNotFoundError as error:
            if self._is_absent(error):
                return None
            raise

    async def exists(self, key: str) -> bool:
        """As of every Zarr store."""
        return await self._ask("read", key, super().exists(key))

    async def set(self, key: str, value: Buffer) -> None:
        """As of every Zarr store."""
        self.check_writable()
        await self._ask("write", key, super().set(key, value))

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """As of every Zarr store."""
        self.check_writable()
        await self._ask("write", key, super().set_if_not_exists(key, value))

    async def delete(self, key: str) -> None:
        """As of every Zarr store."""
        self.check_writable()
        await self._ask("delete", key, super().delete(key))

    async def delete_dir(self, prefix: str) -> None:
        """As of every Zarr store, a thousand objects a request."""
        import obstore

        found = [key async for key in self.list_prefix(f"{prefix}/" if prefix else "")]
        self.check_writable()
        if found:
            await self._ask("delete", prefix, obstore.delete_async(self.store, found))

    async def list_prefix(self, prefix: str) -> AsyncGenerator[str, None]:
        """As of every Zarr store."""
        for key in await self._ask("list", prefix, self._sizes(prefix)):
            yield key

    async def files(self) -> Sequence[str]:
        """Names of the objects right below, a thousand a request; what lies deeper is not listed."""
        import obstore

        async def names() -> list[str]:
            found = await obstore.list_with_delimiter_async(self.store)
            return [one["path"] for one in found["objects"]]

        return await self._ask("list", "", names())

    async def sizes(self, prefix: str) -> dict[str, int]:
        """Bytes of every object below a prefix, a thousand a request."""
        return await self._ask("list", prefix, self._sizes(prefix))

    async def _sizes(self, prefix: str) -> dict[str, int]:
        return {entry["path"]: entry["size"] async for entry in self._list(prefix)}

    async def list(self) -> AsyncGenerator[str, None]:
        """As of every Zarr store."""
        async for key in self.list_prefix(""):
            yield key

    async def list_dir(self, prefix: str) -> AsyncGenerator[str, None]:
        """As of every Zarr store."""
        for name in await self._ask("list", prefix, self._names(prefix)):
            yield name

    async def _names(self, prefix: str) -> Sequence[str]:
        return [name async for name in super().list_dir(prefix)]

    async def getsize(self, key: str) -> int:
        """As of every Zarr store."""
        return await self._ask("read", key, super().getsize(key))


def gathered(
    get: Callable[[str, BufferPrototype], Coroutine[Any, Any, Buffer | None]], keys: Sequence[str]
) -> list[bytes | None]:
    """Whole objects under some keys by a store's ``get``, so many at a time that nobody waits for each."""
    found = sync(concurrent_map([(key, default_buffer_prototype()) for key in keys], get, limit=AT_ONCE))
    return [None if data is None else data.to_bytes() for data in found]


@contextmanager
def guarded(address: str, check: Callable[[], None]) -> Iterator[None]:
    """Have ``check`` called before each write of this process to a store; it raises where none may happen."""
    place = address.partition("?")[0]  # however one gets there
    guards = _GUARDS.setdefault(place, [])
    guards.append(check)
    try:
        yield
    finally:
        guards.remove(check)
