"""A newer product onto an older one of a store: overlap compared shard by shard, then one series made of both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import describe
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.memory import BASE_BYTES
from insar_dask.jobs.receipts import Ledger
from insar_dask.jobs.steps.gathering import Stored, gather
from insar_dask.jobs.steps.paired_jobs import Order, store_paired
from insar_dask.readers.point_order import hilbert_order
from insar_dask.shards import SHARD_POINTS, ShardPlan
from insar_dask.store import open_group
from insar_dask.updating.following import FEWEST_SHARED, check_follows, check_newer, shared_days
from insar_dask.updating.joining import joined_dates, joined_series, later_dates
from insar_dask.updating.judging import SAME, Verdict, judge_overlap
from insar_dask.updating.overlap import OVERLAP, compare_vintages
from insar_dask.updating.pairing import WITHIN, Pairing, Places, pair_points

__all__ = ["PLACES", "Meeting", "blank", "compare_stored", "join_stored"]

PLACES = ("point_id", "easting", "northing")

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Meeting:
    """An older and a newer stored cube, which of their points are the same, and what the overlap says."""

    older: Stored
    newer: Stored
    pairing: Pairing
    verdict: Verdict
    offset: npt.NDArray[np.float32]
    """(n,) mm that each point of the newer cube lies above the older one; that of the scene where it is not known."""
    offset_error: npt.NDArray[np.float32]
    """(n,) mm; NaN where the offset is that of the scene, or of too few dates: such a point cannot be judged."""

    def cubes(self) -> tuple[xr.Dataset, xr.Dataset]:
        """Both cubes, lazy."""
        return tuple(open_group(one.path, one.group) for one in (self.older, self.newer))  # type: ignore[return-value]


def compare_stored(
    engine: Engine,
    older: Stored,
    newer: Stored,
    target: str,
    *,
    how: Literal["auto", "append", "vintage"] = "auto",
    within: float = WITHIN,
    names: tuple[str, str] | None = None,
) -> Meeting:
    """Compare two stored cubes where they overlap, into the group ``target`` over the points of the newer one.

    Parameters
    ----------
    engine : Engine
        Where jobs run; its store gets the group.
    older, newer : Stored
        Groups of raw cubes.
    target : str
    how : {"auto", "append", "vintage"}
        What the newer one is taken for, see `insar_dask.updating.judging.judge_overlap`.
    within : float
        Metres that a point may have moved.
    names : (str, str), optional
        For messages.

    Raises
    ------
    CubeError
        When the newer one cannot go on with the older one: the message names both and the cure.
    """
    cubes = open_group(older.path, older.group), open_group(newer.path, newer.group)
    names = names or (older.group, newer.group)
    check_follows(*cubes, names)
    times = cubes[0]["time"].values, cubes[1]["time"].values
    check_newer(times[0], times[1], names)
    pairing = pair_points(Places.of(cubes[0]), Places.of(cubes[1]), within)
    days = shared_days(*times)
    orders = {}
    for index in range(newer.plan.n_shards):
        where = newer.plan.slice(index)
        before = pairing.before[where]
        arrays = {"before": before, "days": days, "older": _at(times[0], days), "newer": _at(times[1], days)}
        parts = {"older": older.part(before), "newer": newer.part(np.arange(where.start, where.stop))}
        states = {"points": engine.ledger.write_state(arrays)}
        orders[index] = {"parts": parts, "states": states, "params": {"first": where.start}}
    none = np.zeros((0, len(days)), np.float32)
    found = {name: ("point", values, describe(name)) for name, values in compare_vintages(none, none, days).items()}
    template = blank(cubes[1]).assign(found).assign_attrs(compared_with=older.group)
    store_paired(
        engine, "compare_vintages", compare_shard, target, template, newer.plan, orders, _memory(older, newer, cubes)
    )
    overlap = open_group(engine.store, target)
    seen = {name: np.asarray(overlap[name].values) for name in OVERLAP}
    later = later_dates(*times)
    counts = len(days), int(later.sum()), int((~later).sum()) - len(days)
    verdict = judge_overlap(seen, counts, how, names)
    if verdict.kind == "nothing_new" and (pairing.before < 0).any():
        verdict = replace(verdict, kind="append")  # of points
    known = np.isfinite(seen["offset"])
    offset = np.where(known, seen["offset"], np.float32(verdict.offset[1])).astype(np.float32)
    same = (seen["difference_rms"] < SAME) & (seen["n_shared"] >= FEWEST_SHARED)
    error = np.where(same, seen["difference_rms"], seen["offset_error"]).astype(np.float32)
    return Meeting(older, newer, pairing, verdict, offset, error)


def compare_shard(order: Order, ledger: Ledger) -> dict[str, npt.NDArray[Any]]:
    """Overlap of one shard of the newer cube."""
    state, start = ledger.read_state(order["states"]["points"]), order["params"]["first"]
    part, before = order["parts"], state["before"]
    newer = gather(part["newer"], np.arange(start, start + len(before)), ["displacement", *PLACES])
    older = gather(part["older"], before, ["displacement"])
    one = older["displacement"][:, state["older"]] if older else None
    found = compare_vintages(one, newer["displacement"][:, state["newer"]], state["days"])
    return {**found, **{name: newer[name] for name in PLACES}}


def join_stored(engine: Engine, meeting: Meeting, target: str, shard_points: int = SHARD_POINTS) -> Indices:
    """Write the cube that goes on with the older one, into ``target``; returns its points' places in the newer cube.

    Of the same series older values stay as they are, and new dates are put behind them, tied to them point by point;
    points that the newer cube lacks are kept. Another vintage is taken whole, as it is.

    Returns
    -------
    (n,) array
        -1 for a point that the newer cube lacks.
    """
    older, newer = meeting.cubes()
    append = meeting.verdict.kind == "append"
    old_places, new_places = Places.of(older), Places.of(newer)
    gone = meeting.pairing.gone if append else np.empty(0, np.int64)
    before = np.concatenate([meeting.pairing.before if append else np.full(len(meeting.pairing.before), -1), gone])
    after = np.concatenate([np.arange(len(new_places.ids)), np.full(len(gone), -1)])
    if gone.size:
        both = [np.concatenate([a, b[gone]]) for a, b in zip(new_places, old_places, strict=True)]
        rank = hilbert_order(both[1], both[2], both[0], np.arange(len(before)))
        before, after = before[rank], after[rank]
    template = _template(meeting, append)
    plan = ShardPlan.of(len(after), template.sizes["time"], shard_points) if append else meeting.newer.plan
    tied = np.append(meeting.offset if append else np.zeros_like(meeting.offset), np.float32(0))[after]
    names = [str(name) for name, variable in template.variables.items() if "point" in variable.dims]
    times = older["time"].values, newer["time"].values
    axis = joined_dates(*times)[1:] if append else (np.empty(0, np.int64), np.arange(len(times[1])))
    orders = {}
    for index in range(plan.n_shards):
        where = plan.slice(index)
        arrays = {"before": before[where], "after": after[where], "offset": tied[where]}
        arrays |= {"older": axis[0], "newer": axis[1]}
        parts = {"older": meeting.older.part(before[where]), "newer": meeting.newer.part(after[where])}
        states = {"points": engine.ledger.write_state(arrays)}
        params = {"names": names, "n_dates": template.sizes["time"]}
        orders[index] = {"parts": parts, "states": states, "params": params}
    memory = _memory(meeting.older, meeting.newer, (older, newer))
    store_paired(engine, "join_vintages", join_shard, target, template, plan, orders, memory)
    return after


def join_shard(order: Order, ledger: Ledger) -> dict[str, npt.NDArray[Any]]:
    """One shard of the joined cube."""
    state, part, params = ledger.read_state(order["states"]["points"]), order["parts"], order["params"]
    older = gather(part["older"], state["before"], params["names"])
    newer = gather(part["newer"], state["after"], params["names"])
    axis = state["older"], state["newer"]
    return joined_series(older, newer, state["offset"], axis, params["n_dates"])


def blank(cube: xr.Dataset) -> xr.Dataset:
    """Places of none of a cube's points, with its CRS and attributes: what results over points are put beside."""
    none = cube.isel(point=slice(0))
    coords: dict[str, Any] = {name: ("point", none[name].values, cube[name].attrs) for name in PLACES}
    return xr.Dataset(coords=coords | {"crs": cube["crs"].variable}, attrs=cube.attrs)


