"""Alarms of a product that goes on with an earlier one, as the page tells them: rule, list, and where values lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from insar_dask.jobs.engine import Engine
from insar_dask.objects import get_bytes
from insar_dask.store import open_group
from insar_dask.viewer.overview import DECIMETRE

__all__ = ["shown_alarms"]

MOST_LISTED = 200
"""Alarms of the page's list, the most certain ones; rings are drawn about all alarmed points."""

POINT = ("alarm", "departure", "excess", "q_value", "lasting", "since")
"""What is told of a chosen point."""

LISTED = ("n_points", "departure", "half_intervals", "since", "dates_outside", "q_value")


def shown_alarms(
    engine: Engine, product: str, cubes: Mapping[str, xr.Dataset], offset: Sequence[float]
) -> dict[str, Any] | None:
    """What an update found of a product; None where it goes on with no other.

    Parameters
    ----------
    engine : Engine
    product : str
    cubes : mapping
        Groups of the product that the map is made of; ``alarms`` among them where some points could be judged.
    offset : (float, float)
        Easting and northing that places are counted from [m].

    Returns
    -------
    dict or None
        ``absent``: why nothing could be judged. Else of the note of `insar_dask.jobs.steps.alarm_jobs` ``rate``,
        ``control``, ``lasting``, ``days``, ``n_judged``, ``n_alarmed``, ``not_judged`` (later dates) and ``seen``;
        ``listed``, the surest of ``n_listed`` alarms of `insar_dask.report.alarm_list`, each with ``row``, its surest
        point, and ``box`` [0.1 m from the offset]; ``paths`` of arrays over the points; ``foretold``, where the
        departure of each date and half the interval's width lie, with its ``level``.
    """
    note = engine.ledger.read_note(f"alarms/{product}")
    if note is None:
        return None
    if "absent" in note or "alarms" not in cubes:
        return {"absent": str(note.get("absent", "they are not whole; `insar-dask update` finds them anew"))}
    rule = note["rule"]
    days = [int(day) for day in np.asarray(note["dates"], "datetime64[D]").astype(np.int64)]
    return {
        "rate": rule["rate"],
        "control": rule["control"],
        "lasting": note["lasting"],
        "days": days,
        **{name: note[name] for name in ("n_judged", "n_alarmed")},
        "not_judged": len(note["not_judged"]),
        "seen": bool(note.get("seen")),
        **_listed(cubes["alarms"], np.datetime64(note["dates"][0]), rule["reach"], offset),
        "paths": {name: f"{product}/alarms/{name}" for name in POINT},
        "foretold": {
            "paths": {"departure": f"{product}/judged/departure", "half_width": f"{product}/departures/half_width"},
            "level": _level(engine, str(note["forecast"])),
        },
    }


def _listed(alarms: xr.Dataset, first_date: np.datetime64, reach: float, offset: Sequence[float]) -> dict[str, Any]:
    from insar_dask.report.alarm_list import alarm_list

    alarms = alarms[["easting", "northing", "crs", "point_id", "alarm", "departure", "excess", "since", "lasting",
                     "q_value"]].compute()  # fmt: skip
    found = alarm_list(alarms, first_date, reach)
    listed = [
        {name: one[name] for name in LISTED} | _where(alarms.isel(point=one["points"]), one["points"], offset)
        for one in found[:MOST_LISTED]
    ]
    return {"listed": listed, "n_listed": len(found)}


def _where(mine: xr.Dataset, rows: Sequence[int], offset: Sequence[float]) -> dict[str, Any]:
    steps = [
        np.rint((mine[name].values - origin) / DECIMETRE).astype(int)
        for name, origin in zip(("easting", "northing"), offset, strict=True)
    ]
    box = [int(edge) for edge in (*(axis.min() for axis in steps), *(axis.max() for axis in steps))]
    return {"row": int(rows[int(mine["q_value"].values.argmin())]), "box": box}


def _level(engine: Engine, forecast: str) -> float | None:
    """Of the interval that new dates were held against; None where that forecast is gone."""
    if get_bytes(engine.store, f"{forecast}/zarr.json") is None:
        return None
    attrs = open_group(engine.store, forecast).attrs
    return float(attrs["level"]) if "level" in attrs else None
