"""Numbers do not change unseen: a step whose results differ from the record needs a new RESULT_VERSION.

`python -m tests.jobs.test_golden` writes the record anew, after the version was raised.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import xarray as xr

from insar_dask.cube import describe
from insar_dask.forecast import protocol
from insar_dask.forecast.components.settings import Settings as ComponentSettings
from insar_dask.forecast.components.settings import Shape as ComponentShape
from insar_dask.forecast.components.teaching import School, teach
from insar_dask.forecast.correction.origin_windows import Shape
from insar_dask.forecast.correction.teaching import Lesson, Settings, train_here
from insar_dask.forecast.covariance import GUESS
from insar_dask.forecast.departure_blocks import worth
from insar_dask.forecast.departures import tail_table
from insar_dask.forecast.discoveries import adjusted
from insar_dask.forecast.series.point_source import CubePoints
from insar_dask.forecast.training.job import Training
from insar_dask.jobs.forecasting import component_training
from insar_dask.jobs.forecasting.training import RESULT_VERSION
from insar_dask.jobs.recipe import STEPS, Step
from insar_dask.synthetic import pair_cube
from tests.jobs.test_cube_ingest import mintpy, pairs_of, rasters, stack_of, table

TRAININGS = {"networks": RESULT_VERSION, "component_networks": component_training.RESULT_VERSION}
VERSIONS = TRAININGS | {name: version for name, (_, version) in STEPS.items()}
RECORD = Path(__file__).with_name("golden.json")
THETA = {"honest.future.gaussian_process.theta": GUESS}
METHODS = ("persistence", "drift", "seasonal_naive", "harmonic", "harmonic_ar1", "harmonic_ridge")


def cube() -> xr.Dataset:
    """200 points x 150 dates of trend, season and noise, with gaps: from NumPy's PCG64 stream, which is frozen."""
    chance = np.random.default_rng(5)
    days = np.cumsum(np.where(np.arange(150) % 7 == 3, 24, 12)) - 12
    years = days / 365
    velocity, season, phase = (
        chance.normal(0, 10, (200, 1)),
        chance.gamma(2, 2, (200, 1)),
        chance.uniform(0, 6, (200, 1)),
    )
    values = velocity * years + season * np.sin(2 * np.pi * years + phase) + chance.normal(0, 2, (200, 150))
    values[chance.random((200, 150)) < 0.03] = np.nan
    place = chance.uniform(4.5e6, 4.51e6, (2, 200))
    return xr.Dataset(
        {
            "displacement": (("point", "time"), np.round(values, 1).astype(np.float32), describe("displacement")),
            "observed": ("time", np.ones(150, bool)),
        },
        coords={
            "time": np.datetime64("2015-01-05", "ns") + days * np.timedelta64(1, "D"),
            "point_id": ("point", [f"{i:010d}" for i in range(200)]),
            "easting": ("point", place[0]),
            "northing": ("point", place[1] - 2.2e6),
            "crs": ((), np.int32(0), {"crs_wkt": "LOCAL_CS[]"}),
        },
        attrs={
            **dict.fromkeys(("positive", "reference_date", "reference", "release"), "x"),
            "component": "up",
            "sees_future": 0,
        },
    )


