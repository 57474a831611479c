"""Put all tables of the published system together from what is committed under ``results``.

python -m tests.benchmarks.published_tables [--results FOLDER] [--into FOLDER]

Writes ``tables.md`` and ``tables.json`` into the folder, by default that of the results.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from insar_dask.forecast.published.markdown import markdown
from insar_dask.forecast.published.table import assemble
from tests.benchmarks.published_data import RESULTS

TABLES = "tables"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Tables of the published system.")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--into", type=Path)
    options = parser.parse_args(arguments)
    paths = [path for path in sorted(options.results.glob("*.json")) if path.stem != TABLES]
    if not paths:
        print(f"{options.results} has no results: run tests.benchmarks.published_units first", file=sys.stderr)
        return 1
    tables = assemble(json.loads(path.read_text()) for path in paths)
    into = options.into or options.results
    into.mkdir(parents=True, exist_ok=True)
    (into / f"{TABLES}.json").write_text(json.dumps(tables, separators=(",", ":")) + "\n")
    (into / f"{TABLES}.md").write_text(markdown(tables))
    print(f"{len(paths)} results -> {into / TABLES}.md, .json")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
