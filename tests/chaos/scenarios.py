"""What else can befall a run: each scenario returns what is wrong with what it left; empty when nothing was lost."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Lock

import pytest
from distributed import Client, Worker
from distributed.core import Status

from insar_dask.jobs.engine import Engine, JobError
from insar_dask.jobs.flights.blame import ALONE_AFTER, BLAMED_AFTER
from insar_dask.jobs.flights.lookout import Limits
from insar_dask.jobs.progress.events import Event
from tests.chaos.chunk_job import STAGE, SlowEngine, loss, new_store, sleep, undisturbed
from tests.chaos.place import cluster, forkserver
from tests.clusters.two_namespaces import FAR, NEAR, WIRE, ip, missing, wired, within
from tests.jobs.clusters import external_cluster
from tests.s3.faulty import Fault, by_chance, proxy_before
from tests.s3.server import make_bucket, s3_server

SHARDS = 8
INSTANTS = 50
CHUNK = 0.3
Told = list[Event]


def poisoned_chunk(folder: Path) -> str:
    """Shard 2 kills every worker: it is blamed after 3 and 6 deaths, all others are done, and it can be done later."""
    said: Told = []
    with cluster() as client, pytest.raises(JobError) as raised:
        SlowEngine(_store(folder), client, poison, told=said.append).run(STAGE)
    (blamed,) = raised.value.blamed
    deaths = ALONE_AFTER + BLAMED_AFTER
    if (blamed.shard, blamed.deaths) != (2, deaths) or f"shard 2 has killed {deaths} workers" not in str(raised.value):
        return f"blamed {blamed.shard} after {blamed.deaths} deaths: {raised.value}"
    if others := {event.shard for event in said if "died while it ran" in event.error} - {2}:
        return f"shards {sorted(others)} were charged with deaths that were not theirs"
    done = {shard for shard in range(SHARDS) if shard in Engine(folder / "site.zarr").ledger.done("site/sums")}
    return _finished(folder) if done == set(range(SHARDS)) - {2} else f"shards {sorted(done)} were done besides"


def frozen_worker(folder: Path) -> str:
    """A worker is stopped in mid-chunk: Dask would notice after 5 minutes."""
    said: Told = []
    with cluster() as client:
        stop = partial(freeze, folder=str(folder))
        SlowEngine(_store(folder), client, stop, told=said.append, limits=Limits(silent=3.0, look=0.5)).run(STAGE)
        os.kill(int((folder / "frozen").read_text()), signal.SIGKILL)
    retried = [event for event in said if event.kind == "retried"]
    return _compared(folder) if retried else "no shard went elsewhere"


def paused_worker(folder: Path) -> str:
    """A worker is paused before the first chunk, for good: what waits there goes elsewhere."""
    with cluster(memory_limit=0) as client:
        client.run(pause, workers=list(client.nthreads())[:1])
        SlowEngine(_store(folder), client, chunk, limits=Limits(paused=1.0, look=0.5)).run(STAGE)
    return _compared(folder)


def all_workers_paused(folder: Path) -> str:
    """All workers are paused for good: the run ends with the cause and the cure."""
    with cluster(memory_limit=0) as client:
        client.run(pause)
        with pytest.raises(
            JobError, match=r"all workers are paused, at 80 % of their memory.*more memory, or take smaller"
        ):
            SlowEngine(_store(folder), client, chunk, limits=Limits(paused=1.0, all_paused=3.0, look=0.5)).run(STAGE)
    return _finished(folder)


def workers_told_to_go(folder: Path) -> str:
    """Workers are closed in order, each in mid-chunk, more often than a chunk may die: nobody is charged."""
    said: Told = []
    with cluster() as client:
        leaving = partial(leave, folder=str(folder))
        SlowEngine(_store(folder), client, leaving, told=said.append).run(STAGE)
    went = len(list(folder.glob("left-*")))
    if died := [event.error for event in said if "died" in event.error]:
        return f"{died[0]}, and it was told to go"
    return _compared(folder) if went > ALONE_AFTER + BLAMED_AFTER else f"only {went} workers went"


def workers_terminated(folder: Path) -> str:
    """Workers get a SIGTERM, as queues send it, in mid-chunk, more often than a chunk may die: nobody is charged."""
    said: Told = []
    with cluster() as client:
        SlowEngine(_store(folder), client, partial(terminate, folder=str(folder)), told=said.append).run(STAGE)
    if died := [event.error for event in said if "died" in event.error]:
        return f"{died[0]}, and it was told to go"
    went = [event for event in said if event.error == "its worker was told to go"]
    return _compared(folder) if len(went) > ALONE_AFTER + BLAMED_AFTER else f"only {len(went)} workers went"


def worker_out_of_memory(folder: Path) -> str:
    """Shard 2 takes more memory than its worker may have: nannies end it by a SIGTERM too, and it is blamed."""
    said: Told = []
    with cluster(memory_limit="700MiB") as client, pytest.raises(JobError, match="shard 2 has killed 9 workers"):
        SlowEngine(_store(folder), client, swell, told=said.append).run(STAGE)
    if not any("died at 95 % of its memory while it ran" in event.error for event in said):
        return f"nobody spoke of memory: {sorted({event.error for event in said})}"
    if others := {event.shard for event in said if "died" in event.error} - {2}:
        return f"shards {sorted(others)} were charged with deaths that were not theirs"
    return _finished(folder)


def killed_driver(folder: Path) -> str:
    """The driver is killed at 50 instants, and the run resumed in another process."""
    raw, chance, cut = new_store(folder / "raw.zarr", SHARDS), random.Random(6), 0
    wanted = undisturbed(folder / "undisturbed.zarr", SHARDS)
    for instant in range(INSTANTS):
        store = folder / f"{instant}.zarr"
        shutil.copytree(raw, store)
        driver = forkserver().Process(target=drive, args=(str(store),))
        driver.start()
        ledger, receipts = Engine(store).ledger, chance.randrange(SHARDS)
        # instants of the clock would miss the work on a busy machine
        while driver.is_alive() and len(ledger.done("site/sums")) < receipts:
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 0.15))
        driver.kill()
        driver.join()
        kept = set.intersection(*(set(ledger.done(target)) for target in STAGE.saves.values()))
        cut += 0 < len(kept) < SHARDS
        computed = Engine(store, quiet=True).run(STAGE).computed
        if computed != SHARDS - len(kept):
            return f"instant {instant}: {computed} shards computed again, and {len(kept)} of {SHARDS} were done"
        if found := loss(store, wanted, SHARDS):
            return f"instant {instant}: {found}"
    return "" if cut >= INSTANTS // 3 else f"only {cut} of {INSTANTS} instants were amid the work"


def killed_scheduler(folder: Path) -> str:
    """The scheduler is killed in mid-run: the run ends with the cause, and goes on with another one."""
    store = _store(folder)
    with external_cluster(folder, workers=2) as address, Client(address, timeout="10s") as client:
        client.wait_for_workers(2, timeout=120)
        shoot = partial(kill_scheduler, pid=client.run_on_scheduler(os.getpid))
        with pytest.raises(JobError, match="the scheduler is gone"):
            SlowEngine(store, client, shoot).run(STAGE)
    return _finished(folder)


def full_disk(folder: Path) -> str:
    """The disk is full in mid-run: said with the cure, at once; with room the run goes on."""
    store = _store(folder)
    size = sum(-(-path.stat().st_size // 4096) * 4096 for path in store.rglob("*") if path.is_file())
    with _disk(folder / "disk", f"{(size + 200_000) // 1024}k") as disk:
        small = Path(shutil.copytree(store, disk / "site.zarr"))
        with cluster() as client, pytest.raises(JobError, match=r"No space left.*make room and run again"):
            SlowEngine(small, client, chunk).run(STAGE)
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        return _finished(folder, small)


def read_only_store(folder: Path) -> str:
    """The store cannot be written to: said at once, not tried again."""
    store = _store(folder)
    with _disk(folder / "disk", "64m") as disk:
        fixed = Path(shutil.copytree(store, disk / "site.zarr"))
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        began = time.monotonic()
        with cluster() as client, pytest.raises((JobError, OSError), match="Read-only file system"):
            SlowEngine(fixed, client, chunk).run(STAGE)
        if time.monotonic() - began > 60:
            return "it took a minute to say so"
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        return _finished(folder, fixed)


def skewed_clocks(folder: Path) -> str:
    """Clocks of the workers are two days slow, and that of the scheduler is a day fast."""
    if shutil.which("faketime") is None:
        pytest.skip("other clocks want faketime: apt-get install faketime")
    fast, slow = (("faketime", "-f", by) for by in ("+1d", "-2d"))
    with (
        external_cluster(folder, workers=2, within=(fast, slow)) as address,
        Client(address, timeout="60s") as client,
    ):
        client.wait_for_workers(2, timeout=120)
        days = [
            (there - time.time()) / 86_400 for there in (client.run_on_scheduler(clock), *client.run(clock).values())
        ]
        if [round(day) for day in days] != [1, -2, -2]:
            return f"the clocks are wrong by {days} days"
        SlowEngine(_store(folder), client, chunk).run(STAGE)
    return _compared(folder)


def cut_link(folder: Path) -> str:
    """The link between scheduler and workers is down for 6 s, between network namespaces."""
    if reason := missing():
        pytest.skip(reason)
    store, ledger = _store(folder), Engine(folder / "site.zarr").ledger
    around, hosts = (within(NEAR), within(FAR)), ("10.77.0.1", "10.77.0.2")
    with wired(), external_cluster(folder, workers=2, hosts=hosts, within=around) as address:
        job = [sys.executable, "-m", "tests.chaos.chunk_job", str(store), address, "1"]
        with subprocess.Popen(within(NEAR, *job), cwd=Path(__file__).parents[2]) as driver:
            while driver.poll() is None and len(ledger.done("site/sums")) < 2:
                time.sleep(0.05)
            ip("-n", FAR, "link", "set", WIRE, "down")
            time.sleep(6.0)
            ip("-n", FAR, "link", "set", WIRE, "up")
            if driver.poll() is not None:
                return "the run had ended before the link was back"
    return _compared(folder) if driver.returncode == 0 else f"the driver ended with {driver.returncode}"


def failing_bucket(folder: Path) -> str:
    """A bucket answers every tenth request with 500 or 503, loses answers, and keeps silent for 35 s twice."""
    silent, failing = iter((35.0, 35.0)), by_chance(seed=6, share=0.1)

    def fault(kind: str, key: str) -> int | float | None:
        late = next(silent, None) if kind == "PUT" and "site/sums" in key else None
        return failing(kind, key) if late is None else late

    return _in_bucket(folder, fault)


def throttled_bucket(folder: Path) -> str:
    """A bucket takes 50 ms for each request, and tells whoever asks more than ten times a second to slow down."""
    return _in_bucket(folder, more_often_than(10.0), latency=0.05)


SCENARIOS: dict[str, Callable[[Path], str]] = {
    found.__name__: found
    for found in (
        *(poisoned_chunk, worker_out_of_memory, frozen_worker, paused_worker, all_workers_paused),
        *(workers_told_to_go, workers_terminated),
        *(killed_driver, killed_scheduler, cut_link, full_disk, read_only_store),
        *(failing_bucket, throttled_bucket, skewed_clocks),
    )
}


# --- what happens on workers, and in drivers ------------------------------------------------------------------------


def chunk(shard: int) -> None:
    sleep(shard, CHUNK)


def poison(shard: int) -> None:
    if shard == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    sleep(shard, CHUNK)


def freeze(shard: int, folder: str) -> None:
    if shard == 2 and not (note := Path(folder) / "frozen").exists():
        note.write_text(f"{os.getpid()}")
        os.kill(os.getpid(), signal.SIGSTOP)
    sleep(shard, CHUNK)


def leave(shard: int, folder: str) -> None:
    """Shard 2 has its worker closed in order, ten times."""
    from distributed import get_worker

    times = len(list(Path(folder).glob("left-*")))
    if shard == 2 and times < ALONE_AFTER + BLAMED_AFTER + 1:
        (Path(folder) / f"left-{times}").touch()
        worker = get_worker()
        worker.loop.add_callback(worker.close, nanny=False, executor_wait=False)
        time.sleep(60)
    sleep(shard, CHUNK)


def terminate(shard: int, folder: str) -> None:
    """Shard 2 has its worker terminated, ten times."""
    times = len(list(Path(folder).glob("left-*")))
    if shard == 2 and times < ALONE_AFTER + BLAMED_AFTER + 1:
        (Path(folder) / f"left-{times}").touch()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    sleep(shard, CHUNK)


def swell(shard: int) -> None:
    """Shard 2 holds more and more, a little slower than nannies look."""
    held = []
    while shard == 2:
        held.append(b"x" * (20 << 20))
        time.sleep(0.05)
    sleep(shard, CHUNK)


def kill_scheduler(shard: int, pid: int) -> None:
    if shard == 4:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    sleep(shard, CHUNK)


def pause(dask_worker: Worker) -> None:
    dask_worker.status = Status.paused


def clock() -> float:
    return time.time()


def drive(store: str) -> None:
    """A driver of its own."""
    SlowEngine(store, None, partial(sleep, seconds=0.1), threads=1).run(STAGE)


# --- stores and disks ----------------------------------------------------------------------------------------------


def _store(folder: Path) -> Path:
    return new_store(folder / "site.zarr", SHARDS)


def more_often_than(rate: float) -> Fault:
    """503 to whoever asks more often than so many times a second, over a second."""
    lately, lock = deque[float](), Lock()

    def fault(_kind: str, _key: str) -> int | None:
        now = time.monotonic()
        with lock:
            while lately and lately[0] < now - 1.0:
                lately.popleft()
            if len(lately) >= rate:
                return 503
            lately.append(now)
            return None

    return fault


def _in_bucket(folder: Path, fault: Fault, latency: float = 0.0) -> str:
    """Run on a store in a bucket that fails as it is told, and compare with a run in a folder."""
    failed = 0

    def counted(kind: str, key: str) -> int | float | None:
        nonlocal failed
        found = fault(kind, key)
        failed += found is not None
        return found

    with s3_server() as server, proxy_before(server) as proxy, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        access = {"AWS_ACCESS_KEY_ID": "chaos", "AWS_SECRET_ACCESS_KEY": "chaos", "AWS_REGION": "eu-west-1"}
        for name, value in (access := {**access, "AWS_ENDPOINT_URL": proxy.url}).items():
            patch.setenv(name, value)
        make_bucket(server, "chaos")
        store = new_store("s3://chaos/site.zarr", SHARDS)
        with cluster(env=access) as client:
            proxy.fault, proxy.latency = counted, latency
            SlowEngine(store, client, chunk).run(STAGE)
        proxy.fault, proxy.latency = lambda _kind, _key: None, 0.0
        wrong = loss(store, undisturbed(folder / "undisturbed.zarr", SHARDS), SHARDS)
    return wrong or ("" if failed >= SHARDS else f"only {failed} requests failed")


@contextmanager
def _disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own; mounting one takes root."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system of our own: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _finished(folder: Path, store: Path | None = None) -> str:
    """Run again, undisturbed, and compare."""
    Engine(store or folder / "site.zarr", quiet=True).run(STAGE)
    return _compared(folder, store)


def _compared(folder: Path, store: Path | None = None) -> str:
    wanted = undisturbed(folder / "undisturbed.zarr", SHARDS)
    return loss(store or folder / "site.zarr", wanted, SHARDS)
