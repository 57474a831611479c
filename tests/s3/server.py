"""An S3 server of a test's own: moto's, in a process by itself."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.error import URLError
from urllib.request import Request, urlopen


@contextmanager
def s3_server() -> Iterator[str]:
    """Address of a server that holds nothing."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while not _answers(url):
            assert server.poll() is None and time.monotonic() < deadline, "the S3 server did not start"
            time.sleep(0.1)
        yield url
    finally:
        server.kill()
        server.wait()


def make_bucket(server: str, name: str) -> None:
    """Make an empty bucket."""
    with urlopen(Request(f"{server}/{name}", method="PUT"), timeout=60):
        pass


def _answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/moto-api/", timeout=5):
            return True
    except (URLError, ConnectionError, TimeoutError):
        return False
