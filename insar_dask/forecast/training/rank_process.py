"""One rank in a process of its own: ``python -m insar_dask.forecast.training.rank_process``, started by a supervisor.

Standard input brings the assignment as one line of JSON, and is a lifeline after that: when it closes, the supervisor
is gone, and so is this process. Standard output takes one JSON mapping a line; what libraries print goes to the log.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from insar_dask.forecast.training.attempt import TOKEN, Limits
from insar_dask.forecast.training.job import Job, PeerLostError

__all__ = ["gpus", "main", "may_pass", "own_gpu"]

FAULT = 1
PULSE_SECONDS = 0.25
TOKEN_SECONDS = 1.0


class SupersededError(RuntimeError):
    """Another attempt has taken over the folder."""


class UnusableError(RuntimeError):
    """What was asked for cannot be had here, however often one tries."""


def main() -> int:
    """Read the assignment, train, and say how it ended; the exit code."""
    faulthandler.enable()
    words = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    assignment = json.loads(_line())
    threading.Thread(target=_die_with_supervisor, daemon=True).start()
    rank = _Rank(assignment, words)
    try:
        rank.run()
    except Exception as error:
        rank.say("failed", kind=rank.kind_of(error), text=_one_line(error), trace=traceback.format_exc())
        return FAULT
    rank.say("done")
    return 0


class _Rank:
    """The assignment, and how far this rank is with it."""

    def __init__(self, assignment: dict[str, Any], words: IO[str]) -> None:
        self.assignment, self.words = assignment, words
        self.rank, self.world = assignment["rank"], assignment["world"]
        self.limits = Limits(**assignment["limits"])
        self.pulsed = self.checked = time.monotonic()

    def say(self, what: str, **more: Any) -> None:
        """One line to the supervisor."""
        self.words.write(json.dumps({"say": what, **more}) + "\n")
        self.words.flush()

    def run(self) -> None:
        build = _found(self.assignment["builder"])
        import torch

        torch.set_num_threads(self.assignment["threads"])
        job = build(**self.assignment["params"])
        self.say("phase", phase="built")
        device = self._join()
        self.say("phase", phase="joined")
        self._train(job, device)
        if self.world > 1:
            torch.distributed.destroy_process_group()

    def _train(self, job: Job, device: str) -> None:
        from insar_dask.forecast.training.logbook import append
        from insar_dask.forecast.training.train import train

        if self.rank == 0 and self.assignment["restart"]:
            append(Path(self.assignment["folder"]), self.assignment["restart"])
        train(
            job,
            self.assignment["folder"],
            rank=self.rank,
            world=self.world,
            device=device,
            tell=lambda said: self.say("tell", told=dict(said)),
            pulse=self.pulse,
            hold=False,  # its driver does: a rank that is frozen must not keep its successor out
        )

    def _join(self) -> str:
        """Meet the other ranks; the device of this one."""
        import torch
        import torch.distributed as dist

        wants_gpu = self.assignment["device"] == "cuda"
        if self.world == 1:
            return _device(own_gpu(0, [gpus()])) if wants_gpu else "cpu"
        store = self._store()
        device = _device(self._gpu(store)) if wants_gpu else "cpu"
        try:
            dist.init_process_group(
                "nccl" if wants_gpu else "gloo",
                store=store,
                rank=self.rank,
                world_size=self.world,
                # a survivor whose supervisor is gone too ends by itself
                timeout=timedelta(seconds=2 * self.limits.stall),
                device_id=torch.device(device) if wants_gpu else None,
            )
        except RuntimeError as error:
            raise PeerLostError(
                f"rank {self.rank} lost another rank before they had formed a group: {error}"
            ) from error
        return device

    def _store(self) -> Any:
        """A store of this attempt alone, on rank 0; there once all ranks have come to it."""
        from torch._C._distributed_c10d import PrefixStore, TCPStore

        host, port = self.assignment["store"]
        patience = timedelta(seconds=self.limits.join)
        try:
            store = TCPStore(
                host,
                port,
                is_master=self.rank == 0,
                wait_for_workers=False,
                timeout=patience,
                master_listen_fd=self.assignment.get("listener"),
            )
            meeting = PrefixStore(self.assignment["token"], store)
            meeting.set(f"here/{self.rank}", "1")
            meeting.wait([f"here/{rank}" for rank in range(self.world)], patience)
        except RuntimeError as error:
            raise PeerLostError(
                f"not all {self.world} ranks met at {host}:{port} within {self.limits.join:g} s: a worker is busy, or "
                f"a network keeps them apart: {error}"
            ) from error
        return meeting

    def _gpu(self, store: Any) -> int:
        """Tell the others which GPUs are visible here, and take one that no other rank takes."""
        store.set(f"gpus/{self.rank}", json.dumps(gpus()))
        return own_gpu(self.rank, [json.loads(store.get(f"gpus/{rank}")) for rank in range(self.world)])

    def pulse(self) -> None:
        """Show life, at most four times a second, and look once a second whether the folder is still this attempt's."""
        now = time.monotonic()
        if now - self.pulsed > PULSE_SECONDS:
            self.pulsed = now
            self.say("alive")
        if now - self.checked > TOKEN_SECONDS:
            self.checked = now
            token = Path(self.assignment["folder"], TOKEN)
            if not token.is_file() or token.read_text() != self.assignment["token"]:
                raise SupersededError(f"another training has taken over {token.parent}; name a folder for each")

    def kind_of(self, error: Exception) -> str:
        """What the supervisor shall make of an exception."""
        if isinstance(error, PeerLostError) or _of_links(error):
            return "peer"
        return "error" if may_pass(error) else "refused"


