"""A proxy before an S3 server that counts what it is asked, and fails as it is told."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from urllib.parse import parse_qs, urlsplit

ERROR = "<?xml version='1.0'?><Error><Code>{code}</Code><Message>told to</Message></Error>"
BUSY = {500: "InternalError", 503: "SlowDown", 403: "AccessDenied", 429: "TooManyRequests"}

Fault = Callable[[str, str], int | float | None]
"""Method and key -> a status to answer with, seconds to keep silent (negative: after the request was done), or None."""


def by_chance(seed: int, share: float) -> Fault:
    """Every so many requests a 500, a 503, or an answer that is lost after the request was done."""
    chance, lock = random.Random(seed), Lock()

    def fault(_method: str, _key: str) -> int | float | None:
        with lock:
            return chance.choice([500, 503, -0.0]) if chance.random() < share else None

    return fault


class Proxy(ThreadingHTTPServer):
    """Passes requests on to a server; ``fault`` says which of them fail, ``asked`` counts them."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, server: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.server = server.removeprefix("http://")
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.fault: Fault = lambda _method, _key: None
        self.latency = 0.0
        """Seconds before each request is passed on."""
        self.asked: Counter[str] = Counter()
        self.log: list[tuple[str, str]] = []
        self.stripped: set[str] = set()
        """Headers of requests that the server does not get to see."""
        self.answer = ""
        """What is written in answers of a failure; empty: the usual."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        split = urlsplit(self.path)
        key = split.path if "prefix" not in split.query else parse_qs(split.query).get("prefix", [""])[0]
        kind = "LIST" if self.command == "GET" and "list-type" in split.query else self.command
        self.server.asked[kind] += 1
        self.server.log.append((kind, key))
        time.sleep(self.server.latency)
        fault = self.server.fault(kind, key)
        if isinstance(fault, int):
            told = self.server.answer or ERROR.format(code=BUSY[fault])
            self._answer(fault, [("content-type", "application/xml")], told.encode())
            return
        if fault is not None and fault > 0:
            time.sleep(fault)
        connection = HTTPConnection(self.server.server, timeout=60)
        dropped = {"connection", *self.server.stripped}
        headers = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        if fault is not None:  # the server has done it, and nobody hears of it
            self.close_connection = True
            return
        kept = [
            (k, v)
            for k, v in answer.getheaders()
            if k.lower() not in ("connection", "transfer-encoding", "date", "server")
        ]
        self._answer(answer.status, kept, data)
        connection.close()

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _pass_on  # noqa: N815

    def _answer(self, status: int, headers: list[tuple[str, str]], data: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() != "content-length" or self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("content-length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def proxy_before(server: str) -> Iterator[Proxy]:
    """A proxy that listens."""
    proxy = Proxy(server)
    Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
