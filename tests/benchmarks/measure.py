"""What the benchmarks share: paired timing, whole processes, and the rows they make.

A row is a dictionary of plain values, all but ``what`` optional; `run.py` prints it and judges it:

========================= ==========================================================================================
``what``                  the work, with its size
``rival``, ``rival_s``    who else does it, and the median seconds it takes
``ours_s``, ``ratio``     our median seconds, and the median of the paired ratios rival / ours
``bar``                   what was promised: ``">= 12"`` or ``"<= 3"`` of the ratio, ``"<= 10 s"`` of our seconds
``gates``                 accuracy: `gate` dictionaries; one that does not hold ends the run with exit code 1
``limit``                 `limit`: what the machine allows, and how much of it the work needs
``process``               `whole_process`: the same from nothing, imports included
``clock``                 which, where it is not CPU seconds
``missing``               why the rival could not be measured
``note``                  anything else
========================= ==========================================================================================

Seconds are CPU seconds unless the row says otherwise: the machine may be shared. `run.py` starts each topic as a
process of its own, with one thread for BLAS before anything is imported.
"""

from __future__ import annotations

import importlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

QUICK = bool(os.environ.get("BENCH_QUICK"))
"""A smoke test: small sizes, one run. Accuracy is judged all the same, speed is not."""

RUNS = 1 if QUICK else 7
PROCESSES = 1 if QUICK else 3

Row = dict[str, Any]


def size(n_points: int) -> int:
    """Points to measure: all of them, or two hundredths in a smoke test."""
    return max(n_points // 50, 100) if QUICK else n_points


def paired(
    ours: Callable[[], object], rival: Callable[[], object], runs: int = RUNS
) -> tuple[list[float], list[float]]:
    """CPU seconds of interleaved runs of both, after one warm run of each."""
    ours(), rival()
    times = [(seconds(ours), seconds(rival)) for _ in range(runs)]
    return [a for a, _ in times], [b for _, b in times]


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    began = clock()
    work()
    return clock() - began


def row(
    what: str, ours: list[float], rival: str = "", theirs: list[float] | None = None, scale: float = 1.0, **more: Any
) -> Row:
    """Medians of paired runs; ``scale`` is our work over the rival's, where it was given less."""
    entry = {"what": what, "ours_s": statistics.median(ours)}
    if theirs is not None:
        ratio = statistics.median(scale * b / a for a, b in zip(ours, theirs, strict=True))
        entry |= {"rival": rival, "rival_s": scale * statistics.median(theirs), "ratio": ratio}
    return entry | {name: value for name, value in more.items() if value is not None}


def gate(name: str, value: float, at_most: float | None = None, at_least: float | None = None) -> Row:
    """What must hold for the timing to mean anything; a NaN never holds."""
    bounds = {"at_most": at_most, "at_least": at_least}
    return {"name": name, "value": float(value), **{key: bound for key, bound in bounds.items() if bound is not None}}


def limit(kind: str, amount: float) -> Row:
    """Physical limit of some work: a kind of `limits.rates`, and the bytes or operations that no way avoids."""
    return {"kind": kind, "amount": float(amount)}


def worst(ours: Any, exact: Any) -> float:
    """Largest difference; infinite where one has a value and the other none."""
    ours, exact = np.asarray(ours), np.asarray(exact)
    if not np.array_equal(np.isnan(ours), np.isnan(exact)):
        return float("inf")
    return float(np.nanmax(np.abs(ours - exact)))


def whole_process(ours: str, rival: str, scale: float = 1.0, **arrays: Any) -> Row:
    """Both as a user starts them: interpreter, imports, cached code, ``arrays`` loaded from files under their names.

    ``ours`` and ``rival`` are Python source. CPU seconds of the whole process; the first run of each is not counted,
    since it brings files into memory and compiles. Wall seconds are told too.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, array in arrays.items():
            np.save(Path(folder, name), array)
        load = "".join(f"{name} = np.load({str(Path(folder, name)) + '.npy'!r}); " for name in arrays)
        sources = [f"import numpy as np; {load}\n{source}" for source in (ours, rival)]
        runs = [[one_process(source) for source in sources] for _ in range(PROCESSES + 1)][1:]
    (mine, my_wall), (theirs, their_wall) = ((column(runs, k, 0), column(runs, k, 1)) for k in (0, 1))
    return {
        "ours_s": statistics.median(mine),
        "rival_s": scale * statistics.median(theirs),
        "ratio": statistics.median(scale * b / a for a, b in zip(mine, theirs, strict=True)),
        "ours_wall_s": statistics.median(my_wall),
        "rival_wall_s": scale * statistics.median(their_wall),
    }


def one_process(source: str) -> tuple[float, float]:
    """CPU and wall seconds of a fresh interpreter that runs ``source``."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", source])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"exit code {process.returncode} of: {source}")
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - began


def watch(command: list[str]) -> tuple[float, int, int, str]:
    """Seconds and the largest memory summed over the process and its children: resident, and with shared pages once."""
    began = time.perf_counter()
    most_rss = most_pss = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        root = psutil.Process(process.pid)
        while process.poll() is None:
            rss = pss = 0
            for member in [root, *children(root)]:
                try:
                    memory = member.memory_full_info()
                    rss, pss = rss + memory.rss, pss + memory.pss
                except psutil.Error:
                    continue
            most_rss, most_pss = max(most_rss, rss), max(most_pss, pss)
            time.sleep(0.25)
        output = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise RuntimeError(f"{command} ended with exit code {process.returncode}")
    return time.perf_counter() - began, most_rss, most_pss, output


def children(root: psutil.Process) -> list[psutil.Process]:
    try:
        return root.children(recursive=True)
    except psutil.Error:
        return []


def column(runs: Iterable[list[tuple[float, float]]], side: int, clock: int) -> list[float]:
    return [pair[side][clock] for pair in runs]


def absent(package: str) -> str | None:
    """Why a rival cannot be measured; None where it can."""
    try:
        importlib.import_module(package)
    except ImportError as error:
        return f"{package} cannot be imported here: {error}; `make bench` installs it where it can be had"
    return None
