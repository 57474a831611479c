"""What befalls tasks on a cluster beside their workers' deaths: they are cancelled, and the scheduler goes."""

import platform
import time
from collections.abc import Iterator

import pytest
from distributed import Client, Future, LocalCluster

from insar_dask.jobs.flights import lookout
from insar_dask.jobs.flights.attempt import MARKS
from insar_dask.jobs.flights.dask_flight import MOST_CANCELS
from insar_dask.jobs.flights.flight import in_flight
from insar_dask.jobs.flights.lookout import ClusterError, Limits, Lookout, ask
from insar_dask.jobs.progress.events import Event

TASKS = [("", "", shard) for shard in range(4)]


def work(_path: str, _stage: str, shard: int) -> int:
    time.sleep(0.2)
    return shard


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0") as found:
        yield found


@pytest.fixture
def client(cluster: LocalCluster) -> Iterator[Client]:
    with Client(cluster.scheduler_address, timeout="1s") as found:
        yield found


def at_once(_path: str, _stage: str, shard: int) -> int:
    return shard


def test_many_tasks_are_few_messages() -> None:
    with (
        LocalCluster(n_workers=1, threads_per_worker=32, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):
        tasks = [("", "", shard) for shard in range(300)]
        assert dict(in_flight(at_once, tasks, client, 1, "work")) == {shard: shard for shard in range(300)}
        events = [event["action"] for _, event in client.get_events("scheduler") if "action" in event]
        gathers = [event for _, event in client.get_events("all") if event.get("action") == "gather"]
    assert events.count("update-graph") < 75  # of 300, four or more together
    assert len(gathers) < 100 and sum(event["count"] for event in gathers) == 300


def test_a_task_that_is_cancelled_runs_again(client: Client) -> None:
    told, left = list[Event](), [1]

    def cancel_once() -> None:
        while left and client.futures:
            client.cancel([Future(key, client=client) for key in client.futures])
            left.pop()

    found = dict(in_flight(work, TASKS, client, 1, "work", cancel_once, told=told.append))
    assert found == {shard: shard for shard in range(4)}
    assert {event.error for event in told} == {"it was cancelled, or the link to the scheduler was cut"}


def test_a_task_that_is_cancelled_again_and_again_is_an_error(client: Client) -> None:
    def cancel() -> None:
        client.cancel([Future(key, client=client) for key in client.futures])

    found = dict(in_flight(work, TASKS[:1], client, 1, "work", cancel))
    assert f"it was cancelled {MOST_CANCELS + 1} times: somebody else cancels" in str(found[0])


def test_a_scheduler_that_goes_is_named_whatever_was_asked_of_it(cluster: LocalCluster, client: Client) -> None:
    flight = in_flight(work, TASKS, client, 1, "work")
    next(flight)
    cluster.close()
    with pytest.raises(ClusterError, match=r"the scheduler is gone.*run again"):
        list(flight)


def test_the_last_of_a_clients_flights_erases_the_marks(client: Client) -> None:
    def marks() -> list[set[str]]:
        return [set(seats) for seats in ask(client, "get_metadata", keys=[MARKS], default={}).values() if seats]

    longer = in_flight(at_once, TASKS, client, 1, "longer")
    next(longer)  # it has two attempts at a time, and holds the second's mark
    assert dict(in_flight(at_once, TASKS, client, 1, "shorter")) == {shard: shard for shard in range(4)}
    (taken,) = marks()
    assert len(taken) <= 4, "two flights take two seats each, and use them again"
    assert len(list(longer)) == 3
    assert marks() == []
    assert len(dict(in_flight(at_once, TASKS, client, 1, "later"))) == 4
    assert marks() == []


def test_flights_share_what_is_said_of_workers_but_for_one_that_waits_for_a_new_worker(
    cluster: LocalCluster, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "SHARED_SECONDS", 600.0)
    patience = Limits(look=1200.0)
    first = Lookout(client, patience)
    cluster.scale(2)
    client.wait_for_workers(2)
    second = Lookout(client, patience)
    assert second.workers is first.workers
    second.limits = Limits(look=0.0)
    assert second.look(afresh=True)
    assert len(second.workers) == 2
    assert Lookout(client, patience).workers is second.workers


def faults(_path: str, _stage: str, _shard: int) -> int:
    import resource

    import numpy as np

    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(100):
        np.ones(4_000_000, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="how memory is kept is glibc's")
def test_a_worker_of_dask_uses_the_memory_of_a_jobs_arrays_again() -> None:
    with (
        LocalCluster(1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):
        as_dask_has_it = client.submit(faults, "", "", 0, pure=False).result()
        (ours,) = dict(in_flight(faults, TASKS[:1], client, 1, "work")).values()
    assert ours < as_dask_has_it / 2
