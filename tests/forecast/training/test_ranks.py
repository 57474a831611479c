import io
import json
import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
import torch
from distributed import Client, Scheduler, SpecCluster, Worker

import insar_dask as insar
from insar_dask.forecast.training import checkpoint
from insar_dask.forecast.training.attempt import Assignment, Kind, Limits, Outcome
from insar_dask.forecast.training.hold import HeldError, held
from insar_dask.forecast.training.job import PeerLostError
from insar_dask.forecast.training.rank_process import UnusableError, _Rank, gpus, may_pass, own_gpu
from insar_dask.forecast.training.ranks import RankError, _Driver, train_on
from insar_dask.forecast.training.roll_call import RESOURCE, RollCall, Seat, fit_to_train
from insar_dask.forecast.training.supervisor import supervise
from insar_dask.forecast.training.train import train
from tests.forecast.toy_training import job

BUILDER = "tests.forecast.toy_training:job"
PARAMS: dict[str, Any] = {"max_steps": 14, "rate": 1e-2, "pause": 0.02}
LIMITS = Limits(stall=3.0, silence=60.0)

Told = Mapping[str, Any]


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    torch.set_num_threads(1)
    with insar.session(workers=2) as client:
        yield client


class Listener:
    """Keeps what it is told, and strikes once at each of some steps."""

    def __init__(self, strikes: Mapping[int, Callable[["Listener"], None]] | None = None) -> None:
        self.strikes = dict(strikes or {})
        self.told: list[Told] = []
        self.where: dict[int, Told] = {}
        self.pids: set[int] = set()

    def __call__(self, said: Told) -> None:
        self.told.append(said)
        if said["kind"] == "rank":
            self.where[said["rank"]] = said
            self.pids.add(said["pid"])
        for step in [step for step in self.strikes if said["kind"] == "checkpoint" and said["step"] >= step]:
            self.strikes.pop(step)(self)

    def texts(self, kind: str) -> list[str]:
        return [said["text"] for said in self.told if said["kind"] == kind]


def strike_rank(rank: int, blow: signal.Signals) -> Callable[[Listener], None]:
    return lambda listener: os.kill(listener.where[rank]["pid"], blow)


def strike_worker_of(rank: int, client: Client) -> Callable[[Listener], None]:
    def strike(listener: Listener) -> None:
        address = listener.where[rank]["worker"]
        os.kill(client.run(os.getpid, workers=[address])[address], signal.SIGKILL)

    return strike