def results() -> dict[str, Any]:
    raw = cube()
    plan = protocol.plan(raw["time"].values, every="12D", methods=METHODS)
    regular = run("regularise", raw, every="12D")
    patterns = {
        "centroids": regular["displacement"].values[:3],
        "times": regular["time"].values,
        "sizes": np.arange(3),
    }
    fits = run("fit_partial", raw, plan=plan)
    state = protocol.fit([fits], plan)
    errors = run("calibrate_partial", raw, plan=plan, state=state)
    calibrated = protocol.calibrate([errors], plan, state)
    forecast = run("forecast_block", raw, plan=plan, state=calibrated)
    tiles = run("rasterise", raw, pixels=16, cells=4)
    return {
        **read(),
        **inverted(),
        "regularise": regular,
        "savgol": run("savgol", regular, window=11, order=2),
        "moving_average": run("moving_average", regular, window=3),
        "motion": run("motion", raw),
        "rasterise": tiles,
        "east_up": looked_at(raw),
        "velocity_errors": run("velocity_errors", raw),
        "sum_errors": run("sum_errors", run("velocity_errors", raw)),
        "find_areas": found(),
        "forecast_tiles": run("forecast_tiles", tiles, plan=plan, state=calibrated),
        "hindcast_tile": run("hindcast_tile", tiles, plan=plan, state=calibrated),
        "holt_winters": run("holt_winters", regular, period=30, until="2019-01-01"),
        "stl": run("stl", regular, period=30),
        "cumulative_displacement": run("cumulative_displacement", regular),
        "component_variances": run("component_variances", parts(regular)),
        "sample_patterns": run("sample_patterns", regular, share=0.3, seed=1),
        "sum_patterns": run("sum_patterns", regular, state=patterns),
        "label_patterns": run("label_patterns", regular, state=patterns),
        "fit_partial": fits,
        "calibrate_partial": errors,
        "score_partial": run("score_partial", raw, plan=plan, state=state),
        "outlook_block": run("outlook_block", raw, plan=plan, state=THETA, threshold=-20.0),
        "forecast_block": forecast,
        "count_forecasts": run("count_forecasts", forecast),
        **updated(raw, plan, calibrated, errors),
        "explore": explored(raw),
        "networks": taught(raw),
        "component_networks": taught_parts(raw),
    }


def inverted() -> dict[str, Any]:
    """Interferograms of a drawn scene through every step that they may take."""
    pairs = pair_cube(8, 9, 30, ramps=3.0, unwrapping=0.02, missing=0.1, longest=40, lost=(150, 190))
    index = pairs["true_season_shape"].values.tolist()
    surface = {"kind": "plane", "centre": [4.0, 3.5], "scale": [4.0, 3.5]}
    slopes = 0.1 * np.arange(2 * pairs.sizes["pair"]).reshape(-1, 2) / pairs.sizes["pair"]
    offsets = {"offsets": np.linspace(-1, 1, pairs.sizes["pair"])}
    prepared = run("prepare_pairs", pairs, closure=True, state=offsets)
    series = run("invert", prepared, method="nsbas", weights="coherence", looks=4, index=index, fill="model")
    return {
        "prepare_pairs": prepared,
        "count_missing": run("count_missing", prepared),
        "sum_coherence": run("sum_coherence", prepared),
        "sample_phase": run("sample_phase", prepared, step=3),
        "judge_ground": run("judge_ground", prepared, min_pairs=5),
        "sum_series": run("sum_series", series),
        "take_as_known": run("take_as_known", series)[["displacement"]],
        "sum_surfaces": run("sum_surfaces", prepared, surface=surface, limit=8.0),
        "flatten_pairs": run("flatten_pairs", prepared, surface=surface, state={"slopes": slopes, **offsets}),
        "sum_residuals": run("sum_residuals", prepared),
        "invert": series.assign({f"tree_{name}": array for name, array in by_tree(prepared).items()}),
        "fit_motion": run("fit_motion", prepared, index=index, annual=True, height_error=True),
    }


def by_tree(pairs: xr.Dataset) -> xr.Dataset:
    """Series of trees of pairs, where half of the points lack the last five dates: theirs have fewer pairs."""
    late = np.unique(pairs["second"].values)[-5]
    whole = (np.arange(pairs.sizes["point"]) % 2 == 0)[:, None] | (pairs["second"].values < late)
    lacking = pairs.assign(phase=pairs["phase"].where(xr.DataArray(whole, dims=("point", "pair"))))
    weights = np.arange(pairs.sizes["pair"]) % 7 / 7
    series = run("invert", lacking, method="svd", network="tree", tree_weights=weights, min_pairs=22)
    return series[["displacement", "n_pairs"]]


def taught(raw: xr.Dataset) -> dict[str, npt.NDArray[np.float64]]:
    """What a network stands on, and a thousand times its first losses: its weights depend on the kind of processor."""
    torch.set_num_threads(1)
    plan = protocol.plan(raw["time"].values, every="12D", methods=("gaussian_process",))
    sizes = {"width": 16, "hidden": 16, "heads": 1, "head_width": 8, "encoder_layers": 1, "decoder_layers": 1}
    settings = Settings(Shape(), sizes, Training(max_steps=4, batch=4, warmup=0, first_rate=1e-3, check_every=1))
    lesson = Lesson(CubePoints(raw), plan, {"honest.validation.gaussian_process.theta": GUESS}, 200, settings)
    footing = lesson.footing()
    history = train_here(lesson, footing).history
    return {"footing": footing.weights} | {k: 1000 * np.array(history[k]) for k in ("training", "validation")}


