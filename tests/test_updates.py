"""A store goes on with newer dates or a newer vintage, and what departs from its forecast is an alarm."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

import insar_dask as insar
from insar_dask.cli import app
from insar_dask.cli.updating import _alarm_line
from insar_dask.config import load_config
from insar_dask.cube import CubeError
from insar_dask.jobs import engine
from insar_dask.jobs.areas.area_jobs import save_areas
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.progress.status import damaged
from insar_dask.jobs.receipts import Ledger, Receipt
from insar_dask.jobs.recipe import Stage
from insar_dask.jobs.steps.alarm_jobs import Rule
from insar_dask.objects import open_store
from insar_dask.shard_store import ShardWriter
from insar_dask.synthetic import scene, write_egms
from insar_dask.updates import Updated
from insar_dask.viewer.about import arrays_of
from insar_dask.viewer.export import export_page
from insar_dask.viewer.overview_jobs import prepare
from insar_dask.workbench import Workbench
from tests.conftest import stored_bytes
from tests.viewer.serving import explorer

SETTINGS = """
[store]
shard_points = 256
[forecast]
methods = ["persistence", "harmonic"]
as_published = false
[patterns]
n_clusters = 0
[decompose]
method = "none"
[report]
exports = false
[cluster]
workers = 0
"""
N_NEW = 6
MOVED = 20


@pytest.fixture(scope="module")
def record() -> xr.Dataset:
    """500 points that do nothing, and at the end of it 20 neighbours that drop by 30 mm."""
    cube = scene("l2b", n_points=1200, n_dates=166, seed=8).compute()
    cube = cube.isel(point=np.flatnonzero(cube["true_regime"].values == 0)[:500])
    place = np.stack([cube["easting"].values, cube["northing"].values], axis=1)
    mine = np.argsort(np.hypot(*(place - place[250]).T))[:MOVED]
    values = cube["displacement"].values.copy()
    values[mine, -N_NEW:] = np.round(values[mine, -N_NEW:] - 30, 1)
    cube["displacement"] = (("point", "time"), values, cube["displacement"].attrs)
    moved = np.zeros(500, bool)
    moved[mine] = True
    return cube.assign(moved=("point", moved))


@pytest.fixture(scope="module")
def forecast(record: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the record but its last dates, and their forecast."""
    store = tmp_path_factory.mktemp("before") / "site.zarr"
    insar.save(plain(record.isel(time=slice(0, -N_NEW))), store, "site/raw", quiet=True, shard_points=256)
    (store.parent / "site-config.toml").write_text(SETTINGS)
    bench = Workbench(load_config(store.parent / "site-config.toml"), store, Engine(store, quiet=True))
    bench.evaluate("site")
    bench.forecast("site")
    return store


