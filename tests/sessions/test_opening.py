import inspect
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

import insar_dask as insar
from insar_dask.config import Cluster


def test_a_session_computes_on_its_own_workers_and_ends_with_them() -> None:
    with insar.session(workers=2) as client:
        assert len(client.scheduler_info()["workers"]) == 2
        assert client.submit(sum, [1, 2, 3]).result() == 6
        address = client.scheduler.address
        with insar.session(address=address) as joined:
            assert joined.submit(sum, [4]).result() == 4
        assert client.submit(sum, [5]).result() == 5, "leaving a joined cluster must not end it"
    with pytest.raises(OSError, match="Timed out"), insar.session(address=address, timeout="1s"):
        pass


def test_workers_leave_interrupts_to_who_started_them() -> None:
    before = signal.getsignal(signal.SIGINT)
    with insar.session(workers=1) as client:
        assert signal.SIGINT in client.submit(signal.pthread_sigmask, signal.SIG_BLOCK, ()).result()
        assert signal.getsignal(signal.SIGINT) == before


def test_workers_and_address_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="not both"), insar.session(workers=2, address="tcp://127.0.0.1:1"):
        pass


def test_a_session_without_workers_is_refused() -> None:
    with pytest.raises(ValueError, match="workers is 0; wanted at least 1"), insar.session(workers=0):
        pass


def test_the_keys_of_a_configuration_are_the_options_with_the_same_defaults() -> None:
    options = inspect.signature(insar.session).parameters
    assert {name: option.default for name, option in options.items()} == Cluster().model_dump()


def listening() -> Iterator[tuple[str, int]]:
    """Addresses on which this process and its children wait for anybody."""
    me = psutil.Process()
    for process in (me, *me.children(recursive=True)):
        for connection in process.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                yield connection.laddr.ip, connection.laddr.port


@pytest.mark.parametrize("how", [{"workers": 2}, {"threads": 2}], ids=["processes", "threads"])
def test_nothing_listens_beyond_this_machine_unless_told(how: dict[str, Any]) -> None:
    before = set(listening())
    with insar.session(**how):
        opened = set(listening()) - before
    assert opened
    assert {host for host, _ in opened} == {"127.0.0.1"}


def test_threads_are_those_of_this_process() -> None:
    with insar.session(threads=3) as client:
        assert list(client.nthreads().values()) == [3]
        assert client.submit(os.getpid).result() == os.getpid()


def test_a_scheduler_told_to_listen_elsewhere_says_that_it_is_open() -> None:
    with pytest.warns(RuntimeWarning, match=r"listens at 0\.0\.0\.0 without tls"), insar.session(1, host="0.0.0.0"):
        pass


def test_a_host_that_is_none_is_named_as_the_cause() -> None:
    told = pytest.raises(OSError, match=r"no cluster could be started here.*see host")
    with pytest.warns(RuntimeWarning), told, insar.session(1, host="no-such-host.invalid"):
        pass


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"threads": 2, "address": "tcp://127.0.0.1:1"}, "threads and address exclude each other"),
        ({"workers": 2, "kubernetes": "scheduler"}, "kubernetes=..., not both"),
        ({"threads": 0}, "threads is 0; wanted a whole number"),
        ({"tls": {"ca": "ca.pem"}}, "tls: missing .* 'cert' and 'key'; wanted a mapping of ca, cert, key"),
        ({"slurm": {"interface": "lo", "queu": "short"}}, "slurm: .*'queu'; wanted a mapping of interface, walltime"),
        ({"slurm": {"interface": "lo"}}, "slurm needs workers="),
        ({"slurm": {"interface": "lo"}, "workers": 2}, "slurm needs memory_limit="),
        ({"slurm": {"interface": "lo", "walltime": "90"}}, "walltime is '90'; wanted \"HH:MM:SS\""),
        ({"slurm": {"interface": "lo", "walltime": "00:01:00"}}, "wanted two minutes at least"),
        (
            {"slurm": {"interface": "lo", "options": "--qos=high"}},
            r"options is '--qos=high'; wanted a list, such as \[",
        ),
        ({"slurm": {"interface": "lo", "setup": "module load cuda"}}, "setup is 'module load cuda'; wanted a list"),
        ({"threads": 2, "threads_per_worker": 3}, "of workers that are started; with threads=... leave it out"),
        ({"address": "tcp://127.0.0.1:1", "threads_per_worker": 1}, "with address=... leave it out"),
        ({"gpus": "some"}, "gpus is 'some'; wanted a whole number of GPUs, or \"all\""),
    ],
    ids=lambda value: None if isinstance(value, str) else "-".join(value),
)
def test_what_is_wrong_is_named_with_its_cure(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint), insar.session(**options):
        pass


def test_ctrl_c_while_workers_are_born_is_heard_when_they_are() -> None:
    code = (
        "import os, signal, subprocess, threading\n"
        "from insar_dask.sessions.local import _born_deaf_to_interrupts as deaf\n"
        "with deaf():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    born = threading.Thread(target=subprocess.run, args=(['sh', '-c', 'kill -INT $$; echo deaf'],))\n"
        "    born.start()\n"
        "    born.join()\n"
        "print('not heard')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["deaf"] and done.stderr.strip().endswith("KeyboardInterrupt")


@pytest.mark.parametrize("handler", ["signal.SIG_IGN", "lambda *_: print('mine')"])
def test_whoever_leaves_ctrl_c_aside_is_left_alone_when_workers_start(handler: str) -> None:
    code = (
        "import os, signal\n"
        "from insar_dask.sessions.local import _born_deaf_to_interrupts as deaf\n"
        f"signal.signal(signal.SIGINT, {handler})\n"
        "with deaf():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "print('goes on')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == (["goes on"] if "IGN" in handler else ["mine", "goes on"])
