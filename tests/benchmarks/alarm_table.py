"""Alarms of new dates, on ground where nothing happens and where something known does.

`python -m tests.benchmarks.alarm_table [--into FILE] [--scenes N]` prints tables as Markdown; with INSAR_DASK_DATA also
the quiet island, whose last dates are withheld. About ten minutes of one core.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

import insar_dask as insar
from insar_dask.forecast import protocol
from insar_dask.forecast.departure_blocks import common_shift, count_departures, find_departures, judge_departures
from insar_dask.forecast.departures import leads_of, sustained, tail_table
from insar_dask.forecast.discoveries import adjusted
from insar_dask.synthetic import scene

N_POINTS = 1500
SPOT = 20
"""Points that move together where something happens: the nearest ones of a place."""

EVENTS = {
    "step of 5 mm": lambda days: np.full(days.shape, -5.0),
    "step of 10 mm": lambda days: np.full(days.shape, -10.0),
    "step of 20 mm": lambda days: np.full(days.shape, -20.0),
    "faster by 50 mm/yr": lambda days: -50.0 * days / 365,
    "faster by 100 mm/yr": lambda days: -100.0 * days / 365,
    "faster by 200 mm/yr": lambda days: -200.0 * days / 365,
}
KINDS = {"l3u": 6, "l2b": 12}
RATE = 0.1


@dataclass(frozen=True)
class Told:
    """What was forecast of a record, and by what its errors are measured; the dates that came are not known yet."""

    older: xr.Dataset
    plan: protocol.Plan
    state: dict[str, npt.NDArray[Any]]
    table: dict[str, npt.NDArray[Any]]
    forecast: dict[str, npt.NDArray[np.float32]]

    @classmethod
    def of(cls, older: xr.Dataset, every: int) -> Told:
        plan = protocol.plan(older["time"].values, every=f"{every}D", methods=("kriging",))
        state, _ = protocol.learn(lambda: [older], plan)
        passes = protocol.calibrate_partial, protocol.score_partial
        ratios = sum(f(older, plan, state)["honest.kriging.ratios"].astype(np.int64) for f in passes)
        table = tail_table(ratios, plan.level)
        table["width"] = state["honest.kriging.quantiles"]
        made = protocol.forecast_block(older, plan, state)
        return cls(older, plan, state, table, {n: made[n].values[0] for n in ("displacement", "lower", "upper")})

    def judge(self, observed: npt.NDArray[np.float32], times: npt.NDArray[Any], dates: int) -> xr.Dataset:
        """As `insar_dask.jobs.steps.alarm_jobs` does; dates beyond the forecast are left out."""
        days = np.asarray(times, "datetime64[D]").astype(np.int64)
        target = self.plan.target_days(self.plan.future)
        reached = days <= target[-1]
        history = {name: self.older[name].values for name in ("displacement", "easting", "northing")}
        arrays = find_departures(
            observed[:, reached], self.forecast, history, self.plan, self.table,
            self.state["honest.future.edges"], np.zeros(len(observed), np.float32), days[reached],
        )  # fmt: skip
        dims = {1: "point", 2: ("point", "time")}
        found = xr.Dataset({name: (dims[a.ndim], a) for name, a in arrays.items()}, {"time": times[reached]})
        shift = common_shift([count_departures(found)])
        lead = leads_of(days[reached], target).after
        return judge_departures(found, {**self.table, "lead": lead, "shift": shift}, dates)


def quiet(kind: str, seed: int, n_dates: int = 210) -> xr.Dataset:
    """Points of a scene that do nothing but wander, breathe and scatter."""
    cube = scene(kind, n_points=3 * N_POINTS, n_dates=n_dates, seed=seed).compute()
    still = np.flatnonzero(cube["true_regime"].values == 0)[:N_POINTS]
    return cube.isel(point=still)


def cut(cube: xr.Dataset, n_new: int) -> tuple[xr.Dataset, npt.NDArray[np.float32], npt.NDArray[Any]]:
    """The record before its last dates, and those."""
    older = cube.isel(time=slice(0, -n_new))
    return older, cube["displacement"].values[:, -n_new:], cube["time"].values[-n_new:]


def p_values(judged: xr.Dataset, dates: int) -> npt.NDArray[np.float64]:
    p = np.asarray(judged["p_value"].values, np.float64)
    return sustained(p, judged["departure"].values, dates)


def false_rows(told: Told, new: npt.NDArray[np.float32], times: npt.NDArray[Any]) -> Iterator[tuple[str, int, Any]]:
    """(control, dates) -> points alarmed, of all; and p-values of single dates."""
    judged = told.judge(new, times, 3)
    for dates in (1, 2, 3):
        p = p_values(judged, dates)
        for control in ("bh", "by"):
            yield control, dates, int((adjusted(p, control) <= RATE).sum())  # type: ignore[arg-type]
    single = judged["p_value"].values
    yield "p", 0, single[np.isfinite(single)]


def spots(cube: xr.Dataset, seed: int) -> npt.NDArray[np.int64]:
    """Points nearest to one drawn by chance."""
    place = np.stack([cube["easting"].values, cube["northing"].values], axis=1)
    centre = place[np.random.default_rng(seed).integers(len(place))]
    return np.argsort(np.hypot(*(place - centre).T), kind="stable")[:SPOT]


def power_rows(told: Told, new: npt.NDArray[np.float32], times: npt.NDArray[Any], seed: int) -> dict[str, Any]:
    """Event -> share of its points alarmed, whether any was, share of false ones among the alarmed."""
    mine = spots(told.older, seed)
    days = (times - told.older["time"].values[-1]) / np.timedelta64(1, "D")
    rows = {}
    for name, event in EVENTS.items():
        moved = new.copy()
        moved[mine] += event(days).astype(np.float32)
        raised = np.flatnonzero(adjusted(p_values(told.judge(moved, times, 3), 3)) <= RATE)
        hits = np.isin(raised, mine).sum()
        rows[name] = hits / SPOT, float(hits > 0), (raised.size - hits) / max(raised.size, 1)
    return rows


def synthetic(n_scenes: int) -> str:
    lines = []
    for kind, every in KINDS.items():
        false: dict[tuple[str, int], list[int]] = {}
        single, power = [], {name: [] for name in EVENTS}
        for seed in range(n_scenes):
            older, new, times = cut(quiet(kind, seed), 60 // every)
            told = Told.of(older, every)
            for control, dates, found in false_rows(told, new, times):
                (single if control == "p" else false.setdefault((control, dates), [])).append(found)
            for name, row in power_rows(told, new, times, seed).items():
                power[name].append(row)
        lines += _false_table(
            f"{n_scenes} quiet scenes of {N_POINTS:,} points like {kind}", false, np.concatenate(single)
        )
        lines += ["", f"{SPOT} of them moved, like {kind}, rate {RATE:g}, bh, last 3 dates:", ""]
        lines += ["| what | points alarmed | scenes with an alarm there | false among alarmed |", "|---|---|---|---|"]
        lines += [
            f"| {name} | {' | '.join(f'{x:.2f}' for x in np.mean(rows, axis=0))} |" for name, rows in power.items()
        ]
        lines.append("")
    return "\n".join(lines)


def real(folder: Path, n_cuts: int) -> str:
    """The quiet island: as if each of some dates in the last two years had been the last one known."""
    lines = []
    for path in sorted((folder / "egms").glob("EGMS_L3_*2020_2024*.zip")):
        cube = insar.read_egms(path).compute()
        false: dict[tuple[str, int], list[int]] = {}
        single = []
        for number in range(n_cuts):
            record = cube.isel(time=slice(0, cube.sizes["time"] - 10 * number))
            older, new, times = cut(record, 10)
            for control, dates, found in false_rows(Told.of(older, 6), new, times):
                (single if control == "p" else false.setdefault((control, dates), [])).append(found)
        what = f"{path.stem}, {cube.sizes['point']:,} points, {n_cuts} times ten dates withheld"
        lines += [*_false_table(what, false, np.concatenate(single)), ""]
    return "\n".join(lines)


def _false_table(what: str, false: dict[tuple[str, int], list[int]], single: npt.NDArray[Any]) -> list[str]:
    shares = ", ".join(f"{np.mean(single <= level):.2g} at most {level:g}" for level in (0.1, 0.01, 0.001))
    lines = ["", f"{what}: of the p-values of single dates {shares}.", ""]
    lines += [f"| rule at rate {RATE:g} | runs with any alarm | most points alarmed | mean |", "|---|---|---|---|"]
    for (control, dates), found in false.items():
        runs = f"{np.count_nonzero(found)} of {len(found)}"
        lines.append(f"| {control}, last {dates} | {runs} | {max(found)} | {np.mean(found):.2f} |")
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path)
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--cuts", type=int, default=8)
    given, began = parser.parse_args(), time.process_time()
    text = synthetic(given.scenes)
    print(text, flush=True)
    if data := os.environ.get("INSAR_DASK_DATA"):
        text += "\n" + real(Path(data), given.cuts)
    text += f"\n{time.process_time() - began:,.0f} CPU s.\n"
    print(text)
    if given.into:
        given.into.write_text(f"# Alarms: false ones on quiet ground, and what is seen of known events\n{text}")