def may_pass(error: Exception) -> bool:
    """Whether another try may end otherwise: of files, memory and a GPU, not of what a program does with its data.

    An exception that comes again would come again late: as long after the last checkpoint as before.
    """
    if isinstance(error, OSError | MemoryError):
        return True
    torch = sys.modules.get("torch")  # a builder may fail before anything needs it
    of_a_gpu = torch is not None and isinstance(error, torch.AcceleratorError)
    return of_a_gpu or "can't allocate memory" in str(error)  # a processor's, of which torch has no type


def _of_links(error: Exception) -> bool:
    """Whether ranks lost each other where nothing of ours told so, as while they form their group."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(error, torch.distributed.DistError)


def own_gpu(rank: int, visible: Sequence[Sequence[str]]) -> int:
    """Index, among the GPUs that a rank sees, of the first that no earlier rank takes.

    Workers of one host may all see all GPUs, each one its own, or all in rotated order.

    Parameters
    ----------
    rank : int
    visible : sequence of sequence of str
        By rank, the unique names of the GPUs that it sees, in their order.

    Raises
    ------
    UnusableError
        When none is left.
    """
    taken: set[str] = set()
    for earlier in visible[:rank]:
        taken |= set([name for name in earlier if name not in taken][:1])
    for index, name in enumerate(visible[rank]):
        if name not in taken:
            return index
    raise UnusableError(
        f"a GPU was asked for, and none is left for rank {rank} of {len(visible)}: {len(visible[rank])} are visible "
        "there and others have taken them; take fewer ranks, workers with GPUs, or device='cpu'"
    )


def gpus() -> list[str]:
    """Unique names of the GPUs that this process sees.

    Raises
    ------
    UnusableError
        When there are none.
    """
    import torch

    if not torch.cuda.is_available():
        raise UnusableError(
            f"a GPU was asked for, and torch {torch.__version__} finds none; install a torch built for CUDA on a host "
            "with a GPU, or take device='cpu'"
        )
    return [str(torch.cuda.get_device_properties(index).uuid) for index in range(torch.cuda.device_count())]


def _device(index: int) -> str:
    import torch

    torch.cuda.set_device(index)
    return f"cuda:{index}"


def _found(builder: str) -> Callable[..., Job]:
    module, _, name = builder.partition(":")
    function: Callable[..., Job] = getattr(importlib.import_module(module), name)
    return function


def _line() -> str:
    """First line of standard input, and no byte more: a buffer would keep what the lifeline is to see."""
    read = bytearray()
    while not read.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            break
        read += byte
    return read.decode()


def _die_with_supervisor() -> None:
    """Wait for the end of standard input with os.read: inside a buffered reader a daemon thread aborts the exit."""
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


if __name__ == "__main__":
    sys.exit(main())
