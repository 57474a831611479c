"""The explorer's page with 1,000,000 points in headless Chromium: how soon, how smooth, how many bytes and requests.

Every bar that the explorer has to meet is a row's, or a gate's where it is no time.
"""

import gzip
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
import zarr
from pyproj import CRS

import insar_dask as insar
from insar_dask.cube import describe
from insar_dask.jobs.engine import Engine
from insar_dask.layout import create_group
from insar_dask.objects import open_store
from insar_dask.shards import ShardPlan
from insar_dask.viewer.overview_jobs import prepare
from insar_dask.viewer.page import page_folder
from tests.benchmarks.measure import QUICK, gate
from tests.conftest import CHROMIUM
from tests.viewer.serving import explorer

N_POINTS, FEWER = (40_000, 20_000) if QUICK else (1_000_000, 200_000)
RUNS = 1 if QUICK else 5
N_DATES = 292
FLAGS = [
    *("--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"),
    *(
        "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader",
        "--ignore-gpu-blocklist",
        "--enable-precise-memory-info",
    ),
]

FRAMES = """async moving => { const {map} = explorer, found = [], pixel = new Uint8Array(4);
    const one = Object.assign(document.createElement('canvas'), {width: 1, height: 1});
    const over = one.getContext('2d', {willReadFrequently: true});
    for (let i = 0; i < 5; i++) { map.moving = moving; const began = performance.now(); map.draw();
        map.gl.readPixels(0, 0, 1, 1, map.gl.RGBA, map.gl.UNSIGNED_BYTE, pixel);
        over.drawImage(map.overlay, 0, 0); over.getImageData(0, 0, 1, 1); found.push(performance.now() - began);
        await new Promise(done => setTimeout(done, 10)); }
    map.moving = false; return found; }"""
"""A pixel of points and one of what lies over them is read back, so that the drawing is done, not only asked for."""

CLICKS = """async rows => { const {panel, store} = explorer, found = [], draw = panel.render.bind(panel);
    for (const row of rows) { const before = [store.http.requests, store.http.bytes], began = performance.now();
        const spent = () => [performance.now() - began, store.http.requests - before[0], store.http.bytes - before[1]];
        let chart = null; panel.render = (...all) => { draw(...all); chart ??= spent(); };
        await panel.choose(row, false);
        found.push([...chart, ...spent()]); }
    panel.render = draw; return found; }"""
"""Of each click: until the chart is drawn, requests and bytes till then; until all is told, requests and bytes."""

LASSO = """async () => { const {inside, map} = explorer; const [w, s, e, n] = map.bounds(), found = [];
    for (let i = 0; i < 5; i++) { const began = performance.now();
        const rows = inside(map.chunks, [[w, n], [e, n], [e, (s + n) / 2], [w, (s + n) / 2]]);
        found.push([performance.now() - began, rows.length]); } return found; }"""


def rows() -> list[dict[str, Any]]:
    if CHROMIUM is None:
        return [{"what": f"explorer, {N_POINTS:,} points", "missing": "needs Chromium: apt-get install chromium"}]
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        store, fewer = Path(folder) / "million.zarr", Path(folder) / "fewer.zarr"
        made = [page_row(), overview_row(store), start_row(store)]
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with explorer(store) as port:
            made += page_rows(chromium, f"http://127.0.0.1:{port}/", f"explorer, {N_POINTS:,} points")
        n_alarmed = raise_alarms(store)
        with explorer(store) as port:
            what = f"explorer, {N_POINTS:,} points, {n_alarmed:,} of them alarms"
            made += alarm_rows(chromium, f"http://127.0.0.1:{port}/", what, n_alarmed)
        make_store(fewer, FEWER)
        prepare(fewer, quiet=True)
        with explorer(fewer) as port:
            made.append(fewer_row(chromium, f"http://127.0.0.1:{port}/"))
        chromium.close()
    return made


