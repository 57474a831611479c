"""The explorer's page with 1,000,000 points in headless Chromium: how soon, how smooth, how many bytes."""

import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
import zarr

import insar_dask as insar
from insar_dask.cube import describe
from insar_dask.layout import create_group
from insar_dask.objects import open_store
from insar_dask.shards import ShardPlan
from insar_dask.viewer.overview_jobs import prepare
from tests.benchmarks.measure import QUICK
from tests.conftest import CHROMIUM
from tests.viewer.serving import explorer

N_POINTS = 40_000 if QUICK else 1_000_000
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
    for (let i = 0; i < 5; i++) { map.moving = moving; const began = performance.now(); map.draw();
        map.gl.readPixels(0, 0, 1, 1, map.gl.RGBA, map.gl.UNSIGNED_BYTE, pixel); found.push(performance.now() - began);
        await new Promise(done => setTimeout(done, 10)); }
    map.moving = false; return found; }"""
"""A pixel is read back, so that the drawing is done and not only asked for."""

CLICKS = """async rows => { const {panel, store} = explorer, found = [];
    for (const row of rows) { const before = [store.http.requests, store.http.bytes], began = performance.now();
        await panel.choose(row, false);
        found.push([performance.now() - began, store.http.requests - before[0], store.http.bytes - before[1]]); }
    return found; }"""

LASSO = """async () => { const {inside, map} = explorer; const [w, s, e, n] = map.bounds(), found = [];
    for (let i = 0; i < 5; i++) { const began = performance.now();
        const rows = inside(map.chunks, [[w, n], [e, n], [e, (s + n) / 2], [w, (s + n) / 2]]);
        found.push([performance.now() - began, rows.length]); } return found; }"""


def rows() -> list[dict[str, Any]]:
    what = f"explorer, {N_POINTS:,} points"
    if CHROMIUM is None:
        return [{"what": what, "missing": "needs Chromium: apt-get install chromium"}]
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        store = Path(folder) / "million.zarr"
        made = [overview_row(store)]
        with explorer(store) as port:
            chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            made += page_rows(chromium, f"http://127.0.0.1:{port}/", what)
            chromium.close()
    return made


def overview_row(store: Path) -> dict[str, Any]:
    """The stage, from stored motion parameters."""
    make_store(store)
    began = time.process_time()
    prepare(store, quiet=True)
    seconds, folder = time.process_time() - began, store / "site" / "explore"
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / N_POINTS
    note = f"{size:.1f} bytes a point on disk (bar 20)"
    return {"what": f"overview of {N_POINTS:,} points", "ours_s": seconds, "note": note}


def page_rows(chromium: Any, address: str, what: str) -> list[dict[str, Any]]:
    first, ready, size, heap = [], [], 0.0, 0.0
    for _ in range(1 if QUICK else 5):
        page = chromium.new_page(viewport={"width": 1440, "height": 900})
        page.goto(address)
        page.wait_for_selector("body[data-settled]", state="attached", timeout=120_000)
        first.append(int(page.locator("body").get_attribute("data-first")) / 1000)
        ready.append(int(page.locator("body").get_attribute("data-ready")) / 1000)
        size = page.evaluate("explorer.store.http.bytes") / N_POINTS
        heap = page.evaluate("performance.memory.usedJSHeapSize") / 1e6
        if len(first) < (1 if QUICK else 5):
            page.close()
    still, moving = (statistics.median(page.evaluate(FRAMES, kind)) / 1000 for kind in (False, True))
    shard = ShardPlan.of(N_POINTS, N_DATES).shard
    clicks = page.evaluate(CLICKS, [shard + 1100 * i for i in range(6)])[1:]
    lasso = page.evaluate(LASSO)
    page.close()
    clicked, asked, brought = (statistics.median(column) for column in zip(*clicks, strict=True))
    enclosed = statistics.median(one for one, _ in lasso) / 1000
    lines = [
        ("first points on the screen", statistics.median(first), "<= 2 s", f"{size:.1f} bytes a point (bar 13)"),
        ("all points", statistics.median(ready), "<= 4 s", f"{heap:.0f} MB of JavaScript (bar 120)"),
        ("a frame at rest", still, "<= 0.4 s", "drawn by software"),
        ("a frame while panning", moving, "<= 0.1 s", "drawn by software"),
        ("click to series", clicked / 1000, "<= 0.3 s", f"{asked:.0f} requests, {brought / 1000:.0f} kB (bars 2, 700)"),
        ("lasso", enclosed, "<= 0.2 s", f"{lasso[0][1]:,} points inside"),
    ]
    return [
        {"what": f"{what}: {n}", "ours_s": s, "clock": "wall", "bar": bar, "note": note} for n, s, bar, note in lines
    ]


def make_store(path: Path) -> None:
    """Motion parameters of all points; series of one shard, which is all that is clicked on."""
    shutil.rmtree(path, ignore_errors=True)
    products = make_products()
    insar.save(products, path, "site/products", quiet=True)
    store, plan = open_store(path), ShardPlan.of(N_POINTS, N_DATES)
    lazy = da.zeros((N_POINTS, N_DATES), dtype=np.float32, chunks=(plan.shard, N_DATES))
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


def make_products() -> xr.Dataset:
    chance = np.random.default_rng(0)
    middle = chance.uniform(0, 60_000, (400, 2))
    place = np.round(middle[chance.integers(0, 400, N_POINTS)] + chance.normal(0, 900, (N_POINTS, 2)), 2)
    field = 8 * np.sin(place[:, 0] / 7000) * np.cos(place[:, 1] / 9000) - 3
    values = {
        "velocity": field + chance.normal(0, 0.6, N_POINTS),
        "velocity_std": chance.gamma(2, 0.15, N_POINTS),
        "acceleration": chance.normal(0, 0.4, N_POINTS),
        "acceleration_std": chance.gamma(2, 0.2, N_POINTS),
        "seasonality": chance.gamma(2, 1, N_POINTS),
        "seasonality_std": chance.gamma(2, 0.1, N_POINTS),
        "phase": chance.uniform(1, 366, N_POINTS),
        "rmse": chance.gamma(9, 0.3, N_POINTS),
        "coherence": chance.beta(8, 3, N_POINTS),
    }
    said = dict.fromkeys(("positive", "reference_date", "reference", "release"), "x")
    return xr.Dataset(
        {name: ("point", array.astype(np.float32), describe(name)) for name, array in values.items()},
        coords={
            "point_id": ("point", np.char.add("p", np.arange(N_POINTS).astype("U9"))),
            "easting": ("point", 4.4e6 + place[:, 0]),
            "northing": ("point", 1.6e6 + place[:, 1]),
            "crs": ((), np.int32(0), {"crs_wkt": "LOCAL_CS[]", "epsg": 3035}),
        },
        attrs={**said, "component": "up", "sees_future": -1},
    )
