"""The run that holds a store, as its lease names it: for people, and to tell whether its process still lives."""

from __future__ import annotations

import json
import os
import socket
import uuid
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from insar_dask.jobs.seals import parsed

__all__ = ["Holder"]


@dataclass(frozen=True)
class Holder:
    """A run and its process; the fields of a lease that was damaged are empty."""

    run: str = ""
    host: str = "?"
    pid: int = 0
    began: str = "?"
    term: float = 0.0
    """Seconds that the lease lasts after it was renewed."""
    place: str = ""
    """What tells the machine, since it was started, and the container from all others; empty: not known."""
    started: str = ""
    """When the process was started: another one may have its number later."""
    beat: int = 0
    released: bool = False

    @classmethod
    def here(cls, term: float) -> Holder:
        """A run of this process that begins now."""
        began = datetime.now(UTC).isoformat(timespec="seconds")
        pid = os.getpid()
        return cls(uuid.uuid4().hex, socket.gethostname(), pid, began, term, _place(), _started(pid))

    @classmethod
    def read(cls, data: bytes | None) -> Holder:
        """Whoever a lease names."""
        try:
            found = parsed(data or b"{}")
            named = cls(**{field.name: found[field.name] for field in fields(cls) if field.name in found})
            return replace(named, pid=int(named.pid), term=float(named.term))
        except (ValueError, TypeError, OverflowError):
            return cls()

    def to_json(self, beat: int, *, released: bool = False) -> bytes:
        """What stands in the lease, another time after each ``beat``."""
        return json.dumps(asdict(replace(self, beat=beat, released=released)), sort_keys=True).encode()

    def lives(self) -> bool | None:
        """Whether its process is there; None where it is of another machine or container, and nobody here knows."""
        if not self.place or self.place != _place():
            return None
        return self.started == _started(self.pid)

    def __str__(self) -> str:
        return f"the run of process {self.pid} on {self.host}, begun {self.began}"


def _place() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # no Linux
        return ""


def _started(pid: int) -> str:
    """Ticks from the start of the machine to that of a process; empty where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except OSError:
        return ""
