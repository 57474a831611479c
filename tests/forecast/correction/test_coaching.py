from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from distributed import Client
from sklearn.base import clone

import insar_dask as insar
from insar_dask.cube import CubeError
from insar_dask.forecast import Forecaster, protocol
from insar_dask.forecast.coaching import MAPS, MASK, SERIES, usable_device
from insar_dask.forecast.timetable import TooShortError
from insar_dask.forecast.training import checkpoint
from insar_dask.synthetic import scene
from tests.gaps import with_gaps

SIZES = {"width": 16, "hidden": 32, "heads": 2, "head_width": 8, "encoder_layers": 1, "decoder_layers": 1}
TINY: dict[str, Any] = {
    "method": "spacetimeformer",
    "sizes": SIZES,
    "training": {"max_steps": 4, "check_every": 2, "batch": 4, "first_rate": 1e-3, "warmup": 0},
}


LINEAR = {"method": "harmonic", "sizes": None}


@pytest.fixture(scope="module")
def cube() -> xr.Dataset:
    """140 points x 158 dates every 12 days, one without any value: fewer than three groups of 64."""
    return with_gaps(scene("chumar", n_points=140, seed=6), 9)


@pytest.fixture(scope="module")
def fitted(cube: xr.Dataset) -> Forecaster:
    torch.set_num_threads(1)
    return Forecaster(**TINY).fit(cube)


def test_a_network_is_scored_beside_what_it_corrects(cube: xr.Dataset, fitted: Forecaster) -> None:
    assert fitted.method_ == fitted.scores_.default == "spacetimeformer"
    assert {"spacetimeformer", "harmonic_ridge", "gaussian_process"} <= set(fitted.scores_.tables["honest"])
    forecast = fitted.predict(cube)
    assert forecast.attrs["method"] == "spacetimeformer"
    assert np.flatnonzero(forecast["displacement"].isnull().any(["origin", "lead"])).tolist() == [9]
    assert forecast.attrs["points_without_forecast"] == 1


def test_a_network_comes_back_from_its_folder(cube: xr.Dataset, fitted: Forecaster, tmp_path: Path) -> None:
    again = Forecaster.load(fitted.save(tmp_path / "model"))
    assert again.predict(cube).identical(fitted.predict(cube))
    assert again.get_params() == fitted.get_params() | {"context": 24, "horizon": 6}
    assert "torch" in again.card()["versions"]
    assert "The network was trained on dates before 2021-" in again.card()["leak_statement"]


def test_the_order_of_points_changes_no_forecast_of_a_network(cube: xr.Dataset, fitted: Forecaster) -> None:
    mixed = np.random.default_rng(0).permutation(140)
    again = fitted.predict(cube.isel(point=mixed))["displacement"].values
    np.testing.assert_array_equal(again, fitted.predict(cube)["displacement"].values[:, mixed])


def test_a_stored_cube_is_forecast_by_a_network_as_in_memory(
    cube: xr.Dataset, fitted: Forecaster, tmp_path: Path
) -> None:
    store = tmp_path / "site.zarr"
    insar.save(cube, store, "site/raw", shard_points=128, quiet=True)
    made = insar.predict_stored(store, fitted, threads=1, quiet=True)
    oracle = fitted.predict(insar.open_cube(store))
    for name in ("displacement", "lower", "upper"):
        np.testing.assert_array_equal(made[name].values, oracle[name].values)
    assert made.attrs["points_without_forecast"] == 1


@pytest.mark.parametrize("n_points", [1, 5])
def test_fewer_points_than_a_group_holds_are_forecast_all_the_same(
    n_points: int, cube: xr.Dataset, fitted: Forecaster
) -> None:
    few = cube.isel(point=slice(0, n_points))
    assert np.isfinite(fitted.predict(few)["upper"].values).all()


def test_one_point_is_learned_from_alone(cube: xr.Dataset) -> None:
    """Its group has no other; what it adds to Kriging is finite where all of it is believed, too."""
    alone = cube.isel(point=[0], time=slice(-100, None))
    fitted = Forecaster(**TINY).fit(alone)
    forecast, plan = fitted.predict(alone), fitted.plan_to_predict(alone)
    assert np.isfinite(forecast["upper"].values).all()
    believed = {**fitted.state_for(plan), "honest.trained.spacetimeformer.gate.future": np.ones(())}
    corrected = protocol.forecast_block(alone, plan, believed)["displacement"].values
    assert np.isfinite(corrected).all() and (corrected != forecast["displacement"].values).any()