def taught_parts(raw: xr.Dataset) -> dict[str, npt.NDArray[np.float64]]:
    """What series of each component are scaled by, and the first losses of its network."""
    plan = protocol.plan(raw["time"].values, every="12D", methods=("persistence",))
    sizes = {"width": 8, "hidden": 8, "heads": 1, "head_width": 8, "encoder_layers": 1, "decoder_layers": 1}
    training = Training(max_steps=2, batch=4, warmup=0, first_rate=1e-3, check_every=1)
    settings = ComponentSettings(ComponentShape(patterns=1), sizes, training)
    with TemporaryDirectory() as folder:
        learned = teach(CubePoints(raw), plan, settings, School(Path(folder)))
    told = json.loads(str(learned["honest.trained.spacetimeformer_components.settings"]))
    scales = np.array([framing["scale"] for framing in told["framings"]])
    return {"scales": scales, "losses": 1000 * np.array([account["best_loss"] for account in told["accounts"]])}


def read() -> dict[str, Any]:
    """Cubes of files that are written first: their values are exact in any version of the libraries that write them."""
    cubes = {}
    writers = {"mintpy": mintpy, "raster": rasters, "psi_csv": table, "pairs": pairs_of, "ifgram_stack": stack_of}
    for name, write in writers.items():
        with TemporaryDirectory() as folder:
            source, options = write(Path(folder))
            cubes[name] = run(name, source, **options).compute()
    return cubes


def looked_at(raw: xr.Dataset) -> xr.Dataset:
    """Half of the points looked at from either side; east, and up under names of its own."""
    tracks = []
    for way, incidence, heading in (("ascending", 37.0, -9.0), ("descending", 41.0, 191.0)):
        half = raw.isel(point=slice(way == "ascending", None, 2), time=slice(way == "descending", None))
        looks = {"incidence_angle": incidence, "heading": heading, "track": way, "pass": way}
        tracks.append(half.assign_attrs(component="los", positive="towards the satellite", **looks))
    east, up = run("east_up", tracks, cell=2000.0)
    return east.assign({f"up_{name}": up[name] for name in ("displacement", "displacement_std")})


def found() -> Any:
    """Two bowls that sink, one of them with a season and a change of its rate, on 30 x 40 cells of uneven velocity."""
    chance = np.random.default_rng(6)
    row, column = np.mgrid[:30, :40]
    bowls = [np.clip(1.3 - np.hypot(row - 12, column - at) / 7, 0, 1) for at in (10, 29)]
    values = {
        "velocity": -25 * (bowls[0] + bowls[1]) + chance.normal(0, 1, row.shape),
        "velocity_std": np.full(row.shape, 0.8),
        "seasonality": 3 + 8 * bowls[0] + chance.normal(0, 0.3, row.shape),
        "phase": 180 + chance.normal(0, 10, row.shape),
        "acceleration": -2 * bowls[0],
        "acceleration_std": np.full(row.shape, 0.2),
        "height": 900 - 5.0 * row,
    }
    places = {"y": ("y", 985.0 - 30 * np.arange(30)), "x": ("x", 15.0 + 30 * np.arange(40))}
    maps = xr.Dataset(
        {name: (("y", "x"), array.astype(np.float32)) for name, array in values.items()},
        {**places, "crs": ((), np.int32(0), {"crs_wkt": "LOCAL_CS[]"})},
        {"cell": 30.0},
    )
    return run("find_areas", maps, season=None, fewest=4).columns