def page_row() -> dict[str, Any]:
    """What a browser loads before any data."""
    script = (page_folder() / "app.js").read_bytes()
    sizes = [
        gate("kB of script", len(script) / 1000, at_most=200),
        gate("kB of it by gzip", len(gzip.compress(script, mtime=0)) / 1000, at_most=70),
    ]
    return {"what": "explorer: the page", "gates": sizes}


def overview_row(store: Path) -> dict[str, Any]:
    """The stage, from stored motion parameters."""
    make_store(store, N_POINTS)
    began = time.process_time()
    prepare(store, quiet=True)
    seconds, folder = time.process_time() - began, store / "site" / "explore"
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / N_POINTS
    sizes = [gate("bytes a point on disk", size, at_most=20)]
    return {"what": f"overview of {N_POINTS:,} points", "ours_s": seconds, "gates": sizes}


def start_row(store: Path) -> dict[str, Any]:
    """From the command to the first byte of the page, of a store that was explored before; once more, of a copy's."""
    seconds = [start(store) for _ in range(RUNS + 1)][1:]
    (store / "jobs" / "explored.json").unlink()
    anew = start(store)
    return {
        "what": f"insar-dask explore: first byte, {N_POINTS:,} points",
        "ours_s": statistics.median(seconds),
        "clock": "wall",
        "bar": "<= 1.5 s",
        "note": f"{anew:.1f} s where every receipt and value has to be looked at",
    }


def start(store: Path) -> float:
    command = [sys.executable, "-m", "insar_dask", "explore", str(store), "--no-open", "--quiet"]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        with urllib.request.urlopen(process.stdout.readline().split()[0], timeout=60) as answer:
            answer.read(1)
        seconds = time.perf_counter() - began
        os.kill(process.pid, signal.SIGINT)
    return seconds


@contextmanager
def settled(chromium: Any, address: str) -> Iterator[tuple[Any, float, float]]:
    """A page once all points are drawn, and the seconds to its first and its last points."""
    page = chromium.new_page(viewport={"width": 1440, "height": 900})
    page.goto(address)
    page.wait_for_selector("body[data-settled]", state="attached", timeout=120_000)
    first, ready = (int(page.locator("body").get_attribute(name)) / 1000 for name in ("data-first", "data-ready"))
    yield page, first, ready
    page.close()


def fewer_row(chromium: Any, address: str) -> dict[str, Any]:
    seconds = []
    for _ in range(RUNS):
        with settled(chromium, address) as (_, _, ready):
            seconds.append(ready)
    what = f"explorer, {FEWER:,} points: all points"
    return {"what": what, "ours_s": statistics.median(seconds), "clock": "wall", "bar": "<= 2 s"}


def page_rows(chromium: Any, address: str, what: str) -> list[dict[str, Any]]:
    first, ready = [], []
    for _ in range(RUNS - 1):
        with settled(chromium, address) as (_, one, last):
            first.append(one)
            ready.append(last)
    with settled(chromium, address) as (page, one, last):
        first.append(one)
        ready.append(last)
        size = page.evaluate("explorer.store.http.bytes") / N_POINTS
        heap = page.evaluate("performance.memory.usedJSHeapSize") / 1e6
        still, drawn = statistics.median(page.evaluate(FRAMES, False)) / 1000, page.evaluate("explorer.map.drawn")
        moving = statistics.median(page.evaluate(FRAMES, True)) / 1000
        shard = ShardPlan.of(N_POINTS, N_DATES).shard
        cold, *warm = page.evaluate(CLICKS, [shard + 1100 * i for i in range(6)])
        lasso = page.evaluate(LASSO)
        after = page.evaluate("performance.memory.usedJSHeapSize") / 1e6
    chart, asked, brought, told, *_ = (statistics.median(column) for column in zip(*warm, strict=True))
    warm_gates = [
        gate("requests", asked, at_most=2),
        gate("kB", brought / 1000, at_most=700),
        gate("MB of heap after", after, at_most=120),
    ]
    cold_note = (
        f"{cold[1]:.0f} requests and {cold[2] / 1000:.0f} kB for the chart; {cold[4]:.0f} and {cold[5] / 1000:.0f} kB "
        f"in {cold[3] / 1000:.2f} s for all that is told"
    )
    all_gates = [gate("bytes a point", size, at_most=13), gate("MB of heap", heap, at_most=120)]
    lines: list[tuple[str, float, str, dict[str, Any]]] = [
        ("first points on the screen", statistics.median(first), "<= 2 s", {}),
        ("all points", statistics.median(ready), "<= 4 s", {"gates": all_gates}),
        ("a frame at rest", still, "<= 0.4 s", {"note": f"drawn by software; {drawn:,} points, which hide all others"}),
        ("a frame while panning", moving, "<= 0.1 s", {"note": "drawn by software"}),
        ("click to chart", chart / 1000, "<= 0.3 s", {"gates": warm_gates, "note": f"all told in {told / 1000:.2f} s"}),
        ("first click in a shard, to chart", cold[0] / 1000, "<= 0.3 s", {"note": cold_note}),
        (
            "lasso",
            statistics.median(s for s, _ in lasso) / 1000,
            "<= 0.2 s",
            {"note": f"{lasso[0][1]:,} points inside"},
        ),
    ]
    return [{"what": f"{what}: {n}", "ours_s": s, "clock": "wall", "bar": bar, **more} for n, s, bar, more in lines]


