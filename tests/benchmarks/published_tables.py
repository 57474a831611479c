"""Put all tables of the published system together from what is committed under ``results``.

python -m tests.benchmarks.published_tables [--results FOLDER] [--into FOLDER]

Writes ``tables.md`` and ``tables.json`` into the folder, by default that of the results.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from insar_dask.forecast.published.markdown import markdown
from insar_dask.forecast.published.table import assemble
from tests.benchmarks.published_data import RESULTS

TABLES = "tables"
MARKS = {"family", "unit", "baselines", "audit"}
"""What results say that belong to tables, one or the other."""


def main(arguments: list[str]) -> int:
    return put_together(arguments, "the published system", RESULTS, assemble, markdown)


def put_together(
    arguments: list[str],
    what: str,
    results: Path,
    assembled: Callable[[Iterable[Mapping[str, Any]]], dict[str, Any]],
    written: Callable[[Mapping[str, Any]], str],
) -> int:
    parser = argparse.ArgumentParser(description=f"Tables of {what}.")
    parser.add_argument("--results", type=Path, default=results)
    parser.add_argument("--into", type=Path)
    options = parser.parse_args(arguments)
    paths = [path for path in sorted(options.results.glob("*.json")) if path.stem != TABLES]
    found = [json.loads(path.read_text()) for path in paths]
    units = [one for one in found if MARKS & set(one)]  # other benchmarks keep theirs here too
    if not units:
        print(f"{options.results} has no results: run the units first", file=sys.stderr)
        return 1
    tables = assembled(units)
    into = options.into or options.results
    into.mkdir(parents=True, exist_ok=True)
    (into / f"{TABLES}.json").write_text(json.dumps(tables, separators=(",", ":")) + "\n")
    (into / f"{TABLES}.md").write_text(written(tables))
    print(f"{len(units)} results -> {into / TABLES}.md, .json")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
