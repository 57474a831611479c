"""The page and stores for this machine, by this machine: bytes are read and sent, nothing is computed."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import webbrowser
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tornado.httpserver import HTTPServer
from tornado.web import Application, HTTPError, RequestHandler, StaticFileHandler

from insar_dask.bucket_address import is_bucket
from insar_dask.viewer.page import PAGE, POLICY, STORE, origin_of, page_folder, page_text

if TYPE_CHECKING:
    from insar_dask.viewer.bucket_answers import Answer

__all__ = ["Stores", "application", "serve"]

HOST = "127.0.0.1"

Stores = str | Path | Mapping[str, str | Path]
"""One store, or the stores of a campaign by the names of their products."""


def serve(
    stores: Stores,
    port: int = 0,
    *,
    tiles: str | None = None,
    show: bool = True,
    told: Callable[[str], None] = print,
) -> None:
    """Serve the page of a store, or of many, until interrupted.

    Parameters
    ----------
    stores : str, Path or mapping
        Store that has an overview, a folder or ``s3://bucket/prefix``; or product -> store.
    port : int
        0: one that is free.
    tiles : str, optional
        Address of background images.
    show : bool
        Open the page in a browser.
    told : callable
        Is told the address, once the server answers.

    Raises
    ------
    OSError
        When the port is taken.
    """
    answers = application(stores, tiles)
    try:
        listening = socket.create_server((HOST, port))
    except OSError as error:
        raise OSError(f"port {port} of {HOST} cannot be had ({error}); give another with --port, or none") from error
    listening.setblocking(False)
    address = f"http://{HOST}:{listening.getsockname()[1]}/"

    async def forever() -> None:
        server = HTTPServer(answers)
        server.add_socket(listening)
        told(address)
        if show:
            await asyncio.to_thread(webbrowser.open, address)
        await asyncio.Event().wait()

    try:
        asyncio.run(forever())
    except KeyboardInterrupt:
        return


def application(stores: Stores, tiles: str | None = None) -> Application:
    """What answers: the page's files at ``/``, the stores' below ``/data.zarr/``, to requests for this machine only.

    A page of somebody else's whose name leads to 127.0.0.1 sends its own name as ``Host``, and gets 404.
    """
    policy = POLICY if tiles is None else POLICY.replace("img-src 'self'", f"img-src 'self' {origin_of(tiles)}")
    front = {"text": page_text(tiles=tiles), "kind": "text/html; charset=utf-8"}
    routes: list[tuple[str, type[RequestHandler], dict[str, Any]]] = [(r"/(?:index\.html)?", _Text, front)]
    routes += [(rf"/({re.escape(name)})", _Page, {"path": str(page_folder())}) for name in PAGE[1:]]
    if isinstance(stores, Mapping):
        from insar_dask.viewer.campaign_page import joined_index

        index = {"text": joined_index(stores), "kind": "application/json"}
        routes.append((rf"/{STORE}/explore/zarr\.json", _Text, index))
    for name, store in (stores if isinstance(stores, Mapping) else {"": stores}).items():
        place = rf"/{STORE}/{re.escape(quote(name))}{'/' if name else ''}(.+)"
        if is_bucket(store):
            from insar_dask.viewer.bucket_answers import bucket_reader

            routes.append((place, _Bucket, {"read": bucket_reader(str(store))}))
        else:
            routes.append((place, _Store, {"path": os.path.realpath(store)}))
    found = Application(policy=policy)
    found.add_handlers(r"(127\.0\.0\.1|localhost)", list(routes))
    return found


class _Guarded(RequestHandler):
    """What every answer says."""

    def set_default_headers(self) -> None:
        self.set_header("Content-Security-Policy", self.settings["policy"])
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-cache")
        self.clear_header("Server")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        error = kwargs.get("exc_info", (None, None))[1]
        told = status_code == 502 and isinstance(error, HTTPError) and error.args
        self.finish(f"{error.args[0] if told else status_code}\n")


class _Text(_Guarded):
    """A document that is made when the server starts."""

    def initialize(self, text: str, kind: str) -> None:
        self.text = text
        self.kind = kind

    def get(self) -> None:
        self.set_header("Content-Type", self.kind)
        self.finish(self.text)

    head = get


class _Page(_Guarded, StaticFileHandler):
    def compute_etag(self) -> str | None:
        """From size and time: the hash of a shard of 21 MB cost the first click 60 ms."""
        if not self.absolute_path:
            return None
        found = os.stat(self.absolute_path)  # noqa: PTH116
        return f'"{found.st_mtime_ns:x}-{found.st_size:x}"'

    def parse_url_path(self, url_path: str) -> str:
        if "\0" in url_path or "\\" in url_path:
            raise HTTPError(404)
        return super().parse_url_path(url_path)


class _Store(_Page):
    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        """The file, if it lies in the store with all links followed, and is no bookkeeping of its runs."""
        real = os.path.realpath(absolute_path)
        inside = Path(os.path.relpath(real, root)).parts or (".",)
        if inside[0] in ("..", ".", "jobs"):
            raise HTTPError(404)
        return super().validate_absolute_path(root, real)

    def get_content_type(self) -> str:
        return "application/json" if str(self.absolute_path).endswith(".json") else "application/octet-stream"


class _Bucket(_Guarded):
    """Objects of a bucket, whole or a range of bytes, with the credentials of this process."""

    def initialize(self, read: Callable[[str, str | None, bool], Answer]) -> None:
        self.read = read

    async def get(self, key: str) -> None:
        await self._answer(key, self.request.headers.get("Range"))

    async def head(self, key: str) -> None:
        await self._answer(key, None, body=False)

    async def _answer(self, key: str, wanted: str | None, *, body: bool = True) -> None:
        """What a store of files would answer."""
        try:
            found = await asyncio.to_thread(self.read, key, wanted, body)
        except FileNotFoundError:
            raise HTTPError(404) from None
        except OSError as error:
            raise HTTPError(502, "%s", error) from error
        self.set_status(found.status)
        self.set_header("Content-Type", "application/json" if key.endswith(".json") else "application/octet-stream")
        self.set_header("Accept-Ranges", "bytes")
        self.set_header("Content-Length", str(found.length))
        if found.range:
            self.set_header("Content-Range", found.range)
        self.finish(found.data)