def alarm_rows(chromium: Any, address: str, what: str, n_alarmed: int) -> list[dict[str, Any]]:
    """The same where one point in fifty has a ring about it."""
    with settled(chromium, address) as (page, _, ready):
        heap = page.evaluate("performance.memory.usedJSHeapSize") / 1e6
        still = statistics.median(page.evaluate(FRAMES, False)) / 1000
        rings = page.evaluate("explorer.map.rings")
        known = page.evaluate("explorer.map.chunks.reduce((sum, {alarmed}) => sum + alarmed.length, 0)")
        page.evaluate("row => explorer.panel.choose(row, false)", ShardPlan.of(N_POINTS, N_DATES).shard)
        after = page.evaluate("performance.memory.usedJSHeapSize") / 1e6
    gates = [
        gate("MB of heap", heap, at_most=120),
        gate("MB of heap with one chosen", after, at_most=120),
        gate("alarms that the page does not know", n_alarmed - known, at_most=0),
    ]
    return [
        {"what": f"{what}: all points", "ours_s": ready, "clock": "wall", "bar": "<= 4 s", "gates": gates},
        {
            "what": f"{what}: a frame at rest",
            "ours_s": still,
            "clock": "wall",
            "bar": "<= 0.4 s",
            "note": f"drawn by software; {rings:,} rings, none on another",
        },
    ]