def updated(
    raw: xr.Dataset, plan: protocol.Plan, state: dict[str, Any], errors: dict[str, Any]
) -> dict[str, dict[str, npt.NDArray[Any]] | xr.Dataset]:
    """The record as if it had a newer vintage: shifted, with two dates more, of which the last ones are judged."""
    chance = np.random.default_rng(7)
    days = raw["time"].values.astype("datetime64[D]").astype(np.int64)
    older = {name: raw[name].values for name in ("displacement", "easting", "northing", "point_id")}
    newer = {
        **older,
        "displacement": older["displacement"] + chance.normal(3, 1, raw["displacement"].shape).astype("f4"),
    }
    tied = np.full(200, 3, np.float32)
    ratios = errors["honest.harmonic_ridge.ratios"]
    table = tail_table(ratios, plan.level)
    made = run("forecast_block", raw, plan=plan, state=state)
    said = {name: made[name].values[0] for name in ("displacement", "lower", "upper")}
    new = plan.target_days(plan.future)[:3]
    observed = (said["displacement"][:, :3] + chance.normal(0, 12, (200, 3))).astype(np.float32)
    edges, lead = state["honest.future.edges"], np.arange(3)
    found = run("find_departures", observed, forecast=said, history=older, plan=plan, table=table, edges=edges,
                tie_error=tied / 3, days=new)  # fmt: skip
    dims = {1: "point", 2: ("point", "time")}
    block = xr.Dataset(
        {name: (dims[a.ndim], a) for name, a in found.items()},
        {"time": new.astype("datetime64[D]").astype("datetime64[ns]")},
    )
    judged = run("judge_departures", block, state={**table, "lead": lead, "shift": np.array([0.5, -0.5, 0.0])}, dates=2)
    p_values = judged["p_lasting"].values
    return {
        "compare_vintages": run("compare_vintages", older["displacement"], newer=newer["displacement"], days=days),
        "join_vintages": run(
            "join_vintages",
            older,
            newer=newer,
            offset=tied,
            places=(np.arange(150), np.arange(2, 152)),
            n_dates=152,
        ),
        "find_departures": found,
        "count_departures": run("count_departures", block),
        "judge_departures": judged,
        "flag_departures": run("flag_departures", judged, state=worth(p_values, adjusted(p_values)), rate=0.1, dates=2),
    }


def explored(raw: xr.Dataset) -> xr.Dataset:
    """Every third point of the map, by its velocity."""
    values = {"velocity": run("motion", raw)["velocity"].values, **{n: raw[n].values for n in ("easting", "northing")}}
    rows = np.arange(0, 200, 3)
    chosen = {name: array[rows] for name, array in values.items()}
    return run("explore", chosen, rows=rows, offset=(4.505e6, 2.305e6), steps={"velocity": 0.01})


def parts(regular: xr.Dataset) -> xr.Dataset:
    """Something for each component: the series, its square, its past."""
    values = regular["displacement"]
    return regular.drop_vars("displacement").assign(trend=values, season=values**2 / 50, residual=values.shift(time=1))


def run(function: str, source: Any, **params: Any) -> Any:
    return Step(function, "source", "result").resolve()(source, **params)


def digest(result: Any) -> dict[str, list[float]]:
    """Of each numeric array: how many missing values, the sum, and a sum with fixed random weights."""
    arrays = {
        str(k): np.asarray(v) for k, v in (result.variables if isinstance(result, xr.Dataset) else result).items()
    }
    return {name: numbers(a) for name, a in sorted(arrays.items()) if a.dtype.kind in "fiub"}


def numbers(array: npt.NDArray[Any]) -> list[float]:
    values = array.astype(np.float64)
    weights = np.random.default_rng(1).random(values.shape)
    return [float(np.isnan(values).sum()), float(np.nansum(values)), float(np.nansum(values * weights))]


def current() -> dict[str, Any]:
    return {name: {"version": VERSIONS[name], "numbers": digest(result)} for name, result in results().items()}


@pytest.fixture(scope="module")
def now() -> dict[str, Any]:
    return current()


LEARNED = {"component_networks": 5e-3}
"""Tolerances of networks: each processor sums in an order of its own, which training carries on (6e-4 between two)."""


@pytest.mark.parametrize("name", sorted(set(VERSIONS) - {"ingest"}))
def test_numbers_change_only_with_their_version(name: str, now: dict[str, Any]) -> None:
    record = json.loads(RECORD.read_text())[name]
    if record["version"] != VERSIONS[name]:
        pytest.fail(f"{name} has a new version: renew the record with python -m tests.jobs.test_golden")
    assert now[name]["numbers"].keys() == record["numbers"].keys()
    for array, kept in record["numbers"].items():
        message = f"{name}.{array} changed: raise its version in insar_dask.jobs, STEPS or RESULT_VERSION"
        np.testing.assert_allclose(
            now[name]["numbers"][array], kept, rtol=LEARNED.get(name, 1e-4), atol=1e-3, err_msg=message
        )


if __name__ == "__main__":
    RECORD.write_text(json.dumps(current(), indent=1, sort_keys=True) + "\n")
