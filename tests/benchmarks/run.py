"""All benchmarks, one process each with one BLAS thread, as one table against the rivals: `make bench`.

usage: run.py [TOPIC ...]      such as: run.py kernels ingest; default: all
"""

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
COLUMNS = {"what": 44, "ours_s": 10, "rival": 34, "rival_s": 10, "ratio": 8, "bar": 14, "note": 0}


def main(topics: list[str]) -> None:
    found = {path.stem.removeprefix("bench_"): path for path in sorted(HERE.glob("bench_*.py"))}
    unknown = set(topics) - set(found)
    if unknown:
        sys.exit(f"no benchmark is called {sorted(unknown)}; there are {sorted(found)}")
    print(" ".join(f"{name:<{width}}" for name, width in COLUMNS.items()))
    for topic in topics or found:
        for row in rows_of(found[topic]):
            print(" ".join(f"{shown(row.get(name)):<{width}}" for name, width in COLUMNS.items()), flush=True)


def rows_of(path: Path) -> list[dict[str, object]]:
    code = f"import json, runpy; print('\\n' + json.dumps(runpy.run_path({str(path)!r})['rows']()))"
    environment = os.environ | (ONE_THREAD if "ingest" not in path.stem else {})
    done = subprocess.run([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        return [{"what": path.stem, "note": f"failed with exit code {done.returncode}"}]
    rows: list[dict[str, object]] = json.loads(done.stdout.splitlines()[-1])
    return rows


def shown(value: object) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main(sys.argv[1:])
