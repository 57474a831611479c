"""Units of tables that several processes work off: what is asked for, claims, results, and what a machine can do."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from insar_dask.forecast.bfloat16 import is_quick

__all__ = ["calibration", "claimed", "keep", "machine", "parsed", "tell", "work_off", "write"]


class Named(Protocol):
    @property
    def name(self) -> str: ...


Unit = TypeVar("Unit", bound=Named)

GEMM = 1024


def parsed(arguments: list[str], what: str, results: Path, scratch: Path, most: tuple[str, int, str]) -> Any:
    """Options of a command that works off units; ``most`` is what bounds a training: flag, default and help."""
    parser = argparse.ArgumentParser(description=f"Units of {what}.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="units to run; default: the next ones")
    parser.add_argument("--count", type=int, default=0, help="units to run at most")
    parser.add_argument(most[0], type=int, default=most[1], help=most[2])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--results", type=Path, default=results, help="where the JSON files go")
    parser.add_argument("--scratch", type=Path, default=scratch, help="where checkpoints and forecasts go")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--baselines", action="store_true")
    return parser.parse_args(arguments)


def work_off(units: Sequence[Unit], options: Any, run: Callable[[Unit, Any], None]) -> int:
    """Run the units asked for that nobody has finished or is at, one after the other, or list them."""
    if options.list:
        for unit in units:
            tell(f"{unit.name} {'done' if (options.results / f'{unit.name}.json').exists() else ''}")
        return 0
    done = 0
    for unit in _chosen(units, options.names):
        if options.count and done >= options.count:
            break
        with claimed(unit.name, options.results, options.scratch) as ours:
            if ours:
                run(unit, options)
                done += 1
    return 0


def _chosen(units: Sequence[Unit], names: Sequence[str]) -> list[Unit]:
    everything = {unit.name: unit for unit in units}
    unknown = [name for name in names if name not in everything]
    if unknown:
        raise SystemExit(f"no unit is called {unknown[0]!r}; --list names them")
    return [everything[name] for name in names] or list(units)


@contextmanager
def claimed(name: str, results: Path, scratch: Path) -> Iterator[bool]:
    """Whether the unit is not finished and nobody else is at it; then it is ours. A dead process's claim is void."""
    if (results / f"{name}.json").exists():
        yield False
        return
    scratch.mkdir(parents=True, exist_ok=True)
    lock, draft = scratch / f"{name}.lock", scratch / f"{name}.lock-{os.getpid()}"
    if lock.exists() and lock.read_text() != _process(int(lock.read_text().split()[0])):
        lock.unlink()
    draft.write_text(_process(os.getpid()))
    try:
        os.link(draft, lock)  # with its text, or not at all
    except FileExistsError:
        yield False
        return
    finally:
        draft.unlink()
    try:
        yield True
    finally:
        lock.unlink()


def _process(pid: int) -> str:
    """A process by its number and the tick in which it began, since numbers are given again; empty where it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return ""
    return f"{pid} {stat.rpartition(')')[2].split()[19]}"


def write(path: Path, result: dict[str, Any]) -> None:
    """Whole or not at all: what stands under the name is finished."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(result) + "\n")
    part.replace(path)


def keep(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Arrays as an .npz file, whole or not at all."""
    part = path.with_suffix(".part.npz")
    np.savez(part, **arrays)
    part.replace(path)


def calibration() -> float:
    """float32 GEMM of one thread [GFLOP/s of CPU time]."""
    left = torch.rand(GEMM, GEMM)
    times = []
    for _ in range(9):
        began = time.process_time()
        left @ left
        times.append(time.process_time() - began)
    return round(2 * GEMM**3 / statistics.median(times) / 1e9, 1)


def machine(device: str = "cpu") -> dict[str, Any]:
    return {
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
        "torch": torch.__version__,
        "bfloat16": is_quick(torch.device(device).type),
        "date": time.strftime("%Y-%m-%d"),
    }


def tell(what: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}, load {os.getloadavg()[0]:.1f}] {what}", flush=True)