def test_a_rank_on_a_worker_learns_what_this_process_would_and_leaves_its_checkpoints(
    cube: xr.Dataset, fitted: Forecaster, tmp_path: Path
) -> None:
    told: list[Any] = []
    with Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=":0") as client:
        with pytest.raises(ValueError, match="2 ranks are more than the 1 workers of the client"):
            clone(fitted).fit(cube, client=client, ranks=2)
        with pytest.raises(CubeError, match=r"each of 1 ranks takes .* training=\{'batch': \d+\} would take"):
            clone(fitted).set_params(training={"batch": 2**26}).fit(cube, client=client)
        with pytest.raises(ValueError, match="client is given, and kriging trains no network: leave it out, or choose"):
            Forecaster().fit(cube, client=client)
        there = clone(fitted).fit(cube, client=client, ranks=1, checkpoints=tmp_path, progress=told.append)
    with pytest.raises(ValueError, match="the client is closed: give one that runs, or none"):
        clone(fitted).fit(cube, client=client, ranks=1)
    for name, array in fitted.state_.items():
        np.testing.assert_array_equal(there.state_[name], array, err_msg=name)
    assert {"begin", "check", "end"} <= {said.get("kind") for said in told}
    told.clear()
    (place,) = tmp_path.iterdir()
    assert {path.name for path in place.iterdir()} == {"checkpoints", "lock"}, "series go with the training"
    found = checkpoint.load(place / "checkpoints")
    assert found is not None and found.state["identity"].startswith(place.name), "other data have another identity"
    mine, left = tmp_path / "mine" / "series.npy", [tmp_path / "killed" / name for name in (SERIES, MAPS, MASK)]
    for path in (mine, *left):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    again = clone(fitted).fit(cube, checkpoints=tmp_path, progress=told.append)
    assert mine.exists() and not any(path.exists() for path in left), (
        "what a killed training left is swept, and nothing else"
    )
    assert not any(said.get("kind") == "check" for said in told), "the training is over"
    np.testing.assert_array_equal(again.predict(cube)["upper"].values, fitted.predict(cube)["upper"].values)


@pytest.mark.parametrize(
    ("parameters", "arguments", "message"),
    [
        (
            {"method": "harmonic", "sizes": None, "training": None},
            {"ranks": 2},
            "ranks is given, and harmonic trains no",
        ),
        (
            {"method": "harmonic", "sizes": None, "training": None},
            {"checkpoints": "a"},
            "checkpoints is given, and harm",
        ),
        ({"method": "harmonic", "sizes": None}, {}, "training is given, and harmonic trains no network: leave it out"),
        ({}, {"ranks": 2}, "2 ranks need workers: give a client"),
        ({}, {"ranks": 0}, "ranks is 0; wanted a whole number, at least 1"),
        ({}, {"checkpoints": __file__}, r"checkpoints is '.*test_coaching.py', which is a file; name a folder"),
        ({"sizes": {"layers": 3}}, {}, "sizes has no layers; it has .*encoder_layers"),
        ({"sizes": {"context": 3}}, {}, "sizes has no context; it has"),
        ({"sizes": {"width": 64.0}}, {}, "width is 64.0; wanted a whole number, at least 1"),
        ({"sizes": {"dropout": 10}}, {}, "dropout is 10; wanted a share between 0 and 1, or 0"),
    ],
)
def test_what_a_network_cannot_have_is_named(
    parameters: dict[str, Any], arguments: dict[str, Any], message: str, cube: xr.Dataset
) -> None:
    with pytest.raises(ValueError, match=message):
        Forecaster(**{**TINY, **parameters}).fit(cube, **arguments)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_absent_is_missed_before_any_work(cube: xr.Dataset, fitted: Forecaster) -> None:
    with pytest.raises(ValueError, match=r"device 'cuda' was asked for, but torch .* finds no GPU here: take device="):
        clone(fitted).set_params(device="cuda").fit(cube)
    assert usable_device("auto") == "cpu"


def test_cubes_that_a_network_cannot_learn_from_are_refused(cube: xr.Dataset, fitted: Forecaster) -> None:
    with pytest.raises(TooShortError, match="are needed for horizon 6"):
        clone(fitted).fit(cube.isel(time=slice(0, 70)))
    with pytest.raises(CubeError, match="have seen the whole series"):
        clone(fitted).fit(cube.assign_attrs(sees_future=-1))
