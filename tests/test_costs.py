import socket
import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest
import xarray as xr
from distributed import LocalCluster
from zarr.storage import LocalStore

import insar_dask as insar
from insar_dask.capacity import Capacity, capacity_of
from insar_dask.config import parse_config
from insar_dask.config.places import Cluster
from insar_dask.config.sections import Forecast
from insar_dask.costs import REFERENCE, Size, Speed, speed_of, wall_of, work_of
from insar_dask.cube import CubeError
from insar_dask.jobs.devices import DEVICE
from insar_dask.jobs.progress.events import Event
from insar_dask.jobs.progress.journal import Journal
from insar_dask.machine import usable_cpus
from insar_dask.planning import plan_run, planned

CONFIG = parse_config({"synthetic": {"n_points": 4000, "n_dates": 120}})
SIZE = Size.of(4000, 120, "EGMS_L2B", CONFIG)


def test_workers_share_what_grows_with_the_points_and_nothing_else() -> None:
    few = replace(SIZE, shards=8)
    assert wall_of(few, 1) == pytest.approx(sum(work_of(few).values()))
    saved = wall_of(few, 1) - wall_of(few, 4)
    more = replace(few, points=2 * few.points, shards=2 * few.shards)
    assert wall_of(more, 1) - wall_of(more, 4) == pytest.approx(2 * saved)
    assert wall_of(few, 100) == wall_of(few, 8) > 10  # who has no shard has nothing to do


def test_every_stage_of_a_product_has_its_seconds() -> None:
    ((_, stages),) = planned(CONFIG).tables
    assert set(stages) == set(REFERENCE)
    assert 498e6 < (stages["report"][2] or 0) < 547e6  # as measured of 1,000 and 20,000 points
    assert "not known" not in plan_run(CONFIG).splitlines()[2]


def test_twice_the_origins_are_twice_the_forecasts() -> None:
    dense = parse_config({"forecast": {"stride": 1}})
    sparse = parse_config({"forecast": {"stride": 2}})
    assert Size.of(10, 200, "EGMS_L3_E32N34", dense).scored == 2 * Size.of(10, 200, "EGMS_L3_E32N34", sparse).scored
    assert Size.of(10, 200, "EGMS_L3_E32N34", dense).scored == 400  # 40 origins of 10 steps


def test_prices_are_told_where_they_are_known_and_not_guessed() -> None:
    assert "price: not known; set cpu_hour and gb_month under [cost]" in plan_run(CONFIG)
    cost = {"cpu_hour": 3600.0, "gb_month": 0.0, "currency": "EUR"}
    told = plan_run(CONFIG.model_copy(update={"cost": CONFIG.cost.model_copy(update=cost)}))
    core = sum(work_of(SIZE).values())
    assert f"price: {core:,.2f} EUR for hours of a core at 3600, 0.00 EUR for GB stored a month at 0" in told


@pytest.mark.parametrize("price", ["-1.0", "nan", "inf", '"1"'])
def test_a_price_that_is_none_is_refused(tmp_path: Path, price: str) -> None:
    (tmp_path / "site.toml").write_text(f"[cost]\ncpu_hour = {price}\n")
    if price == '"1"':
        assert insar.load_config(tmp_path / "site.toml").cost.cpu_hour == 1.0
        return
    with pytest.raises(ValueError, match=r"cost.cpu_hour"):
        insar.load_config(tmp_path / "site.toml")


def test_a_joined_cluster_is_asked_what_it_has() -> None:
    with LocalCluster(n_workers=2, threads_per_worker=5, processes=False, dashboard_address="127.0.0.1:0") as cluster:
        joined = CONFIG.model_copy(update={"cluster": Cluster(address=cluster.scheduler_address)})
        assert capacity_of(joined) == Capacity(10, f"10 workers of {cluster.scheduler_address}")
        assert f"on 10 workers of {cluster.scheduler_address}" in plan_run(joined)
        cluster.scale(0)
        while cluster.scheduler.workers:
            time.sleep(0.01)
        assert capacity_of(joined).told == f"1 worker, for {cluster.scheduler_address} has none now"


def test_a_cluster_that_does_not_answer_is_named_and_this_machine_taken() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        found = capacity_of(CONFIG.model_copy(update={"cluster": Cluster(address=address, timeout="200ms")}))
    assert found.threads == usable_cpus()
    assert f"such as this machine's, for {address} did not say what it has (" in found.told


def test_workers_have_the_threads_that_they_are_given() -> None:
    kinds = {"workers": 3, "threads": 4, "gpus": 2}
    found = [
        capacity_of(
            CONFIG.model_copy(update={"cluster": Cluster.model_validate({kind: count, "threads_per_worker": 2})})
        )
        for kind, count in kinds.items()
    ]
    assert [one.threads for one in found] == [6, 4, 4]
    assert capacity_of(CONFIG.model_copy(update={"cluster": Cluster(workers=0)})).told == "1 worker"


