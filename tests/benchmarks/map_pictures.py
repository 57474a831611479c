"""Figures 2 to 6 of MM-STT from the forecasts of finished units, beside forecasts that need no network.

python -m tests.benchmarks.map_pictures [honest] [paper] [--seed 1] [--into examples/figures]

The forecasts lie in ``out/maps`` where the units ran; they are too large for git.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from insar_dask.forecast.maps.map_markdown import TITLES
from insar_dask.forecast.maps.map_material import PROTOCOLS, Material
from insar_dask.forecast.maps.map_scoring import value_range
from insar_dask.forecast.maps.map_unit import NETWORKS
from insar_dask.forecast.maps.naive_maps import naive_maps
from insar_dask.report.error_figures import plot_binned_errors, plot_residual_maps, plot_scatter
from insar_dask.report.map_figures import Region, plot_model_maps, plot_region_maps
from insar_dask.report.node_figures import Node, plot_nodes
from tests.benchmarks.map_data import EVENTS, SCRATCH, TRAINED, forecasts_of, kept_forecasts, material, sides
from tests.benchmarks.map_doc import FIGURES, write_figure
from tests.benchmarks.map_tables import REGIMES

Float32 = npt.NDArray[np.float32]

BESIDE = ("persistence", "harmonic_ridge")
NODES, PAST = 6, 40
"""Nodes of a figure, and dates shown before the origin."""

TRUTH = {"honest": "raw maps", "paper": "measured maps are averaged over three dates"}
"""What a reader of a figure has to know of its protocol."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Figures of the forecasts of maps.")
    parser.add_argument("protocols", nargs="*", default=PROTOCOLS, help=f"of {', '.join(PROTOCOLS)}")
    parser.add_argument("--seed", type=int, default=1, help="of the units whose forecasts are drawn")
    parser.add_argument("--scratch", type=Path, default=SCRATCH, help="where the forecasts lie")
    parser.add_argument("--into", type=Path, default=FIGURES, help="folder of the figures")
    options = parser.parse_args(arguments)
    options.into.mkdir(parents=True, exist_ok=True)
    for protocol in options.protocols:
        given = material(protocol, options.scratch)
        for name, figure in figures(given, forecasts(given, options.scratch, options.seed)).items():
            write_figure(figure, options.into / f"mmstt-{protocol}-{name}.png")
    return 0


def forecasts(given: Material, scratch: Path, seed: int) -> dict[str, dict[str, Float32]]:
    """Forecasts (o, h, Y, X) [mm] at the test origins by method and tile, networks first."""
    found: dict[str, dict[str, Float32]] = {}
    for network in NETWORKS:
        unit = f"{given.protocol}-{network}-seed{seed}"
        path = forecasts_of(unit, scratch)
        if not path.exists():
            raise SystemExit(f"{path} is not there: python -m tests.benchmarks.map_units {unit} makes it")
        found[network] = kept_forecasts(path, given)
    origins = given.origins("test").tolist()
    for name, forecast in naive_maps(given, sides(given).trained, BESIDE):
        found[name] = {tile: forecast(at, origins) for at, tile in enumerate(given.names)}
    return found


