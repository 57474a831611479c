"""What of a protocol of maps saw the future: all maps after a date are moved, and what changes is named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.forecast.maps.framing import frames_of
from insar_dask.forecast.maps.map_history import MapHistory
from insar_dask.forecast.maps.map_material import STATICS, Material, honest_material, paper_material
from insar_dask.forecast.published.audit import MOVED, Finding, none_leaking, share_moved

__all__ = ["map_audit"]

Float32 = npt.NDArray[np.float32]


def map_audit(tiles: xr.Dataset, protocol: str, **settings: Any) -> list[dict[str, Any]]:
    """Try every step of a protocol on the first tile of a tile cube.

    Parameters
    ----------
    tiles : xr.Dataset
        Tile cube.
    protocol : {"honest", "paper"}
    **settings
        As for `insar_dask.forecast.maps.map_material.honest_material`.

    Returns
    -------
    list of dict
        ``what``, ``leaks``, and what it ``says``, of each step.

    Raises
    ------
    LeakageError
        When a step of the honest protocol leaks.
    """
    one = tiles.isel(tile=[0])
    make = honest_material if protocol == "honest" else paper_material
    found = _findings(one, make(one, **settings), lambda moved: make(moved, **settings))
    return none_leaking(found) if protocol == "honest" else [asdict(finding) for finding in found]


def _findings(tiles: xr.Dataset, material: Material, remade: Any) -> Iterator[Finding]:
    origin = int(material.origins("test")[0])
    blind = remade(_moved(tiles, origin))
    what = "centred average of three dates" if material.protocol == "paper" else "displacement that is read"
    yield _compared(what, material.read[:, :origin], blind.read[:, :origin])
    ours, theirs = (frames_of(made, [0]).frame(0, origin) for made in (material, blind))
    if material.statics is None:
        yield _compared("velocity, acceleration, seasonality", ours.values[:, 1:4], theirs.values[:, 1:4], 1.0)
        yield _compared("line, annual signal and ridge added to", ours.shift, theirs.shift)
    else:
        yield _columns(tiles, material)
    yield _compared("scale of the inputs", ours.scale, theirs.scale)
    yield _compared("calendar", ours.values[:, 4:], theirs.values[:, 4:], 1.0)
    smoothed = float(np.nanmax(np.abs(material.asked - _raw(tiles))))
    says = f"differ from what was measured by up to {smoothed:.1f} mm" if smoothed else "what was measured"
    yield Finding("targets", smoothed > 0, says)
    yield _ages(material)


def _columns(tiles: xr.Dataset, material: Material) -> Finding:
    """Whether the provider's velocity is that of the whole record, or of what lies before the test."""
    history, held = MapHistory(_raw(tiles)[0], material.years), material.mask[0].all(axis=0)
    origin = int(material.origins("test")[0])
    given = tiles[STATICS[0]].transpose("tile", "y", "x").values[0][held]
    whole, past = (
        float(np.abs(history.statics(until)[0][held] - given).mean()) for until in (len(history.maps), origin)
    )
    return Finding(
        "the provider's velocity, acceleration, seasonality",
        whole < past,
        f"its velocity is {whole:.3f} mm/yr from that of the whole record, and {past:.3f} from that before the test",
    )


def _ages(material: Material) -> Finding:
    """Whether a date that is asked for at a test origin was a target of training."""
    last = int(material.origins("train")[-1]) + material.horizon
    gap = int(material.origins("test")[0]) - last
    return Finding("windows of training", gap < 0, f"the last ends {gap} dates before the first date of the test")


def _moved(tiles: xr.Dataset, origin: int) -> xr.Dataset:
    """The tiles with all maps from a column on `MOVED` mm higher."""
    later = (np.arange(tiles.sizes["time"]) >= origin).astype(np.float32)
    return tiles.assign(displacement=tiles["displacement"] + xr.DataArray(np.float32(MOVED) * later, dims="time"))


def _raw(tiles: xr.Dataset) -> Float32:
    return np.asarray(tiles["displacement"].transpose("tile", "time", "y", "x").values, np.float32)


def _compared(what: str, known: npt.NDArray[Any], blind: npt.NDArray[Any], unit: float = MOVED) -> Finding:
    gap = np.isnan(known) != np.isnan(blind)
    change = float(np.nanmax(np.abs(known - blind)))
    leaks = bool(change > 0 or gap.any())
    moves = share_moved(change) if unit == MOVED else f"{change:.2g}"
    return Finding(what, leaks, f"moves by up to {moves}" if leaks else "does not move")