def test_a_plan_tells_which_steps_run_on_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DEVICE, raising=False)
    here, there = CONFIG, CONFIG.model_copy(update={"cluster": Cluster(gpus="all")})
    assert "on GPUs" not in plan_run(here)
    *_, told = plan_run(there).splitlines()
    assert told.startswith("on GPUs: regularise, savgol, cumulative_displacement, motion, sum_patterns, label_patterns")
    assert "; on processors: sample_patterns, whatever reads, forecasts" in told
    networks = there.model_copy(update={"forecast": Forecast(methods=["harmonic_ridge", "spacetimeformer"])})
    *_, told = plan_run(networks).splitlines()
    assert ", networks that forecast; on processors: sample_patterns, whatever else reads, forecasts" in told
    monkeypatch.setenv(DEVICE, "cpu")
    assert "on GPUs" not in plan_run(there)
    monkeypatch.setenv(DEVICE, "gpu")
    assert "on GPUs" in plan_run(here)


def test_a_machine_is_as_fast_as_its_last_whole_run(small_scene: xr.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "site.zarr"
    insar.save(small_scene, path, "site/raw", shard_points=512, quiet=True)
    with pytest.raises(CubeError, match=r"no run of .*site.zarr made a product from its file to its report"):
        speed_of(path, CONFIG)
    size = Size.of(small_scene.sizes["point"], small_scene.sizes["time"], "site", CONFIG)
    tell_run(path, 3 * wall_of(size, 2))
    speed = speed_of(path, CONFIG)
    assert speed.factor == pytest.approx(3, rel=1e-3)
    assert "site took" in speed.told and "on 2 workers" in speed.told
    slow, usual = (plan_run(CONFIG, like).splitlines()[-3] for like in (path, None))
    assert slow != usual
    assert sum(work_of(size, speed).values()) == pytest.approx(3 * sum(work_of(size, Speed()).values()), rel=1e-3)


def test_stages_that_are_switched_off_are_in_no_sum() -> None:
    off = {"patterns": {"n_clusters": 0}, "decompose": {"method": "none"}}
    for left_out in ({"patterns"}, {"decompose"}, {"patterns", "decompose"}):
        for path in ("site.zarr", "s3://bucket/site.zarr"):
            switched = {stage: off[stage] for stage in left_out}
            plan = planned(CONFIG.model_validate({**CONFIG.model_dump(), **switched, "store": {"path": path}}))
            whole = planned(CONFIG.model_validate({**CONFIG.model_dump(), "store": {"path": path}}))
            ((_, stages),), (work,) = plan.tables, plan.works
            assert set(stages) == set(work) == set(REFERENCE) - left_out
            ((_, all_stages),) = whole.tables
            assert plan.tasks == whole.tasks - sum(all_stages[stage][0] for stage in left_out)
            assert plan.stored == pytest.approx(whole.stored - sum(all_stages[stage][1] for stage in left_out))
    areas = CONFIG.model_copy(update={"areas": CONFIG.areas.model_copy(update={"method": "hysteresis"})})
    judged = areas.model_copy(update={"areas": areas.areas.model_copy(update={"inventory": "slumps.gpkg"})})
    found, given = ({*planned(one).tables[-1][1]} for one in (areas, judged))
    assert found - given == {"find"} and "find" not in planned(judged).works[-1]


@pytest.mark.parametrize("left_out", [{"patterns"}, {"patterns", "decompose"}])
def test_a_run_without_some_stages_is_judged_by_the_others(
    small_scene: xr.Dataset, tmp_path: Path, left_out: set[str]
) -> None:
    path = tmp_path / "site.zarr"
    insar.save(small_scene, path, "site/raw", shard_points=512, quiet=True)
    size = Size.of(small_scene.sizes["point"], small_scene.sizes["time"], "site", CONFIG)
    work = work_of(size)
    assert wall_of(size, 1, left_out=left_out) == pytest.approx(sum(work.values()) - sum(work[one] for one in left_out))
    tell_run(path, 3 * wall_of(size, 2, left_out=left_out), left_out)
    assert speed_of(path, CONFIG).factor == pytest.approx(3, rel=1e-3)


STAGES = "raw", "prepare", "patterns", "decompose", "fit", "score", "forecast", "report"


def tell_run(path: Path, seconds: float, left_out: Collection[str] = ()) -> None:
    """A run of two workers that began at 1000 s, and took so many seconds."""
    with Journal(LocalStore(path), quiet=True) as told:
        for place, last in enumerate(stage for stage in STAGES if stage not in left_out):
            name, at = f"site/{last}", 1000.0 + place
            end = 1000.0 + seconds if last == "report" else at + 1
            told(Event("stage", name, at=at, extra={"n_shards": 2}))
            for shard in range(2):
                told(Event("done", name, shard, worker=f"tcp://127.0.0.1:{shard}", at=at))
            told(Event("ended", name, at=end))
