"""The public Forecaster with a network for each component and pattern."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from sklearn.base import clone

import insar_dask as insar
import insar_kernels
from insar_dask.cube import CubeError
from insar_dask.forecast import Forecaster
from insar_dask.forecast.components.history import PARTS, first_unknown
from insar_dask.forecast.models import build
from insar_dask.forecast.registry import under
from insar_dask.forecast.series.calendar_features import calendar_features
from insar_dask.forecast.timetable import TooShortError
from tests.forecast.components.conftest import TINY

NAME = "spacetimeformer_components"


def told(model: Forecaster) -> dict[str, Any]:
    """Settings and accounts of the networks."""
    return dict(json.loads(str(model.state_[f"honest.trained.{NAME}.settings"])))


def test_it_is_scored_beside_what_costs_nothing(plateau: xr.Dataset, fitted: Forecaster) -> None:
    assert fitted.method_ == fitted.scores_.default == NAME
    assert set(fitted.scores_.tables["honest"]) == {NAME, "persistence", "harmonic"}
    forecast = fitted.predict(plateau)
    assert forecast.attrs["method"] == NAME
    lost = np.flatnonzero(forecast["displacement"].isnull().any(["origin", "lead"])).tolist()
    assert lost == [9, 17]
    assert forecast.attrs["points_without_forecast"] == 2
    inside = forecast.drop_isel(point=lost)
    assert ((inside["lower"] < inside["displacement"]) & (inside["displacement"] < inside["upper"])).all()


def test_a_network_is_trained_for_each_component_and_pattern(fitted: Forecaster) -> None:
    accounts = told(fitted)["accounts"]
    assert [(one["component"], one["pattern"]) for one in accounts] == [(part, p) for part in PARTS for p in (0, 1)]
    assert all(one["steps"] == 3 for one in accounts)
    assert sum(one["points"] for one in accounts) == 3 * 148


def test_a_forecast_is_the_sum_of_what_the_networks_say(plateau: xr.Dataset, fitted: Forecaster) -> None:
    """Of one point alone, whose group has no neighbour: made here from kernels and tensors."""
    alone, said = plateau.isel(point=[40]), told(fitted)
    acquired = alone["time"].values.astype("datetime64[D]").astype(np.int64)
    days = np.arange(acquired[0], acquired[-1] + 1, 12)
    values = np.full((1, len(days)), np.nan, np.float32)
    values[:, (acquired - days[0]) // 12] = alone["displacement"].values
    until = first_unknown(fitted.plan_)
    assert said["until"] == until
    parts = insar_kernels.holt_winters(values, 30, int((days < until).sum()))
    curves = fitted.state_[f"honest.trained.{NAME}.patterns.curves"]
    early = alone["displacement"].values[:, : curves.shape[1]]
    pattern = int(((early - curves) ** 2).sum(axis=1).argmin())
    later = days[-1] + 12 * np.arange(1, 7)
    years = tuple(np.array([days[0], until - 12]).astype("datetime64[D]").astype("datetime64[Y]").astype(int) + 1970)
    times = {"context_time": days[-24:], "target_time": later}
    wanted = np.zeros(6)
    for at, series in enumerate((parts.trend, parts.season, parts.residual)):
        framing = said["framings"][2 * at + pattern]
        shift = series[0, -1] if at == 0 else framing["shift"]
        present = np.arange(8)[None] == 0
        given = present[..., None] & np.isfinite(values[0, -24:])
        scaled = np.where(given, (series[0, -24:] - shift) / framing["scale"], 0).astype(np.float32)
        batch = {"values": scaled, "given": given, "present": present}
        batch |= {name: calendar_features(when, "paper", years)[None] for name, when in times.items()}
        network = build("spacetimeformer", **TINY["sizes"]).eval()
        weights = under(f"honest.trained.{NAME}.weights.", fitted.state_)
        network.load_state_dict(
            {name: torch.from_numpy(np.array(array[2 * at + pattern])) for name, array in weights.items()}
        )
        with torch.no_grad():
            out = network({name: torch.from_numpy(array) for name, array in batch.items()})[0, 0].numpy()
        wanted += out * framing["scale"] + shift
    np.testing.assert_allclose(fitted.predict(alone)["displacement"].values[0, 0], wanted, rtol=1e-4, atol=1e-3)


def test_it_comes_back_from_its_folder_with_a_card(plateau: xr.Dataset, fitted: Forecaster, tmp_path: Path) -> None:
    folder = fitted.save(tmp_path / "model")
    again = Forecaster.load(folder)
    assert again.predict(plateau).identical(fitted.predict(plateau))
    end = np.datetime64(first_unknown(fitted.plan_), "D")
    page = (folder / "README.md").read_text()
    assert f"The networks end on {end}" in page
    assert "| trend | 0 |" in page and "| residual | 1 |" in page


def test_a_store_holds_the_numbers_of_predict_whatever_the_order(
    plateau: xr.Dataset, fitted: Forecaster, tmp_path: Path
) -> None:
    insar.save(plateau, tmp_path / "site.zarr", "site/raw", quiet=True)
    made = insar.predict_stored(tmp_path / "site.zarr", fitted, threads=1, quiet=True)
    oracle = fitted.predict(insar.open_cube(tmp_path / "site.zarr", "site/raw"))
    for name in ("displacement", "lower", "upper"):
        np.testing.assert_array_equal(made[name].values, oracle[name].values)
    mixed = np.random.default_rng(0).permutation(150)
    again = fitted.predict(plateau.isel(point=mixed))["displacement"].values
    np.testing.assert_array_equal(again, fitted.predict(plateau)["displacement"].values[:, mixed])


def test_points_of_other_ground_are_forecast_and_a_record_that_begins_too_late_is_not(
    plateau: xr.Dataset, fitted: Forecaster
) -> None:
    east = plateau.assign_coords(easting=plateau["easting"] + 1e5)
    assert int(fitted.predict(east)["displacement"].isnull().any(["origin", "lead"]).sum()) == 2
    with pytest.raises(TooShortError, match=r"the record has \d+ dates of 12 days before 20.*; 60 are needed"):
        fitted.predict(plateau.isel(time=slice(40, None)))


def test_series_that_cannot_be_learned_from_are_refused(plateau: xr.Dataset) -> None:
    with pytest.raises(TooShortError, match="are needed for horizon 6"):
        Forecaster(**TINY).fit(plateau.isel(time=slice(0, 70)))
    late = plateau["displacement"].values.copy()
    late[:, :60] = np.nan
    with pytest.raises(CubeError, match="none of 150 series can be taken apart: wanted two years of dates before 20"):
        Forecaster(**TINY).fit(plateau.assign(displacement=plateau["displacement"].copy(data=late)))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_patterns": 0}, "n_patterns is 0; wanted a whole number, at least 1"),
        ({"sizes": {"patch": 3}}, "sizes has no patch; it has .*encoder_layers"),
        ({"sizes": {"points": 3}}, "sizes has no points"),
    ],
)
def test_what_the_networks_cannot_have_is_named(parameters: dict[str, Any], message: str, plateau: xr.Dataset) -> None:
    with pytest.raises(ValueError, match=message):
        Forecaster(**{**TINY, **parameters}).fit(plateau)


def test_more_than_memory_holds_is_refused_before_any_work(
    plateau: xr.Dataset, fitted: Forecaster, tmp_path: Path
) -> None:
    with pytest.raises(CubeError, match=r"takes [\d,]+ MB, 100 MB are free"):
        clone(fitted).fit(plateau, memory=100_000_000)
    insar.save(plateau, tmp_path / "site.zarr", "site/raw", quiet=True)
    with pytest.raises(CubeError, match=r"takes [\d,]+ MB, 100 MB are free: no batch is small enough"):
        insar.fit_stored(tmp_path / "site.zarr", clone(fitted), memory=100_000_000, quiet=True)