def _template(meeting: Meeting, append: bool) -> xr.Dataset:
    """No points of the joined cube: variables that both have where points may come from either."""
    older, newer = meeting.cubes()
    none, follows = slice(0), {"follows": meeting.older.group.rpartition("/")[0], "update": meeting.verdict.kind}
    if not append:
        return newer.isel(point=none).assign_attrs(follows)
    strange = [n for n, v in newer.variables.items() if "point" in v.dims and n not in older.variables]
    cube = newer.drop_vars(strange).isel(point=none)
    dates, *axis = joined_dates(older["time"].values, newer["time"].values)
    observed = np.zeros(len(dates), bool)
    observed[axis[1]], observed[axis[0]] = _observed(newer), _observed(older)
    series = cube["displacement"].variable
    cube = cube.drop_dims("time").assign_coords(time=("time", dates, newer["time"].attrs))
    cube["displacement"] = (series.dims, np.empty((0, len(dates)), np.float32), series.attrs)
    cube["observed"] = ("time", observed, describe("observed"))
    packed = all(one["displacement"].encoding.get("dtype") == "int16" for one in (older, newer))
    if packed and not meeting.offset.any():
        cube["displacement"].encoding = {"dtype": "int16"}
    frame = {name: older.attrs[name] for name in ("reference_date", "reference")}
    return cube.assign_attrs({**newer.attrs, **frame, **follows})


def _observed(cube: xr.Dataset) -> npt.NDArray[np.bool_]:
    return np.asarray(cube["observed"].values if "observed" in cube else np.ones(cube.sizes["time"], bool))


def _at(times: npt.NDArray[Any], days: Indices) -> Indices:
    """Places of some days among the dates of a cube."""
    return np.flatnonzero(np.isin(np.asarray(times, "datetime64[D]").astype(np.int64), days))


def _memory(older: Stored, newer: Stored, cubes: tuple[xr.Dataset, xr.Dataset]) -> int:
    """A shard of each as it is read, and what is gathered from them, in float64 where it is compared."""
    values = [one.plan.shard * cube.sizes["time"] for one, cube in zip((older, newer), cubes, strict=True)]
    return BASE_BYTES + 8 * sum(values) + 6 * 8 * max(values)
