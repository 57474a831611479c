"""What a bucket fails in is told by cause and cure, in a bounded time, and without anybody's key."""

import re
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import xarray as xr

from insar_dask import bucket_opening
from insar_dask.jobs.engine import JobError
from insar_dask.jobs.receipts import Ledger, Receipt, SupersededError
from insar_dask.objects import (
    delete_all,
    get_blocks,
    get_bytes,
    get_many,
    get_seen,
    list_keys,
    list_names,
    open_store,
    put_blocks,
    put_bytes,
    put_each,
    put_if,
    size_of,
)
from insar_dask.store_errors import StoreError, TransientStoreError
from tests.s3.conftest import KEY_ID, SECRET
from tests.s3.faulty import ERROR, Proxy
from tests.s3.runs import run

READS: list[Callable[[Any], Any]] = [
    lambda store: get_bytes(store, "x"),
    lambda store: get_seen(store, "x"),
    lambda store: get_many(store, ["x", "y"]),
    lambda store: list(get_blocks(store, "x") or ()),
    lambda store: list_keys(store, "a/"),
    lambda store: list_names(store, "a"),
]
WRITES: list[Callable[[Any], Any]] = [
    lambda store: put_bytes(store, "x", b"1"),
    lambda store: put_if(store, "x", b"1", None),
    lambda store: put_blocks(store, "x", [b"1"]),
    lambda store: delete_all(store, ["x"]),
]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few retries, and little patience."""
    backoff = {"init_backoff": timedelta(milliseconds=1), "max_backoff": timedelta(milliseconds=2), "base": 2}
    monkeypatch.setattr(bucket_opening, "RETRIES", {**bucket_opening.RETRIES, "max_retries": 2, "backoff": backoff})
    monkeypatch.setattr(bucket_opening, "REQUEST_SECONDS", 0.2)
    monkeypatch.setenv("AWS_STS_ENDPOINT", "http://hasty.invalid")  # else the store is one that others opened


def refusal(kind: type[StoreError], call: Callable[[Any], Any], store: Any) -> str:
    with pytest.raises(kind) as caught:
        call(store)
    assert type(caught.value) is kind
    told = "".join(traceback.format_exception(caught.value))
    assert SECRET not in told and KEY_ID not in told
    assert caught.value.__context__ is None and caught.value.__cause__ is None
    return str(caught.value)


@pytest.mark.parametrize("call", READS + WRITES)
def test_a_bucket_that_is_not_there(call: Callable[[Any], Any], address: str) -> None:
    missing = open_store(re.sub("test-", "none-", address))
    told = refusal(StoreError, call, missing)
    assert "there is no such bucket (NoSuchBucket); create it" in told and str(missing) in told


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        ("InvalidAccessKeyId", "set AWS_ACCESS_KEY_ID"),
        ("SignatureDoesNotMatch", "the secret key does not fit"),
        ("AccessDenied", "grant s3:GetObject"),
        ("ExpiredToken", "renew them"),
    ],
)
def test_credentials_that_are_refused(code: str, cure: str, address: str, proxy: Proxy) -> None:
    proxy.answer = ERROR.format(code=code).replace("<Message>", f"<AWSAccessKeyId>{KEY_ID}</AWSAccessKeyId><Message>")
    proxy.fault = lambda _kind, _key: 403
    for call in (READS[0], READS[3], WRITES[1], WRITES[2]):
        assert cure in refusal(StoreError, call, open_store(address))


@pytest.mark.parametrize(("status", "said"), [(500, "500 InternalError"), (503, "503 SlowDown"), (429, "429 TooMany")])
@pytest.mark.usefixtures("hasty")
def test_a_server_that_is_too_busy_for_too_long(status: int, said: str, address: str, proxy: Proxy) -> None:
    proxy.fault = lambda _kind, _key: status
    for call in (*READS, *WRITES):
        told = refusal(TransientStoreError, call, open_store(address))
        assert f"the server answered {said}" in told and "3 times; run again" in told


@pytest.mark.usefixtures("hasty")
def test_a_server_that_does_not_answer(address: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy.fault = lambda _kind, _key: 0.5
    assert "no answer in time to 3 requests" in refusal(TransientStoreError, READS[0], open_store(address))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert "look at the network and the endpoint" in refusal(TransientStoreError, WRITES[0], open_store(address))


def test_a_run_without_the_right_to_write_says_so(address: str, proxy: Proxy, cube: xr.Dataset) -> None:
    proxy.fault = lambda kind, _key: 403 if kind == "PUT" else None
    with pytest.raises(StoreError, match=r"cannot write jobs/lease in s3://.*\(AccessDenied\); grant"):
        run(address, cube)
    proxy.fault = lambda kind, key: 403 if kind == "PUT" and "/c/2" in key else None
    with pytest.raises(JobError, match=r"shard 2: .*cannot write site/raw/.*/c/2.*grant"):
        run(address, cube)


def test_a_large_object_goes_in_parts_and_comes_in_blocks(address: str, proxy: Proxy) -> None:
    store = open_store(address)
    size, there = put_blocks(store, "x/c/0", (bytes([k]) * 1_000_000 for k in range(20)))
    assert size == size_of(store, "x/c/0") == 20_000_000
    assert sum(kind == "PUT" for kind, _ in proxy.log) == 3
    _, again = get_blocks(store, "x/c/0") or (0, ())
    blocks = list(again)
    assert b"".join(there) == b"".join(blocks) and max(map(len, blocks)) < 4_000_000


def test_objects_go_together_and_are_told_in_order(address: str, proxy: Proxy) -> None:
    store, proxy.latency = open_store(address), 0.02
    put_bytes(store, "x/1", b"old")
    told = [
        stored and (stored[0], b"".join(stored[1]))
        for stored in put_each(store, [(f"x/{k}", None if k == 1 else [bytes([k])] * k) for k in range(16)])
    ]
    assert told == [None if k == 1 else (k, bytes([k]) * k) for k in range(16)]
    assert list_keys(store, "x/") == sorted(f"x/{k}" for k in range(16) if k != 1)


def test_where_one_object_fails_those_on_their_way_end_first_and_no_other_begins(address: str, proxy: Proxy) -> None:
    store = open_store(address)
    proxy.fault = lambda kind, key: 403 if kind == "PUT" and key.endswith("/3") else None
    proxy.latency = 0.1
    made = []

    def objects() -> Iterator[tuple[str, list[bytes]]]:
        for k in range(40):
            made.append(k)
            yield f"x/{k}", [b"1"]

    told = refusal(StoreError, lambda opened: list(put_each(opened, objects())), store)
    assert "cannot write x/3" in told
    asked = len(proxy.log)
    assert made == list(range(len(made))) and len(made) < 20
    time.sleep(0.3)
    assert len(proxy.log) == asked
    assert list_keys(store, "x/") == sorted(f"x/{k}" for k in made[:-1] if k != 3)  # the last was never begun


MINE, LATER = Receipt(0, "mine", "a", 1, 1), Receipt(0, "later", "b", 1, 1)


@pytest.mark.parametrize("where", ["bucket", "folder"])
@pytest.mark.parametrize("later", ["revoked", "made", "bound", "same", "nothing"])
def test_a_task_that_comes_late_spoils_nothing_unseen(where: str, later: str, address: str, tmp_path: Any) -> None:
    ledger = Ledger(open_store(address if where == "bucket" else tmp_path / "a.zarr"))
    claim = ledger.check_free("site/raw", 0, "mine")
    if later == "revoked":
        ledger.revoke("site/raw", [0])
    elif later == "same":
        ledger.write("site/raw", MINE)
    elif later != "nothing":
        ledger.write("site/raw", LATER)
    if later == "bound":
        ledger.compact("site/raw")
    if later in ("same", "nothing"):
        ledger.write("site/raw", MINE, claim)
        assert ledger.done("site/raw") == {0: MINE}
        return
    with pytest.raises(SupersededError):
        ledger.write("site/raw", MINE, claim)
    assert ledger.done("site/raw") == {}  # whatever lies there now, it is made again
    if later == "revoked":
        ledger.write("site/raw", MINE, ledger.check_free("site/raw", 0, "mine"))
        assert ledger.done("site/raw") == {0: MINE}
