"""How long a user waits before anything happens: importing the package, and asking for help."""

import statistics
import subprocess
import sys
import time

RUNS = 7
CASES = {
    "import insar_dask": ([sys.executable, "-c", "import insar_dask"], "<= 0.8 s"),
    "import insar_dask; insar_dask.motion": ([sys.executable, "-c", "import insar_dask; insar_dask.motion"], None),
    "insar-dask --help": ([sys.executable, "-m", "insar_dask", "--help"], "<= 0.5 s"),
}


def rows() -> list[dict[str, object]]:
    return [
        {"what": what, "ours_s": median(command), "clock": "wall", "bar": bar} for what, (command, bar) in CASES.items()
    ]


def median(command: list[str]) -> float:
    seconds = []
    for _ in range(RUNS + 1):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:])


if __name__ == "__main__":
    for row in rows():
        print(row)