def figures(given: Material, said: dict[str, dict[str, Float32]]) -> dict[str, Figure]:
    (tile,), origins = TRAINED, given.origins("test").tolist()
    at, last = given.names.index(tile), len(origins) - 1
    asked = np.stack([given.targets(at, origin) for origin in origins])
    mine = of_tile(said, tile)
    day = np.datetime64(int(given.days[origins[last] + given.horizon - 1]), "D")
    first = next(iter(said))
    how = f"{TITLES[given.protocol]}: {TRUTH[given.protocol]}"
    return {
        "nodes": plot_nodes(
            [node(given, mine, at, cell, origins[last], last) for cell in cells(given, at, NODES)],
            f"{tile}: six nodes, {how}",
        ),
        "maps": plot_model_maps(
            asked[last, -1],
            {name: maps[last, -1] for name, maps in mine.items()},
            given.mask[at, origins[last] + given.horizon - 1],
            value_range(given, at),
            f"{tile}, t+{given.horizon}, {day}, {how}",
        ),
        "scatter": plot_scatter(asked, mine, f"{tile}, all leads of {len(origins)} origins, {how}"),
        "residuals": plot_residual_maps(
            {name: maps - asked for name, maps in mine.items()}, f"{tile}, all leads, {how}"
        ),
        "binned": plot_binned_errors(asked, mine, f"{tile}, all leads, {how}"),
        "regions": plot_region_maps(
            [region(given, said[first], name, last, origins[last]) for name in given.names],
            {titled(name): value_range(given, at) for at, name in enumerate(given.names)},
            f"{first}, t+{given.horizon}, {day}, {how}",
        ),
        "regimes": plot_nodes(
            [
                node(given, of_tile(said, name), given.names.index(name), cell, origins[last], last, shown)
                for label, name, cell in regimes(given, origins[last])
                for shown in (label, None)
            ],
            f"A node of each regime, and its last dates, {how}",
        ),
    }


def of_tile(said: dict[str, dict[str, Float32]], tile: str) -> dict[str, Float32]:
    return {method: tiles[tile] for method, tiles in said.items()}


def regimes(given: Material, origin: int) -> list[tuple[str, str, tuple[int, int]]]:
    """Regime, tile and cell: the quietest and the fastest, the one that breathes most, the one that broke most."""
    (trained,) = TRAINED
    first = {REGIMES[name]: name for name in reversed(given.names) if name != trained}
    number = {name: given.names.index(name) for name in given.names}
    quiet, *_, fast = cells(given, number[trained], given.mask[0, 0].size)
    (jumped,) = cells(given, number[first["coseismic"]], 1)
    breathing = number[first["periodic"]]
    season = np.where(given.mask[breathing].all(axis=0), given.history(breathing).statics(origin)[2], -np.inf)
    row, column = divmod(int(season.argmax()), season.shape[1])
    return [
        ("stable", trained, quiet),
        ("continuous", trained, fast),
        ("periodic", first["periodic"], (row, column)),
        ("coseismic", first["coseismic"], jumped),
    ]


def cells(given: Material, tile: int, n: int) -> list[tuple[int, int]]:
    """Cells that always hold a point, from the one that has moved least to the one that has moved most."""
    held = given.mask[tile].all(axis=0)
    change = np.where(held, np.abs(given.read[tile, -1] - given.read[tile, 0]), np.nan)
    order = np.argsort(change, axis=None)[: int(held.sum())]
    taken = order[np.linspace(len(order) - 1, 0, n).round().astype(int)[::-1]]
    return [divmod(int(at), held.shape[1]) for at in taken]


def node(
    given: Material,
    said: dict[str, Float32],
    tile: int,
    cell: tuple[int, int],
    origin: int,
    at: int,
    regime: str | None = None,
) -> Node:
    """One cell and its last dates; all dates of one that stands for a regime."""
    row, col = cell
    past = origin if regime else PAST
    shown = slice(origin - past, origin + given.horizon)
    name = f"{given.names[tile]}, row {row}, column {col}"
    series = given.asked[tile, shown, row, col]
    days = given.days[shown].astype("datetime64[D]")
    forecasts = {method: maps[at, :, row, col] for method, maps in said.items()}
    event = EVENTS.get(given.names[tile]) if regime else None
    return Node(f"{regime}: {name}" if regime else name, days, series, past, forecasts, event)


def region(given: Material, said: dict[str, Float32], name: str, at: int, origin: int) -> Region:
    tile, date = given.names.index(name), origin + given.horizon - 1
    return Region(titled(name), said[name][at, -1], given.asked[tile, date], given.mask[tile, date])


def titled(name: str) -> str:
    return f"{name} ({REGIMES[name]})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
