"""The page and a store on this machine, for this machine: files are read and sent, nothing is computed."""

from __future__ import annotations

import asyncio
import os
import socket
import webbrowser
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.web import Application, HTTPError, StaticFileHandler

from insar_dask.bucket_address import is_bucket
from insar_dask.cube import CubeError

__all__ = ["POLICY", "application", "page_folder", "serve"]

HOST = "127.0.0.1"

POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""No text of a store can become a script, and none of it goes anywhere else."""

PAGE = ("index.html", "app.js", "app.css", "LICENSES.txt")
STORE = "data.zarr"


def serve(store: str | Path, port: int = 0, *, show: bool = True, told: Callable[[str], None] = print) -> None:
    """Serve the page of a store until interrupted.

    Parameters
    ----------
    store : str or Path
        Folder of a store that has an overview.
    port : int
        0: one that is free.
    show : bool
        Open the page in a browser.
    told : callable
        Is told the address, once the server answers.

    Raises
    ------
    CubeError
        When the store is in a bucket.
    OSError
        When the port is taken.
    """
    answers = application(store)
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


def application(store: str | Path) -> Application:
    """What answers: the page's files at ``/``, the store's below ``/data.zarr/``, to requests for this machine only.

    A page of somebody else's whose name leads to 127.0.0.1 sends its own name as ``Host``, and gets 404.
    """
    if is_bucket(store):
        raise CubeError(
            f"{store} is in a bucket, which this page is not served from: export it with --export DIR, "
            "or with --export DIR --store URL where the bucket can be read over HTTP"
        )
    root = os.path.realpath(store)
    page = [(rf"/({name.replace('.', chr(92) + '.')})", _Page, {"path": str(page_folder())}) for name in PAGE]
    found = Application()
    found.add_handlers(
        r"(127\.0\.0\.1|localhost)",
        [
            (r"/()", _Page, {"path": str(page_folder()), "default_filename": "index.html"}),
            *page,
            (rf"/{STORE}/(.+)", _Store, {"path": root}),
        ],
    )
    return found


def page_folder() -> Path:
    """Where the built page lies."""
    return Path(str(files("insar_dask.viewer").joinpath("static")))


class _Page(StaticFileHandler):
    def set_default_headers(self) -> None:
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-cache")
        self.clear_header("Server")

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

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code}\n")


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
