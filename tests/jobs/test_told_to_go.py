"""What a worker's process does of a SIGTERM."""

import signal
import subprocess
import sys

PROGRAM = """
import asyncio, os, signal, time
from distributed import Scheduler, Worker
from insar_dask.jobs.flights.told_to_go import say_before_going

async def main():
    async with (
        Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as scheduler,
        Worker(scheduler.address, host="127.0.0.1", dashboard=False) as worker,
    ):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # as in a process that a nanny has begun
        say_before_going(worker)
        await asyncio.sleep(0.1)
        heard, said = os.pipe()
        child = os.fork()
        if not child:
            os.write(said, b"!")  # a signal before this is lost in any process that Python forks
            time.sleep(30)
        os.read(heard, 1)
        os.kill(child, signal.SIGTERM)
        print(-os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.1)
        print([event["action"] for _, event in scheduler.get_events(worker.address)][-1], flush=True)
        await asyncio.sleep(30)

asyncio.run(main())
"""


def test_a_worker_says_that_it_was_told_to_go_and_what_it_forked_just_goes() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=50, check=False)
    assert done.stdout.split() == [str(int(signal.SIGTERM)), "insar-dask-told-to-go"], done.stderr
    assert done.returncode == -signal.SIGTERM
