"""The clusters of tests and benchmarks do not outlive those who started them."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

SCRIPT = """
import signal, subprocess, sys, tempfile
from contextlib import ExitStack
from tests.jobs.clusters import unwound

for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)  # under nohup a process begins with the latter ignored
with unwound(), tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    stack.callback(child.wait)
    stack.callback(child.kill)
    print(child.pid, folder, flush=True)
    child.wait()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_who_is_told_to_end_ends_what_it_has_started(number: signal.Signals) -> None:
    command = [sys.executable, "-c", SCRIPT]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid, folder = process.stdout.readline().split()
        process.send_signal(number)
        assert process.wait(60) == 128 + number
    deadline = time.monotonic() + 60
    while psutil.pid_exists(int(pid)):
        assert time.monotonic() < deadline, "it was left behind"
        time.sleep(0.02)
    assert not Path(folder).exists()