@pytest.fixture(scope="module")
def came(record: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole record, in a store of its own."""
    return newer(record, tmp_path_factory.mktemp("came"))


@pytest.fixture(scope="module")
def updated(forecast: Path, came: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Updated]:
    """The store after an update that nothing disturbed."""
    folder = tmp_path_factory.mktemp("updated") / "site"
    shutil.copytree(forecast.parent, folder)
    return folder / "site.zarr", once(folder / "site.zarr", came)


@pytest.fixture
def store(forecast: Path, tmp_path: Path) -> Path:
    shutil.copytree(forecast.parent, tmp_path / "site")
    return tmp_path / "site" / "site.zarr"


def plain(cube: xr.Dataset) -> xr.Dataset:
    """Without the truth, and without most of a burst's columns, each of which is an array in every group."""
    kept = {"displacement", "observed", "time", "point_id", "easting", "northing", "crs", "coherence"}
    return cube.drop_vars([name for name in cube.variables if name not in kept])


def newer(cube: xr.Dataset, tmp_path: Path, name: str = "new") -> Path:
    path = tmp_path / f"{name}.zarr"
    insar.save(plain(cube), path, f"{name}/raw", quiet=True, shard_points=200)
    return path


def once(store: Path, new: Path | str, **options: object) -> Updated:
    (made,) = insar.update(store, new, quiet=True, **options)  # type: ignore[arg-type]
    return made


def test_newer_dates_go_behind_what_was_there(
    record: xr.Dataset, forecast: Path, updated: tuple[Path, Updated]
) -> None:
    store, made = updated
    assert (made.product, made.before, made.verdict.kind, made.verdict.n_new_dates) == ("new", "site", "append", N_NEW)
    assert made.points == {"matched": 500, "new": 0, "gone": 0, "moved": 0, "matched_by": "point_id"}
    joined = insar.open_cube(store, "new/raw")
    assert joined["displacement"].encoding["dtype"] == "int16" and joined.attrs["follows"] == "site"
    at = {name: row for row, name in enumerate(joined["point_id"].values)}
    rows = [at[name] for name in record["point_id"].values]
    np.testing.assert_array_equal(joined["displacement"].values[rows], record["displacement"].values)
    before, after = stored_bytes(forecast), stored_bytes(store)
    assert {name: after[name] for name in before} == before  # the older product is left as it was


def test_alarms_are_where_the_ground_moved(record: xr.Dataset, updated: tuple[Path, Updated]) -> None:
    store, made = updated
    alarms = insar.open_cube(store, "new/alarms").compute()
    moved = set(record["point_id"].values[record["moved"].values])
    raised = set(alarms["point_id"].values[alarms["alarm"].values == 1])
    assert len(raised & moved) >= 0.9 * MOVED and len(raised - moved) <= 0.2 * len(raised)
    assert made.alarms["n_alarmed"] == len(raised) and made.alarms["n_judged"] == 500
    assert len(made.alarms["dates"]) + len(made.alarms["not_judged"]) == N_NEW
    told = alarms.isel(point=np.isin(alarms["point_id"].values, list(raised & moved)))
    assert abs(float(told["departure"].median()) + 30) < 4 and (told["lasting"] >= 3).all()
    assert float(told["q_value"].max()) <= 0.1
    table = (store.parent / "new" / "alarms.csv").read_text().splitlines()
    shapes = json.loads((store.parent / "new" / "alarms.geojson").read_text())
    assert len(table) - 1 == len(shapes["features"]) == len(raised)
    assert {feature["properties"]["point_id"] for feature in shapes["features"]} == raised
    assert all(abs(feature["geometry"]["coordinates"][1]) < 90 for feature in shapes["features"])


def test_areas_leave_what_alarms_are_held_against(store: Path) -> None:
    bench = Workbench(load_config(store.parent / "site-config.toml"), store, Engine(store, quiet=True))
    before = bench.engine.ledger.done("jobs/partials/site/errors")
    bench.prepare("site")
    save_areas(store, ["site"], season=None, quiet=True)
    assert bench.engine.ledger.done("jobs/partials/site/errors") == before and before


def test_alarms_are_on_the_map_in_the_list_and_on_the_card(
    updated: tuple[Path, Updated], tmp_path: Path, browser: Any
) -> None:
    store = Path(shutil.copytree(updated[0], tmp_path / "site.zarr"))
    assert prepare(store, quiet=True) == ""
    told = json.loads((store / "new/explore/zarr.json").read_text())["attributes"]
    alarms, found = told["alarms"], insar.open_cube(store, "new/alarms").compute()
    raised = np.flatnonzero(found["alarm"].values == 1)
    assert sum(one["n_points"] for one in alarms["listed"]) == alarms["n_alarmed"] == len(raised)
    assert alarms["rate"] == 0.1 and alarms["foretold"]["level"] == 0.9
    assert {"departure", "alarm"} <= set(told["variables"])
    share = export_page(store, tmp_path / "share").parent / "data.zarr"
    assert all((share / path / "zarr.json").exists() for path in arrays_of(told))
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    with explorer(store) as port:
        page.goto(f"http://127.0.0.1:{port}/#product=new")
        page.wait_for_selector("body[data-settled]", state="attached")
        rings = "explorer.map.chunks.flatMap(({row, alarmed}) => Array.from(alarmed ?? [], (i) => row[i]))"
        assert sorted(page.evaluate(rings)) == raised.tolist() and page.evaluate("explorer.map.rings") > 0
        assert "alarm" not in page.locator("#variable option").evaluate_all("all => all.map(one => one.value)")
        page.select_option("#alarmlist", "0")
        page.wait_for_selector("body:not([data-picking]) #chosen .chip")
        row = alarms["listed"][0]["row"]
        assert page.evaluate("explorer.panel.points[0].row") == row
        card = page.locator("#evidence").inner_text()
        departure = f"{found['departure'].values[row]:.1f}".replace("-", "−")
        assert departure in card and "10\u00a0% may be false" in card
        judged, half = (insar.open_cube(store, f"new/{name}") for name in ("judged", "departures"))
        middle = insar.open_cube(store, "new/raw")["displacement"].values[row, -6:] - judged["departure"].values[row]
        for name, side in (("Foretold", 0), ("Foretold at most", 1), ("Foretold at least", -1)):
            line = page.evaluate(f"explorer.panel.lines().find((one) => one.label === '{name}').values")
            np.testing.assert_allclose(line, middle + side * half["half_width"].values[row], atol=1e-4)
        page.check("#onlyalarms")
        page.wait_for_function("explorer.page.shown < 500")
        assert page.evaluate("explorer.page.shown") == len(raised)
        page.select_option("#product", "site")  # the older product, which has none
        page.wait_for_selector("body[data-settled]", state="attached")
        assert page.locator("#alarmblock").is_hidden()
    page.close()


def test_what_is_done_is_not_done_again(updated: tuple[Path, Updated], came: Path) -> None:
    before = stored_bytes(updated[0])
    again = once(updated[0], came)
    assert [stage["computed"] for stage in again.stages] == [0] * len(again.stages) and len(again.stages) >= 5
    assert stored_bytes(updated[0]) == before


def test_points_that_left_stay_and_new_ones_come(record: xr.Dataset, store: Path, tmp_path: Path) -> None:
    stranger = record.isel(point=slice(0, 10))
    stranger = stranger.assign_coords(
        point_id=("point", [f"new{i:07d}" for i in range(10)]), easting=stranger["easting"] + 300.5
    )
    parts = [one.isel(time=slice(60, None)) for one in (record.isel(point=slice(40, None)), stranger)]
    part = xr.concat(parts, "point", data_vars="minimal", coords="minimal", compat="override")
    shifted = part.assign(displacement=part["displacement"] + np.float32(12.3))  # another reference date
    made = once(store, newer(shifted, tmp_path))
    assert made.points == {"matched": 460, "new": 10, "gone": 40, "moved": 0, "matched_by": "point_id"}
    joined = insar.open_cube(store, "new/raw").compute()
    assert joined.sizes == {"point": 510, "time": 166}
    series = dict(zip(joined["point_id"].values, joined["displacement"].values, strict=True))
    for row, name in enumerate(record["point_id"].values):
        known = record["displacement"].values[row]
        late = known[-N_NEW:] if row >= 40 else np.full(N_NEW, np.nan)
        np.testing.assert_allclose(series[name], np.concatenate([known[:-N_NEW], late]), atol=1e-3)
    # a point that is new has its history on the dates in common
    np.testing.assert_allclose(series["new0000003"][60:], record["displacement"].values[3, 60:], atol=1e-3)
    assert np.isnan(series["new0000003"][:60]).all()
    alarms = insar.open_cube(store, "new/alarms").compute()
    assert (alarms["alarm"] == -1).sum() == 50


def test_dates_that_were_late_go_to_their_place(record: xr.Dataset, store: Path, tmp_path: Path) -> None:
    late = record.isel(time=np.isin(np.arange(166), (50, 51, 90, *range(160, 166)), invert=True))
    holed = tmp_path / "holed.zarr"
    insar.save(plain(late), holed, "site/raw", quiet=True)
    (tmp_path / "holed-config.toml").write_text(SETTINGS)
    made = once(holed, newer(record.isel(time=slice(0, -N_NEW)), tmp_path))
    assert (made.verdict.kind, made.verdict.n_new_dates, made.verdict.n_filled_in) == ("append", 0, 3)
    assert "0 new dates behind it and 3 among or before those that were there" in made.verdict.text()
    joined = insar.open_cube(holed, "new/raw").compute()
    series = dict(zip(joined["point_id"].values, joined["displacement"].values, strict=True))
    for name, known in zip(record["point_id"].values, record["displacement"].values, strict=True):
        np.testing.assert_array_equal(series[name], known[:-N_NEW])
    assert made.alarms["absent"] == "no date is new"


def test_a_forecast_that_was_cut_off_is_made_whole_first(
    came: Path, store: Path, updated: tuple[Path, Updated]
) -> None:
    Engine(store, quiet=True).ledger.revoke("site/forecast", [1])  # as a run does that is killed there
    once(store, came)
    assert stored_bytes(store) == stored_bytes(updated[0])


@pytest.mark.parametrize("foreseen", [True, False])
def test_a_forecast_of_what_was_there_before_is_made_anew_first(
    foreseen: bool, record: xr.Dataset, came: Path, store: Path, updated: tuple[Path, Updated]
) -> None:
    known = plain(record.isel(time=slice(0, -N_NEW)))
    other = known.assign(displacement=-known["displacement"])
    other["displacement"].attrs = known["displacement"].attrs
    insar.save(other, store, "site/raw", quiet=True, shard_points=256)
    bench = Workbench(load_config(store.parent / "site-config.toml"), store, Engine(store, quiet=True))
    bench.evaluate("site")
    if foreseen:
        bench.forecast("site")
    insar.save(known, store, "site/raw", quiet=True, shard_points=256)
    once(store, came)
    for group in ("site/forecast", "new/alarms"):
        xr.testing.assert_identical(insar.open_cube(store, group).load(), insar.open_cube(updated[0], group).load())


@pytest.mark.parametrize("died_at", ["shard", "note"])
def test_alarms_stand_on_the_errors_of_their_forecast_whatever_was_evaluated_since(
    died_at: str, came: Path, store: Path, updated: tuple[Path, Updated], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_shard, counted = engine.run_shard, []

    def dies_at_the_second(path: str, stage: Stage, *task: Any) -> list[Receipt]:
        counted.extend(["one"] * stage.name.endswith("/score"))
        if len(counted) == 2:
            raise RuntimeError("killed")
        return run_shard(path, stage, *task)

    def dies(*_: object) -> None:
        raise RuntimeError("killed")

    other = store.parent / "other.toml"
    other.write_text(SETTINGS.replace("[forecast]", "[forecast]\nhorizon = 20"))
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="killed"):
        if died_at == "shard":
            patch.setattr(engine, "run_shard", dies_at_the_second)
        else:
            patch.setattr(Ledger, "write_note", dies)
        Workbench(load_config(other), store, Engine(store, quiet=True)).evaluate("site")
    once(store, came)
    for group in ("new/judged", "new/alarms"):
        xr.testing.assert_identical(insar.open_cube(store, group).load(), insar.open_cube(updated[0], group).load())


def test_a_forecast_whose_errors_nobody_can_tell_is_refused(came: Path, store: Path) -> None:
    ledger = Ledger(open_store(store))
    note = ledger.read_note("forecaster/site") or {}
    del note["uncalibrated"]  # as older versions left it
    ledger.write_note("forecaster/site", note)
    with pytest.raises(CubeError, match=r"an older version evaluated it: forecast site again"):
        insar.update(store, came, quiet=True)


@pytest.mark.parametrize("scored", [True, False])
def test_a_forecast_that_somebody_saved_raises_no_alarms_and_stays(scored: bool, came: Path, store: Path) -> None:
    made = insar.open_cube(store, "site/forecast").load()
    insar.save(made.assign(displacement=made["displacement"] + 1), store, "site/forecast", quiet=True)
    if scored:
        with pytest.raises(CubeError, match=r"forecast site again \(`insar-dask forecast`\) before it is updated"):
            insar.update(store, came, quiet=True)
    else:
        (store / "jobs/scores/site.json").unlink()
        assert "it was not evaluated" in once(store, came).alarms["absent"]
    np.testing.assert_array_equal(insar.open_cube(store, "site/forecast")["displacement"], made["displacement"] + 1)


def test_another_vintage_is_tied_to_the_forecast_and_its_drift_is_told(
    record: xr.Dataset, store: Path, tmp_path: Path
) -> None:
    chance = np.random.default_rng(1)
    years = (record["time"].values - record["time"].values[0]) / np.timedelta64(365, "D")
    shift = chance.normal(0, 15, (500, 1)) + 2 * years + chance.normal(0, 0.8, record["displacement"].shape)
    vintage = record.assign(displacement=(record["displacement"] + shift).astype(np.float32).round(1))
    vintage["displacement"].attrs = record["displacement"].attrs
    # of 30 points the older record is not in the newer vintage: nothing says what their constant is
    lost = np.flatnonzero(~record["moved"].values)[::16][:30]
    vintage["displacement"].values[lost, :-N_NEW] = np.nan
    vintage = vintage.isel(time=slice(70, None)).assign_coords(point_id=("point", [f"v{i:09d}" for i in range(500)]))
    made = once(store, newer(vintage, tmp_path))
    assert made.verdict.kind == "vintage" and made.points["matched_by"] == "place" and made.points["matched"] >= 498
    assert made.verdict.drift[1] == pytest.approx(2, abs=0.3) and 0.8 < made.verdict.rms[1] < 4
    np.testing.assert_array_equal(
        np.sort(insar.open_cube(store, "new/raw")["displacement"].values, axis=0),
        np.sort(vintage["displacement"].values, axis=0),
    )
    alarms = insar.open_cube(store, "new/alarms")
    place = alarms["easting"].values * 1e7 + alarms["northing"].values
    moved = np.isin(place, (record["easting"].values * 1e7 + record["northing"].values)[record["moved"].values])
    raised = alarms["alarm"].values == 1
    untied = np.isin(place, (record["easting"].values * 1e7 + record["northing"].values)[lost])
    assert (alarms["alarm"].values[untied] == -1).sum() == 30  # one of them shares its place with another point
    assert raised[moved].mean() >= 0.8 and raised[~moved].mean() < 0.02


def test_the_next_update_goes_on_with_the_last(record: xr.Dataset, came: Path, store: Path, tmp_path: Path) -> None:
    first = newer(record.isel(time=slice(0, -3)), tmp_path, "first")
    assert once(store, first).before == "site"
    made = once(store, came)
    assert (made.before, made.product, made.verdict.n_new_dates) == ("first", "new", 3)
    # it was forecast as the first update had left it
    assert made.alarms["dates"][0] == str(record["time"].values[-3])[:10]
    before = stored_bytes(store)
    assert once(store, first).before == "site"  # is done, though another one has followed
    assert stored_bytes(store) == before


def test_a_product_of_the_same_name_gets_its_last_date(record: xr.Dataset, store: Path, tmp_path: Path) -> None:
    last = str(record["time"].values[-1])[:10].replace("-", "")
    assert once(store, newer(record, tmp_path, "site")).product == f"site-{last}"
    assert insar.products(store) == ["site", f"site-{last}"]


def test_a_file_is_read_and_an_identical_one_brings_nothing(record: xr.Dataset, store: Path, tmp_path: Path) -> None:
    path = write_egms(tmp_path / "EGMS_L2b_000_0000_IW1_VV_2020_2024_2.csv", record.isel(time=slice(0, -N_NEW)))
    made = once(store, path)
    assert (made.verdict.kind, made.product) == ("nothing_new", "site")
    assert insar.products(store) == ["site"] and made.alarms == {"absent": "no date is new"}
    assert not list((store / "incoming").glob("EGMS*")) and damaged(store) == {}
    assert once(store, path).verdict == made.verdict  # it is read anew


def test_new_points_alone_are_something_new(record: xr.Dataset, store: Path, tmp_path: Path) -> None:
    same = record.isel(time=slice(0, -N_NEW))
    names = np.char.add("n", same["point_id"].values[:5])
    beside = same.isel(point=slice(0, 5)).assign_coords(point_id=("point", names), easting=same["easting"][:5] + 400)
    both = xr.concat([same, beside], "point", data_vars="minimal", coords="minimal", compat="override")
    made = once(store, newer(both, tmp_path))
    assert (made.verdict.kind, made.product, made.points["new"]) == ("append", "new", 5)
    assert insar.open_cube(store, "new/raw").sizes == {"point": 505, "time": 160}


def test_what_cannot_be_updated_is_said(record: xr.Dataset, store: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no store"):
        once(tmp_path / "nowhere.zarr", newer(record, tmp_path))
    with pytest.raises(CubeError, match=r"an older vintage does not go on with a newer one"):
        once(store, newer(record.isel(time=slice(0, 100)), tmp_path, "old"))
    with pytest.raises(CubeError, match=r"track 117.* is component los track"):
        once(store, newer(record.assign_attrs(track="117"), tmp_path, "other"))
    insar.save(plain(record.isel(time=slice(0, 150))), store, "twin/raw", quiet=True)
    with pytest.raises(CubeError, match=r"2 of the products of .* look so .*--product"):
        once(store, newer(record, tmp_path, "two"))
    assert once(store, tmp_path / "two.zarr", product="site").before == "site"
    for wrong, said in (({"product": "nope"}, "no product 'nope', it has"), ({"how": "sideways"}, "how is 'sideways'")):
        with pytest.raises(ValueError, match=said):
            once(store, tmp_path / "two.zarr", **wrong)
    with pytest.raises(ValueError, match=r"rate is 0.7; wanted a share of false alarms above 0, at most 0.5"):
        Rule(rate=0.7)


def test_a_failed_write_leaves_nothing_behind_that_matters(
    came: Path, store: Path, updated: tuple[Path, Updated], monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = ShardWriter.write, []

    def failing(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) % 5 == 0:
            raise OSError(28, "No space left on device")
        return write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(ShardWriter, "write", failing)
    for _ in range(6):
        with contextlib.suppress(RuntimeError):
            once(store, came)
            break
    assert len(calls) > 8
    assert stored_bytes(store) == stored_bytes(updated[0])


@pytest.mark.slow
def test_a_killed_update_goes_on_where_it_was(came: Path, store: Path, updated: tuple[Path, Updated]) -> None:
    targets = "incoming/new/overlap", "new/raw", "new/departures", "new/judged", "new/alarms"
    command = [sys.executable, "-m", "insar_dask", "update", str(store), str(came), "--quiet"]
    with subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and n_done(store, targets) < 4:
            time.sleep(0.005)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    caught = n_done(store, targets)
    once(store, came)
    assert stored_bytes(store) == stored_bytes(updated[0])
    assert 4 <= caught < n_done(store, targets)


def n_done(store: Path, targets: tuple[str, ...]) -> int:
    ledger = Ledger(open_store(store))
    return sum(len(ledger.done(target)) for target in targets)


def test_the_verb_tells_what_came_and_what_was_done_again(store: Path, came: Path) -> None:
    done = CliRunner().invoke(app, ["products", str(store), "--quiet"])
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(app, ["update", str(store), str(came), "--quiet"])
    assert done.exit_code == 0, (done.output, done.exception)
    lines = done.output.splitlines()
    assert lines[0].startswith(
        "new goes on with site: the same series, 6 new dates: over 160 dates in common 500 points"
    )
    assert lines[1] == "500 points are in both, by point_id; 0 are new, 0 gone"
    assert "points are alarms, of which 10% may be false" in lines[2]
    assert any(line.split() == ["new/prepare", "2", "0"] for line in lines), done.output
    page = Path(lines[-1])
    text = page.read_text()
    assert "Alarms, the most certain one first" in text and "this product goes on with site" in text.lower()


@pytest.mark.parametrize(("rate", "said"), [(0.1, "10%"), (0.004, "0.4%")])
def test_a_small_share_of_false_alarms_is_told(rate: float, said: str) -> None:
    alarms = {"rule": {"rate": rate}, "n_alarmed": 5, "n_judged": 100, "lasting": 3, "dates": [1, 2, 3]}
    assert f"of which {said} may be false" in _alarm_line({**alarms, "not_judged": []})