def assert_all_gone(pids: set[int], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while any(psutil.pid_exists(pid) for pid in pids):
        assert time.monotonic() < deadline, f"still there: {[pid for pid in pids if psutil.pid_exists(pid)]}"
        time.sleep(0.05)


def assert_same_weights(one: Path, other: Path) -> None:
    """Those after the last step, not the best, which may be older than a fault."""
    found = [checkpoint.load(folder) for folder in (one, other)]
    models = [each.state["model"] for each in found if each is not None]
    for name, tensor in models[0].items():
        assert torch.equal(tensor, models[1][name]), name


def test_whatever_is_killed_or_frozen_training_ends_with_the_same_bits(client: Client, tmp_path: Path) -> None:
    whole = train_on(client, BUILDER, PARAMS, tmp_path / "whole")
    listener = Listener(
        {
            4: strike_rank(0, signal.SIGKILL),
            6: strike_rank(1, signal.SIGSTOP),
            8: strike_worker_of(0, client),
            10: strike_worker_of(1, client),
        }
    )
    broken = train_on(client, BUILDER, PARAMS, tmp_path / "broken", tell=listener, restarts=9, limits=LIMITS)
    restarts = [text for text in listener.texts("restart") if "though its process runs" not in text]
    # but for what a busy machine does, which may take a step for a stall
    killed, frozen, first, lost = restarts
    assert "rank 0 on" in killed and "killed by SIGKILL" in killed
    assert "rank 1 on" in frozen and "no sign of life for 3 s of one step: its process is stopped (SIGSTOP)" in frozen
    assert "rank 0 on" in first and "its Dask worker is gone" in first, "where ranks meet is gone with it"
    assert "rank 1 on" in lost and "its Dask worker is gone" in lost
    begun = [said for said in listener.told if said["kind"] == "begin"]
    assert len(begun) >= 5 and {said["world"] for said in begun} == {2}
    assert begun[-1]["step"] >= 10, "it goes on from the last checkpoint"
    assert broken.history == whole.history and broken.steps == whole.steps == 14
    assert_same_weights(tmp_path / "broken", tmp_path / "whole")
    assert_all_gone(listener.pids)
    filed = [json.loads(line) for line in (tmp_path / "broken" / "progress.jsonl").read_text().splitlines()]
    assert [said["text"] for said in filed if said["kind"] == "restart"] == listener.texts("restart")
    alone = Listener()
    trained = train(job(**{**PARAMS, "max_steps": 16}), tmp_path / "whole", tell=alone)
    assert trained.steps == 16 and trained.world == 1, "another number of ranks goes on from there, too"
    assert "was made by 2 ranks, going on with 1" in " ".join(alone.texts("note"))


def test_more_ranks_go_on_from_where_fewer_had_come(client: Client, tmp_path: Path) -> None:
    settings, listener = {"plain": True, "rate": PARAMS["rate"]}, Listener()
    alone = train(job(max_steps=12, **settings), tmp_path / "alone")
    train(job(max_steps=8, **settings), tmp_path / "joined")
    joined = train_on(client, BUILDER, {"max_steps": 12, **settings}, tmp_path / "joined", tell=listener)
    assert joined.steps == 12 and joined.world == 2
    assert [said["step"] for said in listener.told if said["kind"] == "begin"] == [8]
    assert "was made by 1 rank, going on with 2" in " ".join(listener.texts("note"))
    for name, column in alone.history.items():
        assert joined.history[name] == pytest.approx(column, rel=1e-5), name


class Failed(NamedTuple):
    message: str
    folder: Path
    pids: set[int]
    seconds: float
    """From the last checkpoint, a step before the exception, until it is raised at the client."""


@pytest.fixture(scope="module")
def broken_rank(client: Client, tmp_path_factory: pytest.TempPathFactory) -> Failed:
    """Two ranks of a network without random numbers, of which one raises at step 9."""
    folder, listener = tmp_path_factory.mktemp("broken"), Listener()
    params = {**PARAMS, "plain": True, "fail": {"rank": 1, "step": 9, "text": "the toy broke"}}
    with pytest.raises(RankError) as caught:
        train_on(client, BUILDER, params, folder, tell=listener)
    saved = max(said["time"] for said in listener.told if said["kind"] == "checkpoint")
    return Failed(str(caught.value), folder, listener.pids, time.time() - saved)


def test_an_exception_reaches_the_client_with_rank_host_and_traceback(broken_rank: Failed) -> None:
    first = broken_rank.message.splitlines()[0]
    assert first.startswith(f"rank 1 on {os.uname().nodename} (tcp://127.0.0.1:")
    assert "ZeroDivisionError: the toy broke" in first
    assert f"another try would end alike. The checkpoint of step 8 stays in {broken_rank.folder}" in first
    assert "toy_training.py" in broken_rank.message and "Traceback" in broken_rank.message
    assert broken_rank.seconds < 60
    assert_all_gone(broken_rank.pids)


def test_two_ranks_with_unequal_shares_learn_what_one_would(broken_rank: Failed, tmp_path: Path) -> None:
    alone = train(job(plain=True, max_steps=8, rate=PARAMS["rate"]), tmp_path)
    found = checkpoint.load(broken_rank.folder)
    assert found is not None and found.state["step"] == 8
    for name in ("step", "training", "validation", "rate"):
        assert found.state["history"][name] == pytest.approx(alone.history[name], rel=1e-5), name
    ends = checkpoint.load(tmp_path)
    assert ends is not None
    for name, tensor in ends.state["model"].items():
        torch.testing.assert_close(found.state["model"][name], tensor, rtol=1e-4, atol=1e-6)


def test_ctrl_c_leaves_nothing_running(client: Client, tmp_path: Path) -> None:
    listener = Listener({4: lambda _: signal.raise_signal(signal.SIGINT)})
    with pytest.raises(KeyboardInterrupt):
        train_on(client, BUILDER, PARAMS, tmp_path, 1, tell=listener)
    assert_all_gone(listener.pids)


CLIENT = """
import sys
from distributed import Client
from insar_dask.forecast.training.ranks import train_on

if __name__ == "__main__":
    def tell(said):
        if said["kind"] in ("rank", "checkpoint"):
            print(said["kind"], said.get("pid"), flush=True)
    train_on(Client(sys.argv[1]), sys.argv[2], {"max_steps": 100000, "pause": 0.02}, sys.argv[3], 1, tell=tell)
"""


def test_ranks_end_with_their_client(client: Client, tmp_path: Path) -> None:
    command = [sys.executable, "-c", CLIENT, client.scheduler.address, BUILDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        kind, pid = process.stdout.readline().split()
        assert kind == "rank" and psutil.pid_exists(int(pid))
        assert process.stdout.readline().startswith("checkpoint")
        process.kill()
    assert_all_gone({int(pid)})


def test_more_ranks_than_workers_are_refused_with_both_numbers(client: Client, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"3 ranks were asked for, and there are 2 workers.*take ranks=2, or start"):
        train_on(client, BUILDER, PARAMS, tmp_path, 3)


def test_a_folder_that_another_training_holds_is_refused(client: Client, tmp_path: Path) -> None:
    with held(tmp_path), pytest.raises(HeldError, match="another training is at work in"):
        train_on(client, BUILDER, PARAMS, tmp_path, 1)


def test_a_builder_that_is_not_there_is_no_matter_for_another_try(client: Client, tmp_path: Path) -> None:
    with pytest.raises(RankError, match=r"No module named 'tests.forecast.nowhere'; another try would end alike"):
        train_on(client, "tests.forecast.nowhere:job", {}, tmp_path, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"builder": "somewhere.job"}, "wanted 'package.module:function'"),
        ({"params": {"path": Path("x")}}, "params must travel as JSON"),
        ({"ranks": 0}, "ranks is 0; wanted a whole number, at least 1"),
        ({"ranks": "two"}, "ranks is 'two'; wanted a whole number"),
        ({"device": "gpu"}, "wanted 'cpu' or 'cuda'"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(
    client: Client, tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        train_on(client, **{"builder": BUILDER, "params": {}, "folder": tmp_path, **arguments})


def test_a_frozen_worker_is_noticed_and_sent_away(client: Client) -> None:
    roll_call = RollCall(client)
    seat = roll_call.seats()[0]
    pid = client.run(os.getpid, workers=[seat.address])[seat.address]
    os.kill(pid, signal.SIGSTOP)
    try:
        deadline = time.monotonic() + 20
        while {found.identity: found.silent for found in roll_call.seats()}[seat.identity] < 1.5:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        roll_call.evict(seat)
        assert seat.identity not in {found.identity for found in roll_call.seats()}
    finally:
        os.kill(pid, signal.SIGKILL)


def test_each_rank_takes_a_gpu_of_its_own_however_they_are_shown() -> None:
    shown = [["a", "b"], ["a", "b"]]
    assert [own_gpu(rank, shown) for rank in range(2)] == [0, 1]
    rotated = [["a", "b"], ["b", "a"]]
    assert [own_gpu(rank, rotated) for rank in range(2)] == [0, 0]
    apart = [["a"], ["b"], ["c"]]
    assert [own_gpu(rank, apart) for rank in range(3)] == [0, 0, 0]
    with pytest.raises(UnusableError, match=r"none is left for rank 2 of 3: 2 are visible there.*device='cpu'"):
        own_gpu(2, [["a", "b"]] * 3)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused_with_a_cure() -> None:
    with pytest.raises(UnusableError, match=r"a GPU was asked for, and torch .* finds none; .*device='cpu'"):
        gpus()


def test_workers_set_aside_for_training_go_before_all_others() -> None:
    seats = [Seat(f"tcp://10.0.0.{n}:1", f"{n}", f"10.0.0.{n}", 0.0, 0, reserved=n > 1) for n in range(4)]
    assert [seat.host for seat in fit_to_train(seats)] == ["10.0.0.2", "10.0.0.3"]
    assert [seat.host for seat in fit_to_train(seats[:2])] == ["10.0.0.0", "10.0.0.1"]


@pytest.mark.parametrize(
    ("workers", "expected"),
    [({"plain": {}, "set aside": {RESOURCE: 1}}, {"set aside"}), ({"one": {}, "other": {}}, {"one", "other"})],
)
def test_ranks_go_to_workers_with_the_resource_where_any_has_it_and_to_all_where_none_has(
    workers: dict[str, dict[str, int]], expected: set[str], tmp_path: Path
) -> None:
    spec = {
        name: {
            "cls": Worker,
            "options": {"nthreads": 1, "resources": resources, "dashboard": False, "host": "127.0.0.1"},
        }
        for name, resources in workers.items()
    }
    scheduler = {"cls": Scheduler, "options": {"dashboard_address": "127.0.0.1:0", "host": "127.0.0.1"}}
    with SpecCluster(workers=spec, scheduler=scheduler) as cluster, Client(cluster) as client:
        client.wait_for_workers(2)
        listener = Listener()
        train_on(client, BUILDER, {**PARAMS, "max_steps": 2}, tmp_path, tell=listener)
        known = client.scheduler_info(n_workers=-1)["workers"]
        assert {known[said["worker"]]["name"] for said in listener.where.values()} == expected
        if len(expected) < len(workers):
            with pytest.raises(
                ValueError, match="2 ranks were asked for, and there are 1 workers with the resource TRAIN"
            ):
                train_on(client, BUILDER, PARAMS, tmp_path, ranks=2)


def failed(text: str, kind: Kind = "error") -> Outcome:
    return Outcome(1, "tcp://10.0.0.7:4", "node7", kind, text, "Traceback")


def driver(tmp_path: Path, client: Client) -> _Driver:
    draft = Assignment(
        token="", topic="t", attempt=0, rank=0, world=2, builder=BUILDER, params={}, folder=str(tmp_path), device="cpu",
        threads=1, store=None,
    )  # fmt: skip
    return _Driver(RollCall(client), draft, 2, print)


def test_an_error_that_comes_again_at_the_same_place_is_not_tried_a_third_time(client: Client, tmp_path: Path) -> None:
    judge = driver(tmp_path, client)
    assert judge._judged(failed("OSError: x"), 2)["text"] == "rank 1 on node7 (tcp://10.0.0.7:4): OSError: x"
    with pytest.raises(RankError, match="OSError: x; twice in the same place"):
        judge._judged(failed("OSError: x"), 3)


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (ConnectionResetError(), True), (OSError("x"), True), (MemoryError(), True),
        (torch.AcceleratorError("ECC"), True), (RuntimeError("DefaultCPUAllocator: can't allocate memory"), True),
        (KeyError("x"), False), (TypeError(), False), (RuntimeError("shapes cannot be multiplied"), False),
        (UnusableError(), False),
    ],
)  # fmt: skip
def test_another_try_is_for_what_may_pass(error: Exception, passes: bool) -> None:
    assert may_pass(error) is passes


@pytest.mark.parametrize("error", [PeerLostError("x"), torch.distributed.DistNetworkError("x")])
def test_a_rank_that_lost_another_is_no_cause(error: Exception) -> None:
    rank = _Rank({"rank": 1, "world": 2, "limits": asdict(Limits())}, io.StringIO())
    assert rank.kind_of(error) == "peer"


def test_kills_are_survived_as_often_as_was_said(client: Client, tmp_path: Path) -> None:
    judge = driver(tmp_path, client)
    for attempt in (2, 3):
        judge._judged(failed("killed by SIGKILL", "killed"), attempt)
    with pytest.raises(RankError, match="failures since the last new checkpoint: 3"):
        judge._judged(failed("killed by SIGKILL", "killed"), 4)


def test_a_folder_that_workers_do_not_share_is_refused(client: Client, tmp_path: Path) -> None:
    heard: queue.Queue[dict[str, Any]] = queue.Queue()
    client.subscribe_topic("elsewhere", lambda event: heard.put(event[1]))
    assignment = Assignment(
        token="mine", topic="elsewhere", attempt=1, rank=0, world=1, builder=BUILDER, params={}, folder=str(tmp_path),
        device="cpu", threads=1, store=None, limits=Limits(folder=0.1),
    )  # fmt: skip
    client.submit(supervise, assignment, pure=False).result(timeout=30)
    assert heard.get(timeout=10)["what"] == "started"
    outcome = heard.get(timeout=10)["outcome"]
    assert outcome["kind"] == "refused"
    assert "is not the folder that the driver writes to" in outcome["text"]
