"""All benchmarks against their rivals and against what the machine allows: `make bench`.

usage: run.py [--quick] [--json FILE] [TOPIC ...]      such as: run.py kernels ingest; default: all

Each topic is a process of its own, which has one BLAS thread from the start. The run ends with exit code 1 when a topic
fails or an accuracy gate does not hold; a speed bar that is missed is shown and no more, since the machine may be
shared. ``--quick`` is a smoke test: small sizes, one run, no judgement of speed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
TWO_THREADS = {"ingest"}
"""Topics that say themselves how many threads each side has."""

PACKAGES = ["numpy", "numba", "scipy", "scikit-learn", "statsmodels", "statsforecast", "xarray", "pandas", "polars"]
PACKAGES += ["dask", "dask-ml", "zarr", "isal", "torch"]
WIDTHS = {"work": 54, "rival": 30, "its time": 10, "ours": 10, "ratio": 8, "bar": 16, "limit": 0}

Row = dict[str, Any]


def main(arguments: list[str], folder: Path = HERE) -> int:
    options = parsed(arguments)
    found = {path.stem.removeprefix("bench_"): path for path in sorted(folder.glob("bench_*.py"))}
    unknown = set(options.topics) - set(found)
    if unknown:
        print(f"no benchmark is called {sorted(unknown)}; there are {sorted(found)}", file=sys.stderr)
        return 2
    machine, rates = header(), {}
    print("\n".join(f"{name}: {value}" for name, value in machine.items()))
    tell("measuring what the machine allows")
    rates = child("from tests.benchmarks import limits; result = limits.rates()", ONE_THREAD, options.quick)
    print("limits of one thread: " + ", ".join(f"{kind} {rate / 1e9:.3g}" for kind, rate in rates.items()) + " G/s")
    print("\n" + line(list(WIDTHS)))
    rows, faults = [], []
    topics = options.topics or list(found)
    for number, topic in enumerate(topics, 1):
        tell(f"{number} of {len(topics)}: {topic}")
        for row in topic_rows(found[topic], options.quick):
            rows.append(judged(row | {"topic": topic}, rates, options.quick))
            faults += rows[-1]["faults"]
            print(shown(rows[-1]), flush=True)
        if options.json:  # after each topic: the next may take an hour
            report = {"machine": machine, "limits": rates, "quick": options.quick, "rows": rows, "faults": faults}
            Path(options.json).write_text(json.dumps(report, indent=1))
    return verdict(rows, faults)


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Benchmarks against the rivals and the machine.")
    parser.add_argument("topics", nargs="*", metavar="TOPIC")
    parser.add_argument("--quick", action="store_true", help="small sizes, one run: a smoke test")
    parser.add_argument("--json", metavar="FILE", help="write everything measured to FILE")
    return parser.parse_args(arguments)


def header() -> dict[str, str]:
    cores = len(os.sched_getaffinity(0))
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "machine": f"{found[1] if found else platform.processor()}, {cores} cores, load {load()}",
        "threads": "1 for BLAS and polars, unless a row says otherwise",
        "python": f"{platform.python_version()}; " + ", ".join(version(name) for name in PACKAGES),
        "seconds": "median CPU seconds of paired, interleaved runs, unless a row says otherwise",
    }


def load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def version(package: str) -> str:
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return f"{package} not installed"


def topic_rows(path: Path, quick: bool) -> list[Row]:
    threads = {} if path.stem.removeprefix("bench_") in TWO_THREADS else ONE_THREAD
    try:
        rows: list[Row] = child(f"import runpy; result = runpy.run_path({str(path)!r})['rows']()", threads, quick)
    except subprocess.CalledProcessError as error:
        return [{"what": path.stem, "failed": f"{path.name} ended with exit code {error.returncode}"}]
    return rows


def child(source: str, threads: dict[str, str], quick: bool) -> Any:
    """``result`` of some source in a process of its own; what it prints goes to standard error."""
    before, after = (
        "import json, os; kept = os.fdopen(os.dup(1), 'w'); os.dup2(2, 1)",
        "json.dump(result, kept, default=float)",
    )
    source = f"{before}; {source}; {after}"
    environment = os.environ | threads | {"PYTHONPATH": str(ROOT)} | ({"BENCH_QUICK": "1"} if quick else {})
    command = [sys.executable, "-c", source]
    return json.loads(subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout)


def judged(row: Row, rates: dict[str, float], quick: bool) -> Row:
    """The row with its faults, the share of the limit that it reaches, and whether it meets its bar."""
    row = {name: value for name, value in row.items() if value is not None}
    bad = [f"{row['what']}: {row['failed']}"] if "failed" in row else []
    bad += [f"{row['what']}: {told(one)}" for one in row.get("gates", []) if not holds(one)]
    more: Row = {"faults": bad, "load": load()}
    if "limit" in row and "ours_s" in row:
        allowed = row["limit"]["amount"] / rates[row["limit"]["kind"]]
        more |= {"limit_s": allowed, "limit_share": allowed / row["ours_s"]}
    if not quick:
        more["met"] = meets(row)
    return row | more


def holds(gate: Row) -> bool:
    """A NaN does not."""
    return bool(gate.get("at_least", float("-inf")) <= gate["value"] <= gate.get("at_most", float("inf")))


def meets(row: Row) -> bool | None:
    """None where there is no bar, or one that only a reader can judge."""
    found = re.fullmatch(r"(>=|<=) ([\d.]+(?:e-?\d+)?)(x| s)?", str(row.get("bar", "")))
    measured = row.get("ours_s" if found and found[3] == " s" else "ratio")
    if not found or measured is None:
        return None
    return bool(measured >= float(found[2]) if found[1] == ">=" else measured <= float(found[2]))


def shown(row: Row) -> str:
    bar = {True: " met", False: " MISSED"}.get(row.get("met"), "")
    cells = [row["what"], row.get("rival", ""), time_of(row.get("rival_s")), time_of(row.get("ours_s"))]
    cells += [f"{figure(row['ratio'])}x" if "ratio" in row else "", f"{row.get('bar', '')}{bar}", limit_of(row)]
    more = [f"FAILS: {told(one)}" for one in row.get("gates", []) if not holds(one)]
    more += accuracy([one for one in row.get("gates", []) if holds(one)])
    more += [f"{name}: {row[name]}" for name in ("failed", "missing", "clock", "note") if row.get(name)]
    if "process" in row:
        rival, ours, ratio = (figure(row["process"][name]) for name in ("rival_s", "ours_s", "ratio"))
        more.append(f"whole process: rival {rival} s, ours {ours} s, {ratio}x")
    return "\n".join([line(cells), *(f"    {text}" for text in more)])


def accuracy(gates: list[Row]) -> list[str]:
    """A line for each bound: what lies within it."""
    bounds: dict[str, list[str]] = {}
    for one in gates:
        bounds.setdefault(bound(one), []).append(f"{one['name']} {one['value']:.3g}")
    return [f"accurate, {wanted}: {', '.join(values)}" for wanted, values in bounds.items()]


def limit_of(row: Row) -> str:
    if "limit_s" not in row:
        return ""
    return f"{row['limit']['kind']} {time_of(row['limit_s'])}: {100 * row['limit_share']:.3g} %"


def told(gate: Row) -> str:
    return f"{gate['name']} {gate['value']:.3g}, wanted {bound(gate)}"


def bound(gate: Row) -> str:
    signs = (("at_least", ">="), ("at_most", "<="))
    return " and ".join(f"{sign} {gate[key]:.3g}" for key, sign in signs if key in gate)


def time_of(seconds: float | None) -> str:
    return "" if seconds is None else f"{figure(seconds)} s"


def figure(value: float) -> str:
    """Three digits, and all before the point."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def line(cells: list[str]) -> str:
    return " ".join(f"{cell:<{width}}" for cell, width in zip(cells, WIDTHS.values(), strict=True)).rstrip()


def tell(what: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}, load {load()}] {what}", file=sys.stderr, flush=True)


def verdict(rows: list[Row], faults: list[str]) -> int:
    missed = [row["what"] for row in rows if row.get("met") is False]
    if missed:
        print(f"\n{len(missed)} bars missed: {'; '.join(missed)}")
    for fault in faults:
        print(f"FAILED {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
