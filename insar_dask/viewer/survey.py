"""What an overview is made of: which groups of a product are whole, and what is true of all their points."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.jobs.engine import Engine
from insar_dask.jobs.lineage import is_current
from insar_dask.store import all_arrays
from insar_dask.viewer.overview import VARIABLES, is_small, packing, shown_range

__all__ = ["PLACES", "Source", "Survey", "Tell", "base_of", "groups_of", "plain", "sources_of", "survey_of"]

PLACES = ("easting", "northing")

GROUPS = ("products", "patterns", "outlook", "raw", "alarms")
"""What the map is read from; of the first that is whole also places, and what all of them have of the raw cube."""

SERIES = ("smooth", "parts", "forecast", "predicted")
"""What else the page reads, point by point."""

Tell = Callable[[str], object]


@dataclass(frozen=True)
class Source:
    """A group that variables of the map are read from, whole."""

    names: tuple[str, ...]
    checksums: tuple[str, ...]


@dataclass(frozen=True)
class Survey:
    """What is true of all points: whence places count, extent; steps, first ranges and least and most of variables."""

    offset: tuple[float, float]
    extent: tuple[float, float, float, float]
    steps: Mapping[str, float]
    ranges: Mapping[str, tuple[float, float]]
    limits: Mapping[str, tuple[float, float]]
    classes: int


def groups_of(engine: Engine, product: str, tell: Tell = lambda _: None) -> list[str]:
    """Groups of a product that are whole, and made of what is stored now.

    Parameters
    ----------
    engine : Engine
    product : str
    tell : callable
        Gets why one that is there is left out.
    """
    return [
        group
        for group in (*GROUPS, *SERIES)
        if is_current(engine, f"{product}/{group}", lambda why: tell(f"left out: {why}"))
    ]


def sources_of(engine: Engine, product: str, current: Collection[str]) -> dict[str, Source]:
    """What is read of each of some groups; places come from the first of `GROUPS` among them, which is the smallest.

    Raises
    ------
    JobError
        When not even the cube is whole.
    """
    groups: dict[str, list[str]] = {}
    whole = [group for group in GROUPS if group in current]
    if not whole:
        engine.require(f"{product}/raw")
    known = {group: {array.basename for array, _ in all_arrays(engine.store, f"{product}/{group}")} for group in whole}
    for name in (*PLACES, *VARIABLES):
        # what a group has taken over from the raw cube is read there: the series need not be
        shown = VARIABLES.get(name)
        wanted = whole[:1] if shown is None or shown.group == "raw" else [shown.group]
        for group in wanted:
            if name in known.get(group, ()):
                groups.setdefault(group, []).append(name)
    return {
        group: Source(tuple(names), tuple(r.checksum for r in engine.require(f"{product}/{group}").values()))
        for group, names in groups.items()
    }


def base_of(sources: Mapping[str, Source]) -> str:
    """The group that places are read from."""
    return next(group for group, source in sources.items() if "easting" in source.names)


def plain(name: str, values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """One number a point: of the probability of passing a limit that of the last date."""
    return values[:, -1] if name == "exceedance" else values


def survey_of(cubes: Mapping[str, xr.Dataset], base: str, sources: Mapping[str, Source]) -> Survey:
    """One look at every variable: a few bytes a point."""
    east, north = (cubes[base][name].values for name in PLACES)
    extent = float(east.min()), float(north.min()), float(east.max()), float(north.max())
    middle = round((extent[0] + extent[2]) / 2), round((extent[1] + extent[3]) / 2)
    steps: dict[str, float] = {}
    ranges: dict[str, tuple[float, float]] = {}
    limits: dict[str, tuple[float, float]] = {}
    classes = 0
    for group, name in _variables(sources):
        values = plain(name, cubes[group][name].values)
        if is_small(name):
            most = int(values.max(initial=-1))
            steps[name], ranges[name], limits[name] = 1.0, (0.0, most + 1.0), (-1.0, float(most))
            classes = most + 1 if name == "cluster" else classes
            continue
        known = np.asarray(values[np.isfinite(values)], np.float64)
        if known.size:  # of a variable without any value there is nothing to show
            limits[name] = float(known.min()), float(known.max())
            steps[name] = packing(name, max(map(abs, limits[name])))
            ranges[name] = shown_range(name, known)
    return Survey((float(middle[0]), float(middle[1])), extent, steps, ranges, limits, classes)


def _variables(sources: Mapping[str, Source]) -> Iterator[tuple[str, str]]:
    of = {name: group for group, source in sources.items() for name in source.names}
    return ((of[name], name) for name in VARIABLES if name in of)
