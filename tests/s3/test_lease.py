"""Who may write to a bucket: one run, which is alive; whatever clocks say, and whoever wakes up late."""

import json
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from insar_dask.bucket_opening import open_bucket
from insar_dask.buckets import Bucket, guarded
from insar_dask.jobs.holding import lease as leases
from insar_dask.jobs.holding.holder import Holder
from insar_dask.jobs.holding.lease import KEY, HeldError, Lease, TakenOverError
from insar_dask.jobs.holding.lock import owned, unused_gone
from insar_dask.objects import get_bytes, list_keys, put_bytes
from insar_dask.store_errors import StoreError
from tests.s3.faulty import Proxy

TERM = 1.0


@pytest.fixture
def bucket(address: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    monkeypatch.setattr(leases, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(leases, "CLOCK_SECONDS", 0.5)
    return open_bucket(address)


def lease(bucket: Bucket, place: str | None = None, **kwargs: float) -> Lease:
    """One whose process is of another machine, where a place is named."""
    made = Lease(bucket, **{"term": TERM, "renew": 60.0, "linger": TERM / 2, **kwargs})
    if place is not None:
        made._holder = replace(made._holder, place=place, host=place, began="2099-01-01T00:00:00+00:00")
    return made


def test_who_holds_a_bucket_is_named_and_gives_it_back(bucket: Bucket) -> None:
    first, second = lease(bucket), lease(bucket)
    first.take()
    with first.kept():
        put_bytes(bucket, "x", b"1")
        with pytest.raises(HeldError, match=r"the run of process \d+ on .*, begun 20.* is working on s3://"):
            second.take()
    second.take()
    assert Holder.read(get_bytes(bucket, KEY)).run == second._holder.run


def test_a_process_that_is_gone_holds_nothing(bucket: Bucket) -> None:
    dead = lease(bucket, term=3600.0)
    dead._holder = replace(dead._holder, started="1")  # its number is another process's now
    dead.take()
    lease(bucket).take()


def test_one_of_another_machine_that_is_heard_of_is_not_disturbed(bucket: Bucket) -> None:
    far, here = lease(bucket, "far", renew=0.1), lease(bucket)
    far.take()
    with far.kept(), pytest.raises(HeldError, match="on far"):
        here.take()


@pytest.mark.parametrize("damage", [None, b'{"pid": "x", "term": "long"}'])
def test_one_that_is_not_heard_of_for_a_term_is_followed(
    damage: bytes | None, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "TERM_SECONDS", TERM)
    far, here = lease(bucket, "far"), lease(bucket)
    far.take()
    if damage is not None:
        bucket.put_tagged(KEY, damage, far._tag)
    began = time.monotonic()
    here.take()
    assert time.monotonic() - began >= TERM - 1  # the bucket's clock tells whole seconds
    assert Holder.read(get_bytes(bucket, KEY)).run == here._holder.run


def test_a_holder_that_wakes_up_late_writes_nothing_more(bucket: Bucket) -> None:
    far, here = lease(bucket, "far"), lease(bucket)
    far.take()
    here.take()  # a term later
    with pytest.raises(TakenOverError, match=r"has taken s3://.* over from this run"), far.kept():
        put_bytes(bucket, "x", b"late")
    assert get_bytes(bucket, "x") is None
    assert Holder.read(get_bytes(bucket, KEY)).run == here._holder.run  # nor does it give back what is another's
    here.renew()


def test_a_renewal_whose_answer_is_lost_counts(bucket: Bucket, proxy: Proxy) -> None:
    held = lease(bucket)
    held.take()
    lost = iter([-1.0])
    proxy.fault = lambda kind, key: next(lost, None) if kind == "PUT" else None
    held.renew()
    held.renew()
    held._tag = '"of another renewal of ours"'
    held.renew()
    assert next(lost, None) is None


def test_a_server_that_does_not_compare_is_refused(bucket: Bucket, proxy: Proxy) -> None:
    proxy.stripped = {"if-none-match", "if-match"}
    with pytest.raises(StoreError, match="does not know conditional puts"):
        lease(bucket).take()


def test_of_many_that_come_at_once_one_goes_first(bucket: Bucket) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def take(number: int) -> bool:
        try:
            lease(bucket, renew=60.0, term=60.0).take()
        except HeldError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(take, range(6))) == 1


@pytest.mark.parametrize("text", ["{}", "null", json.dumps({"released": True}), "\x00"])
def test_any_bytes_are_read_as_some_holder(text: str) -> None:
    assert Holder.read(text.encode()).pid == 0


def test_writing_waits_for_a_renewal_when_the_lease_runs_out(
    bucket: Bucket, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock: Callable[[], float] = leases._now
    held = lease(bucket)
    held.take()
    with held.kept():
        before = len(proxy.log)
        put_bytes(bucket, "x", b"1")
        assert [kind for kind, _ in proxy.log[before:]] == ["PUT"]
        monkeypatch.setattr(leases, "_now", lambda: clock() + TERM)
        put_bytes(bucket, "x", b"2")
        assert [key.rpartition("/")[2] for _, key in proxy.log[before + 1 :]] == ["lease", "x"]


@pytest.mark.parametrize("holds", [None, "zarr.json", "jobs/partials/0.npz"])
def test_of_a_store_begun_in_vain_the_lease_alone_is_left(address: str, holds: str | None) -> None:
    bucket = open_bucket(address)
    if holds:
        put_bytes(bucket, holds, b"{}")
    with pytest.raises(ValueError, match="refused"), owned(address), unused_gone(address):
        put_bytes(bucket, "jobs/history/run.json", b"{}")
        raise ValueError("refused")
    left = {KEY, holds, "jobs/history/run.json"} if holds else {KEY}
    assert set(list_keys(bucket, "")) == left


def test_who_holds_stores_of_one_name_on_two_servers_is_asked_for_both(bucket: Bucket) -> None:
    asked: list[str] = []
    there = f"{bucket.address}?endpoint=https://elsewhere"
    with guarded(bucket.address, lambda: asked.append("here")):
        with guarded(there, lambda: asked.append("there")):
            bucket.check_writable()
        assert sorted(asked) == ["here", "there"]
        bucket.check_writable()
    bucket.check_writable()
    assert sorted(asked) == ["here", "here", "there"]
