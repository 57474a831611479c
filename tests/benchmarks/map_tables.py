"""Put all tables of maps together from what is committed under ``results/maps``.

python -m tests.benchmarks.map_tables [--results FOLDER] [--into FOLDER]

Writes ``tables.md`` and ``tables.json`` into the folder, by default that of the results.
"""

from __future__ import annotations

import sys

from insar_dask.forecast.maps.map_markdown import map_markdown
from insar_dask.forecast.maps.map_table import assemble_maps
from insar_dask.synthetic.tiles import TILES
from tests.benchmarks.map_data import RESULTS
from tests.benchmarks.published_tables import put_together

REGIMES = {name: str(kind.shared) for name, kind in TILES.items()}


def main(arguments: list[str]) -> int:
    return put_together(arguments, "maps", RESULTS, assemble_maps, lambda tables: map_markdown(tables, REGIMES))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
