"""Servers for tests: the explorer's own, and plain ones such as a user may have."""

import asyncio
import functools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from insar_dask.viewer.serve import Stores, application


@contextmanager
def explorer(store: Stores) -> Iterator[int]:
    """The port of the explorer's own server of a store."""
    sockets = bind_sockets(0, "127.0.0.1")
    loop, ended, ready = asyncio.new_event_loop(), asyncio.Event(), threading.Event()

    async def until_ended() -> None:
        server = HTTPServer(application(store))
        server.add_sockets(sockets)
        ready.set()
        await ended.wait()
        server.stop()
        await server.close_all_connections()

    thread = threading.Thread(target=loop.run_until_complete, args=(until_ended(),))
    thread.start()
    ready.wait(10)
    try:
        yield sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        loop.close()


def kept(page: Any, name: str) -> None:
    """Keep a picture of a page in the folder INSAR_DASK_SCREENSHOTS, if there is one, for people to look at."""
    if folder := os.environ.get("INSAR_DASK_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")


class Plain(SimpleHTTPRequestHandler):
    """Files of a folder, without ranges, as `python -m http.server` sends them."""

    protocol_version = "HTTP/1.1"

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")  # else the browser makes ranges of what it has kept
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        pass


class Ranged(Plain):
    """With absolute ranges; what asks for the end of a file is refused."""

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        path = Path(self.translate_path(self.path))
        if not wanted or not path.is_file():
            super().do_GET()
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        data = path.read_bytes()
        if not first:
            self.send_response(400)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        part = data[int(first) : int(last) + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}")
        self.end_headers()
        self.wfile.write(part)


@contextmanager
def plain(folder: Path, handler: Callable[..., SimpleHTTPRequestHandler]) -> Iterator[int]:
    """The port of a server of a folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
