"""Alarms of a product: new observations held against the forecast that its forerunner had stored before they came."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from insar_dask.cube import DAYS_PER_YEAR, CubeError, describe
from insar_dask.forecast.departure_blocks import UNLIKELY, common_shift, find_departures, worth
from insar_dask.forecast.departures import leads_of, tail_table
from insar_dask.forecast.discoveries import adjusted
from insar_dask.forecast.timetable import Plan
from insar_dask.foresight import sees_future
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.forecasting.evaluation import counted_errors
from insar_dask.jobs.memory import BASE_BYTES, WINDOWS
from insar_dask.jobs.receipts import Ledger
from insar_dask.jobs.recipe import Stage, Step, state_reference
from insar_dask.jobs.steps.gathering import Stored, gather
from insar_dask.jobs.steps.paired_jobs import Order, store_paired
from insar_dask.jobs.steps.update_jobs import PLACES, Meeting, blank
from insar_dask.settings import positive, whole
from insar_dask.store import open_group
from insar_dask.updating.joining import later_dates

__all__ = ["Rule", "raise_alarms"]

SERIES = ("displacement", "lower", "upper")


@dataclass(frozen=True)
class Rule:
    """When a departure is an alarm.

    Parameters
    ----------
    rate : float
        Share of the alarmed points that may be false, on the average.
    control : {"bh", "by"}
        See `insar_dask.forecast.discoveries.adjusted`.
    dates : int
        Last values of a point that must depart, all to one side.
    reach : float
        Alarmed points within so many metres of one another are one alarm.
    """

    rate: float = 0.1
    control: Literal["bh", "by"] = "bh"
    dates: int = 3
    reach: float = 100.0

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if not 0 < self.rate <= UNLIKELY:
            raise ValueError(f"rate is {self.rate!r}; wanted a share of false alarms above 0, at most {UNLIKELY}")
        whole("dates", self.dates)
        positive("reach", self.reach, of="metres")
        adjusted(np.empty(0), self.control)


def raise_alarms(
    engine: Engine, product: str, meeting: Meeting, after: npt.NDArray[np.int64], rule: Rule
) -> dict[str, Any]:
    """Judge the new dates of ``PRODUCT/raw``, into ``PRODUCT/departures``, ``/judged`` and ``/alarms``.

    Parameters
    ----------
    engine : Engine
    product : str
        Made by `insar_dask.jobs.steps.update_jobs.join_stored`.
    meeting : Meeting
        Of the forerunner, which has a forecast, and of the newer cube.
    after : (n,) array
        Places of the product's points in the newer cube; -1 for those that it lacks.
    rule : Rule

    Returns
    -------
    dict
        What the store keeps as the note ``alarms/PRODUCT``: the rule, dates that were judged and that were not, what
        the scene shares on each, points judged and alarmed, and days of the future that the errors by which they are
        judged have ``seen`` where the older series were inverted here; or ``absent``: why nothing could be judged.
    """
    told = _Told.of(engine, meeting)
    raw = open_group(engine.store, f"{product}/raw")
    times, older = raw["time"].values, meeting.cubes()[0]
    new = times[later_dates(older["time"].values, times)]
    judged = new[np.asarray(new, "datetime64[D]").astype(np.int64) <= told.days[-1]]
    note: dict[str, Any] = {"rule": asdict(rule), "forecast": told.forecast.group, "n_new_dates": len(new)}
    note["seen"] = sees_future(older)
    if not len(judged):
        last = np.datetime64(int(told.days[-1]), "D")
        beyond = f"the forecast reaches to {last}, and no new date lies so early"
        note["absent"] = beyond if len(new) else "no date is new"
        engine.ledger.write_note(f"alarms/{product}", note)
        return note
    _find(engine, product, meeting, after, told, judged)
    shift = _shared(engine, product)
    dates = min(rule.dates, len(judged))
    lead = leads_of(np.asarray(judged, "datetime64[D]").astype(np.int64), told.days).after
    state = engine.ledger.write_state({**told.table, "lead": lead, "shift": shift})
    step = Step("judge_departures", "departures", "judged", {"state": state_reference(state), "dates": dates})
    engine.run(Stage(f"{product}/judged", f"{product}/departures", (step,), {"judged": f"{product}/judged"}))
    # the share of false alarms is one of all points together: sorting them takes 57 bytes a point here
    p_values = np.asarray(open_group(engine.store, f"{product}/judged")["p_lasting"].values)
    q_values = adjusted(p_values, rule.control)
    state = engine.ledger.write_state(worth(p_values, q_values))
    params = {"state": state_reference(state), "rate": rule.rate, "dates": dates}
    step = Step("flag_departures", "judged", "alarms", params)
    engine.run(Stage(f"{product}/alarms", f"{product}/judged", (step,), {"alarms": f"{product}/alarms"}))
    note |= {
        "dates": [str(day)[:10] for day in judged],
        "lasting": dates,
        "not_judged": [str(day)[:10] for day in new[len(judged) :]],
        "shift": shift.tolist(),
        "n_judged": int(np.isfinite(p_values).sum()),
        "n_alarmed": int((q_values <= rule.rate).sum()),
    }
    engine.ledger.write_note(f"alarms/{product}", note)
    return note


@dataclass(frozen=True)
class _Told:
    """What was forecast before the new dates came, and by what its errors are measured."""

    forecast: Stored
    plan: Plan
    table: dict[str, npt.NDArray[Any]]
    edges: npt.NDArray[Any]

    @property
    def days(self) -> npt.NDArray[np.int64]:
        return np.asarray(self.plan.target_days(self.plan.future))

    @classmethod
    def of(cls, engine: Engine, meeting: Meeting) -> _Told:
        product = meeting.older.group.rpartition("/")[0]
        forecast = Stored.found(meeting.older.path, f"{product}/forecast")
        cube = open_group(forecast.path, forecast.group)
        made = (cube.attrs.get("recipe") or [{}])[-1].get("params")  # none of what somebody saved
        state = made and made["state"]["state"]
        note = engine.ledger.read_note(f"forecaster/{product}") or {}
        if not made or note.get("state") != state or "uncalibrated" not in note:
            raise CubeError(
                f"{forecast.group} was made with other settings than {product} was last evaluated with, or an older "
                f"version evaluated it: forecast {product} again (`insar-dask forecast`) before it is updated"
            )
        plan = Plan.from_dict(made["plan"]["plan"])
        method = str(cube.attrs["method"])
        # validation and test alike were forecast before they were seen, and before the dates that are judged now
        ratios = sum(
            part[f"honest.{method}.ratios"].astype(np.int64) for part in counted_errors(engine, product, plan, note)
        )
        table = tail_table(ratios, plan.level)
        # half a stored interval is the width that validation alone asked for
        kept = engine.ledger.read_state(state)
        table["width"] = kept[f"honest.{method}.quantiles"]
        return cls(forecast, plan, table, kept["honest.future.edges"])


def _find(
    engine: Engine, product: str, meeting: Meeting, after: npt.NDArray[np.int64], told: _Told, judged: npt.NDArray[Any]
) -> None:
    raw, group = Stored.found(engine.path, f"{product}/raw"), f"{product}/departures"
    state = engine.ledger.write_state({"width": told.table["width"], "edges": told.edges})
    plan = told.plan.to_dict()
    before = np.where(after >= 0, meeting.pairing.before[after], -1)
    known = after >= 0
    error = np.where(known, meeting.offset_error[after], np.nan).astype(np.float32)
    vintage = meeting.verdict.kind != "append"
    offset = _offset(meeting, after) if vintage else np.zeros_like(error)  # joined series are tied already
    drift = _common_drift(meeting, judged) if vintage else np.zeros(len(judged))
    cube = open_group(engine.store, f"{product}/raw")
    days = np.asarray(judged, "datetime64[D]").astype(np.int64)
    at = np.flatnonzero(np.isin(np.asarray(cube["time"].values, "datetime64[D]").astype(np.int64), days))
    orders = {}
    for index in range(raw.plan.n_shards):
        where = raw.plan.slice(index)
        arrays = {"before": before[where], "offset": offset[where], "error": error[where]}
        arrays |= {"days": days, "at": at, "drift": drift}
        parts = {
            "raw": raw.part(np.arange(where.start, where.stop)),
            "forecast": told.forecast.part(before[where]),
            "history": meeting.older.part(before[where]),
        }
        states = {"points": engine.ledger.write_state(arrays), "table": state}
        orders[index] = {"parts": parts, "states": states, "params": {"plan": plan, "first": where.start}}
    template = blank(cube).assign_coords(time=np.asarray(judged, "datetime64[ns]"))
    template = template.assign(
        {name: (dims, values, describe(name)) for name, (dims, values) in _missing(0, len(judged)).items()}
    )
    values = raw.plan.shard * cube.sizes["time"] + meeting.older.plan.shard * len(told.plan.days)
    memory = int(BASE_BYTES + 4 * values * (1 + WINDOWS))
    store_paired(engine, "find_departures", depart_shard, group, template, raw.plan, orders, memory)


def depart_shard(order: Order, ledger: Ledger) -> dict[str, npt.NDArray[Any]]:
    """Departures of one shard of the updated product."""
    points, table = (ledger.read_state(order["states"][name]) for name in ("points", "table"))
    parts, params, before = order["parts"], order["params"], points["before"]
    own = np.arange(params["first"], params["first"] + len(before))
    raw = gather(parts["raw"], own, ["displacement", *PLACES])
    forecast = gather(parts["forecast"], before, SERIES)
    if forecast:
        history = gather(parts["history"], before, ["displacement", "easting", "northing"])
        observed = raw["displacement"][:, points["at"]] - points["offset"][:, None] - points["drift"]
        said, plan = {name: values[:, 0] for name, values in forecast.items()}, Plan.from_dict(params["plan"])
        found = find_departures(
            observed.astype(np.float32), said, history, plan, table, table["edges"], points["error"], points["days"]
        )
    else:  # none of these points was there before
        found = {name: values for name, (_, values) in _missing(len(before), len(points["days"])).items()}
    return {**found, **{name: raw[name] for name in PLACES}}


def _shared(engine: Engine, product: str) -> npt.NDArray[np.float64]:
    """What all points have departed by on each date: no ground moves so, a reference or the weather does."""
    target = f"jobs/partials/{product}/departures"
    step = Step("count_departures", "departures", "counts", {}, ("departure",))
    engine.run(Stage(f"{product}/departure-counts", f"{product}/departures", (step,), {"counts": target}))
    return common_shift(engine.partials(target))


def _offset(meeting: Meeting, after: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    return np.where(after >= 0, meeting.offset[after], 0).astype(np.float32)


def _common_drift(meeting: Meeting, judged: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """What the references of two vintages have drifted apart since the middle of the year they are tied over [mm]."""
    older, _ = meeting.cubes()
    middle = older["time"].values[-1] - np.timedelta64(round(DAYS_PER_YEAR / 2), "D")
    years = (np.asarray(judged, "datetime64[ns]") - middle) / np.timedelta64(1, "D") / DAYS_PER_YEAR
    return np.asarray(meeting.verdict.drift[1] * years)


def _missing(n_points: int, n_dates: int) -> dict[str, tuple[tuple[str, ...], npt.NDArray[Any]]]:
    """What is known of points without a forecast."""
    nothing = np.full((n_points, n_dates), np.nan, np.float32)
    series = dict.fromkeys(("departure", "half_width"), (("point", "time"), nothing))
    return {**series, "noise_class": (("point",), np.full(n_points, -1, np.int8))}
