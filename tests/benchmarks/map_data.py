"""The tiles of the tables of maps: six synthetic ones of EGMS, written as files, read and rasterised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr

import insar_dask as insar
from insar_dask.forecast.maps.holdout import Holdout, hold_out
from insar_dask.forecast.maps.map_material import Material, honest_material, paper_material
from insar_dask.settings import known
from insar_dask.synthetic.tiles import TILES, write_egms_tiles

__all__ = [
    "DATA",
    "EVENTS",
    "MATERIALS",
    "RESULTS",
    "SCRATCH",
    "TRAINED",
    "forecasts_of",
    "kept_forecasts",
    "material",
    "sides",
    "tiles",
]

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).parent / "results" / "maps"
SCRATCH = ROOT / "out" / "maps"
"""Files, checkpoints and forecasts; git does not see it."""

MATERIALS = {"honest": honest_material, "paper": paper_material}
"""What makes the material of a protocol out of a tile cube."""

TRAINED = ("E32N34",)
"""The tile that MM-STT is trained on; all others are held out."""

DATA = "data"
"""Name, among the forecasts of a unit, of what they were made of."""

EVENTS = {name: np.datetime64(kind.event) for name, kind in TILES.items() if kind.event}
"""Days of the earthquakes."""


def tiles(scratch: Path = SCRATCH) -> xr.Dataset:
    """Six tiles of 64 x 64 cells and 304 dates."""
    path = scratch / "tiles.zarr"
    if not path.exists():
        scratch.mkdir(parents=True, exist_ok=True)
        files = scratch / "egms"
        write_egms_tiles(files)
        parts = [insar.rasterise(insar.read_egms(file)) for file in sorted(files.glob("*.zip"))]
        made = xr.concat(parts, "tile", coords="minimal", compat="override", data_vars="minimal")
        draft = path.with_suffix(".part")
        made.to_zarr(draft, mode="w", consolidated=False)
        draft.replace(path)
    return xr.open_zarr(path, consolidated=False).load()


def material(protocol: str, scratch: Path = SCRATCH) -> Material:
    """What a protocol makes of the tiles."""
    return MATERIALS[known("protocol", protocol, MATERIALS)](tiles(scratch))


def sides(given: Material) -> Holdout:
    """The tile to learn from, and the others."""
    return hold_out(given, TRAINED)


def forecasts_of(unit: str, scratch: Path = SCRATCH) -> Path:
    """Where the forecasts of a unit lie."""
    return scratch / f"{unit}.npz"


def kept_forecasts(path: Path, given: Material) -> dict[str, npt.NDArray[np.float32]]:
    """Forecasts (o, h, Y, X) [mm] of a unit by tile, of these maps and no others."""
    with np.load(path) as kept:
        if DATA not in kept.files or str(kept[DATA]) != given.digest:
            raise SystemExit(f"{path} holds forecasts of other maps: remove it, and run its unit again")
        return {name: kept[name] for name in kept.files if name != DATA}
