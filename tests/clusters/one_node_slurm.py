"""A SLURM cluster of this machine alone, of daemons that end with the block."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
CPUS = 4
"""More than there may be: the job of a driver and those of its workers, which wait for each other most of the time."""

MORTAL = ("setpriv", "--pdeathsig", "TERM")
"""A test that is killed cannot end what it started: the kernel does it then."""

CONF = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
KillWait=5
MinJobAge=10
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Why no such cluster can be started here; empty where one can."""
    sbin = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    lacking = [name for name in (*DAEMONS, "sbatch") if shutil.which(name, path=sbin) is None]
    if lacking:
        return f"no {', '.join(lacking)}: apt-get install slurm-wlm munge"
    return "" if os.geteuid() == 0 else "the daemons of SLURM want root"


@contextmanager
def one_node_slurm() -> Iterator[Path]:
    """Start it; yields the folder of its logs. ``SLURM_CONF`` names it for all commands of SLURM."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    folder.chmod(0o755)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    conf, key = folder / "slurm.conf", folder / "munge.key"
    conf.write_text(CONF.format(folder=folder, host=socket.gethostname(), ports=_free_ports(2), cpus=CPUS))
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    before, path = os.environ.get("SLURM_CONF"), os.environ["PATH"]
    os.environ.update(SLURM_CONF=str(conf), PATH=f"{path}:/usr/sbin:/sbin")
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(_restore, before, path)
        munge = [f"--{name}-file={folder}/munge.{name}" for name in ("key", "log", "pid", "seed")]
        _daemon(stack, "munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *munge)
        _until(lambda: (folder / "munge.socket").exists(), "munged did not start", folder)
        _daemon(stack, "slurmctld", "-D", "-i", "-f", str(conf))
        _daemon(stack, "slurmd", "-D", "-f", str(conf))
        stack.callback(subprocess.run, ["scancel", "--me"], check=False, capture_output=True)
        _until(lambda: "idle" in _said("sinfo", "--noheader", "--format=%T"), "no node came up", folder)
        yield folder


def jobs(state: str = "RUNNING") -> list[str]:
    """Numbers of the user's jobs in a state."""
    return _said("squeue", "--me", "--noheader", "--format=%A", f"--states={state}").split()


def _daemon(stack: ExitStack, *command: str) -> None:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([*MORTAL, *command], start_new_session=True, **quiet)  # type: ignore[call-overload]
    stack.callback(_end, process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _restore(conf: str | None, path: str) -> None:
    os.environ["PATH"] = path
    if conf is None:
        del os.environ["SLURM_CONF"]
    else:
        os.environ["SLURM_CONF"] = conf


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _until(true: object, complaint: str, folder: Path, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        logs = "\n".join(path.read_text(errors="replace")[-1000:] for path in folder.glob("*.log"))
        assert time.monotonic() < deadline, f"{complaint}:\n{logs}"
        time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in found:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in found]