def raise_alarms(path: Path) -> int:
    """Alarms as an update finds them, in patches of 500 m; returns how many points are one."""
    places = insar.open_cube(path, "site/products")[["point_id", "easting", "northing", "crs"]].compute()
    alarm = (places["easting"].values // 500 % 7 == 0) & (places["northing"].values // 500 % 7 == 0)
    chance = np.random.default_rng(2)
    values = {
        "alarm": alarm.astype(np.int8),
        "departure": np.where(alarm, -20, 0) + chance.normal(0, 3, alarm.size).astype(np.float32),
        "excess": np.where(alarm, -4, 0) + chance.normal(0, 0.5, alarm.size).astype(np.float32),
        "q_value": np.where(alarm, chance.uniform(0, 0.1, alarm.size), np.nan).astype(np.float32),
        "lasting": np.where(alarm, 3, 0).astype(np.int16),
        "since": np.where(alarm, 0, np.nan).astype(np.float32),
    }
    found = places.assign({name: ("point", array, describe(name)) for name, array in values.items()})
    dates = ["2025-01-01", "2025-01-07", "2025-01-13"]
    dated = places.assign_coords(time=np.array(dates, "datetime64[ns]"))
    series = np.repeat(np.float32(values["departure"])[:, None], len(dates), axis=1)
    groups = {"alarms": found}
    for group, name, array in (("judged", "departure", series), ("departures", "half_width", np.abs(series) / 4 + 1)):
        groups[group] = dated.assign({name: (("point", "time"), array, describe(name))})
    for group, cube in groups.items():
        insar.save(cube.assign_attrs(make_products(2).attrs), path, f"site/{group}", quiet=True)
    rule = {"rate": 0.1, "control": "bh", "dates": 3, "reach": 100.0}
    note = {"rule": rule, "forecast": "site/forecast", "dates": dates, "lasting": 3, "not_judged": [], "seen": 0}
    with Engine(path, quiet=True) as engine:
        counts = {"n_judged": alarm.size, "n_alarmed": int(alarm.sum())}
        engine.ledger.write_note("alarms/site", {**note, **counts})
    prepare(path, quiet=True)
    return int(alarm.sum())


def make_store(path: Path, n_points: int) -> None:
    """Motion parameters of all points; series of one shard, which is all that is clicked on."""
    shutil.rmtree(path, ignore_errors=True)
    products = make_products(n_points)
    insar.save(products, path, "site/products", quiet=True)
    store, plan = open_store(path), ShardPlan.of(n_points, N_DATES)
    lazy = da.zeros((n_points, N_DATES), dtype=np.float32, chunks=(plan.shard, N_DATES))
    raw = products[["point_id"]].assign(
        displacement=(("point", "time"), lazy, describe("displacement")), observed=("time", np.ones(N_DATES, bool))
    )
    raw["displacement"].encoding = {"dtype": "int16"}
    times = np.datetime64("2020-01-03", "ns") + np.arange(N_DATES) * np.timedelta64(6, "D")
    create_group(store, "site/raw", raw.assign_coords(time=times).isel(point=slice(0, 2)), plan)
    chance = np.random.default_rng(1)
    where = plan.slice(1)
    shape = (where.stop - where.start, N_DATES)
    walk = 12 * np.cumsum(chance.normal(size=shape), axis=1) + 20 * chance.normal(size=shape)
    series = zarr.open_array(store, path="site/raw/displacement", mode="r+")
    series[where] = np.rint(walk).astype(np.int16)
    names = zarr.open_array(store, path="site/raw/point_id", mode="r+")
    names[:] = insar.open_cube(path, "site/products")["point_id"].values.astype(object)


def make_products(n_points: int) -> xr.Dataset:
    chance = np.random.default_rng(0)
    middle = chance.uniform(0, 60_000, (400, 2))
    place = np.round(middle[chance.integers(0, 400, n_points)] + chance.normal(0, 900, (n_points, 2)), 2)
    field = 8 * np.sin(place[:, 0] / 7000) * np.cos(place[:, 1] / 9000) - 3
    values = {
        "velocity": field + chance.normal(0, 0.6, n_points),
        "velocity_std": chance.gamma(2, 0.15, n_points),
        "acceleration": chance.normal(0, 0.4, n_points),
        "acceleration_std": chance.gamma(2, 0.2, n_points),
        "seasonality": chance.gamma(2, 1, n_points),
        "seasonality_std": chance.gamma(2, 0.1, n_points),
        "phase": chance.uniform(1, 366, n_points),
        "rmse": chance.gamma(9, 0.3, n_points),
        "coherence": chance.beta(8, 3, n_points),
    }
    said = dict.fromkeys(("positive", "reference_date", "reference", "release"), "x")
    return xr.Dataset(
        {name: ("point", array.astype(np.float32), describe(name)) for name, array in values.items()},
        coords={
            "point_id": ("point", np.char.add("p", np.arange(n_points).astype("U9"))),
            "easting": ("point", 4.4e6 + place[:, 0]),
            "northing": ("point", 1.6e6 + place[:, 1]),
            "crs": ((), np.int32(0), {"crs_wkt": CRS(3035).to_wkt(), "epsg": 3035}),
        },
        attrs={**said, "component": "up", "sees_future": -1},
    )
