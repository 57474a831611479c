import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from insar_dask.viewer import bucket_answers
from insar_dask.viewer.bucket_answers import Answer, bucket_reader


class Replaced:
    """A bucket whose object becomes another one between the looks and the reads of four threads."""

    def __init__(self) -> None:
        self.tag = "old"
        self.looked = threading.Barrier(4, action=self.replace)

    def replace(self) -> None:
        self.tag = "new"

    def look_at(self, _: str) -> tuple[int, None, str]:
        return (100 if self.tag == "old" else 90), None, self.tag

    def get_part(self, _: str, first: int, stop: int, tag: str) -> bytes:
        if tag == "old":
            self.looked.wait(10)
        if tag != self.tag:
            raise OSError("it was replaced while it was read")
        return bytes(range(first, stop))


def test_many_threads_read_an_object_that_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_answers, "open_bucket", lambda *_, **__: Replaced())
    read = bucket_reader("s3://bucket/site.zarr")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: read("site/c/0", "bytes=-10", True), range(4)))
    assert answers == [Answer(206, 10, "bytes 80-89/90", bytes(range(80, 90)))] * 4
    assert read("site/c/0", "bytes=0-1", True).data == b"\x00\x01"
