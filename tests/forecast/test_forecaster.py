import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from insar_dask.cube import CubeError
from insar_dask.forecast import Forecaster, protocol
from insar_dask.forecast.catalogue import METHODS
from insar_dask.forecast.lacking import count_lacking
from insar_dask.forecast.model_folder import write_folder
from insar_dask.forecast.naive import harmonic_design
from insar_dask.forecast.timetable import TooShortError
from insar_dask.synthetic import scene
from tests.gaps import with_gaps


@pytest.fixture(scope="module")
def cube() -> xr.Dataset:
    """300 points x 158 dates every 12 days; one point without any value, one with ten."""
    return with_gaps(scene("chumar", n_points=300, seed=4), 7, (11, slice(-10)))


@pytest.fixture(scope="module")
def fitted(cube: xr.Dataset) -> Forecaster:
    return Forecaster("harmonic_ridge").fit(cube)


def test_a_forecast_lies_on_future_dates_with_its_interval_around_it(cube: xr.Dataset, fitted: Forecaster) -> None:
    forecast = fitted.predict(cube)
    assert dict(forecast["displacement"].sizes) == {"origin": 1, "point": 300, "lead": 6}
    assert (forecast["time"].values > cube["time"].values[-1]).all()
    assert (np.diff(forecast["time"].values[0]) == np.timedelta64(12, "D")).all()
    assert (forecast.attrs["level"], forecast.attrs["method"]) == (0.9, "harmonic_ridge")
    known = forecast.isel(point=np.flatnonzero(~np.isin(np.arange(300), [7, 11])))
    assert ((known["lower"] < known["displacement"]) & (known["displacement"] < known["upper"])).all()
    assert forecast["point_id"].equals(cube["point_id"])


def test_what_cannot_be_forecast_is_nan_and_counted(cube: xr.Dataset, fitted: Forecaster) -> None:
    forecast = fitted.predict(cube)
    assert np.flatnonzero(forecast["displacement"].isnull().any(["origin", "lead"])).tolist() == [7, 11]
    assert forecast["lower"].isnull().sum() == 12
    assert forecast.attrs["points_without_forecast"] == 2


def test_points_with_a_forecast_and_no_interval_are_counted(cube: xr.Dataset) -> None:
    fitted = Forecaster("persistence").fit(cube)
    short = with_gaps(cube, (3, slice(-7)), (5, slice(-20)))
    forecast = fitted.predict(short)
    unsure = forecast["displacement"].notnull() & forecast["lower"].isnull()
    assert np.flatnonzero(unsure.any(["origin", "lead"])).tolist() == [3, 5, 11]
    assert (forecast.attrs["points_without_forecast"], forecast.attrs["points_without_interval"]) == (1, 3)
    far = forecast.assign(lower=forecast["lower"].where(forecast["lead"] < 6))
    assert count_lacking(far) == (1, 299), "one lead without an interval is enough"


def test_errors_beyond_what_is_counted_give_no_interval_and_the_table_says_so() -> None:
    rng = np.random.default_rng(1)
    cube = scene("chumar", n_points=80).load()
    years = (cube["time"].values - cube["time"].values[0]) / np.timedelta64(365, "D")
    fast = 300 * years * rng.uniform(0.5, 1.5, (80, 1)) + 10 * np.cos(2 * np.pi * years) + rng.normal(0, 0.1, (80, 158))
    cube = cube.assign(displacement=(("point", "time"), np.round(fast, 1).astype("f4"), cube["displacement"].attrs))
    fitted = Forecaster("persistence").fit(cube.isel(time=slice(-12)))
    table = fitted.scores_.tables["honest"]["persistence"]
    forecast = fitted.predict(cube.isel(time=slice(-12)))
    assert forecast["displacement"].notnull().all() and forecast["lower"].isnull().all()
    assert table["coverage_all"] == 0 and np.isnan(table["interval_width"]).all()
    assert fitted.scores_.tables["honest"]["harmonic"]["coverage_all"] == pytest.approx(0.9, abs=0.03)
    (said,) = (note for note in fitted.scores_.notes if note.startswith("persistence has no interval"))
    assert "more than 60 times the noise of a point" in said and "count as not held" in said


def test_uneven_dates_are_forecast_with_intervals_in_the_steps_that_the_refusal_names() -> None:
    days = np.cumsum(np.random.default_rng(1).integers(8, 40, 158))
    cube = scene("chumar", n_points=20).load()
    cube = cube.assign_coords(time=("time", np.datetime64("2018-01-01", "ns") + days * np.timedelta64(1, "D")))
    with pytest.raises(TooShortError, match=r"Forecaster\(every='1D', horizon=162\)"):
        Forecaster("harmonic").fit(cube)
    fitted = Forecaster("harmonic", every="1D", horizon=162).fit(cube)
    assert fitted.predict(cube)["lower"].notnull().all()
    assert fitted.scores_.tables["honest"]["harmonic"]["coverage_all"] == pytest.approx(0.9, abs=0.08)
    assert not fitted.scores_.notes[1:]


def test_steps_that_miss_acquisitions_are_told() -> None:
    days = 6 * np.flatnonzero(np.random.default_rng(1).random(700) < 0.3)[:158]
    cube = scene("chumar", n_points=20).load()
    cube = cube.assign_coords(time=("time", np.datetime64("2018-01-01", "ns") + days * np.timedelta64(1, "D")))
    (told,) = Forecaster("harmonic").fit(cube).scores_.notes[1:]
    assert re.match(r"steps of 12 days meet \d+ of the \d+ acquisitions of the last two years", told)


def test_the_harmonic_is_the_least_squares_fit_of_every_point(cube: xr.Dataset) -> None:
    forecast = Forecaster("harmonic").fit(cube).predict(cube)
    start = cube["time"].values[0]
    years = [(times - start) / np.timedelta64(365, "D") for times in (cube["time"].values, forecast["time"].values[0])]
    design, wanted = (harmonic_design(at) for at in years)
    oracle = np.linalg.lstsq(design, cube["displacement"].values[0].astype(float), rcond=None)[0]
    np.testing.assert_allclose(forecast["displacement"].values[0, 0], wanted @ oracle, atol=1e-4)


def test_blocks_and_the_order_of_points_change_no_number(cube: xr.Dataset, fitted: Forecaster) -> None:
    whole = fitted.predict(cube)
    mixed = np.random.default_rng(0).permutation(300)
    for other in (fitted.predict(cube.chunk(point=128)), fitted.predict(cube, shard_points=128)):
        np.testing.assert_array_equal(other["upper"].values, whole["upper"].values)
    again = fitted.predict(cube.isel(point=mixed))
    np.testing.assert_array_equal(again["upper"].values, whole["upper"].values[:, mixed])
    other = Forecaster("harmonic_ridge").fit(cube.isel(point=mixed))
    np.testing.assert_array_equal(other.predict(cube)["upper"].values, whole["upper"].values)
    assert other.data_ == fitted.data_


def test_scores_are_those_of_the_protocol(cube: xr.Dataset, fitted: Forecaster) -> None:
    oracle = protocol.evaluate(cube, methods=("harmonic_ridge",), horizon=6, context=24)
    ours, theirs = (scores.tables["honest"]["harmonic_ridge"] for scores in (fitted.scores_, oracle))
    np.testing.assert_allclose(ours["rmse"], theirs["rmse"], rtol=1e-12)
    assert "harmonic" in fitted.scores_.tables["honest"]
    assert fitted.scores_.default == "harmonic_ridge"


def test_scores_may_come_from_some_points_of_every_block(cube: xr.Dataset) -> None:
    copies = [cube.assign_coords(easting=cube["easting"] + 2000 * n) for n in range(8)]
    many = xr.concat(copies, "point", data_vars="minimal", coords="minimal", compat="override")
    some = Forecaster("harmonic", scored_points=1).fit(many, shard_points=1200)
    every = Forecaster("harmonic", scored_points=None).fit(many, shard_points=1200)
    counts = [model.scores_.tables["honest"]["harmonic"]["n"][0] for model in (some, every)]
    assert counts[0] < counts[1], "1,024 of the points of each block"
    for name in ("honest.future.edges", "honest.test.edges"):
        np.testing.assert_array_equal(some.state_[name], every.state_[name])
    np.testing.assert_array_equal(some.predict(many)["displacement"], every.predict(many)["displacement"])


def test_the_best_is_the_method_with_the_lowest_error_before_the_test(cube: xr.Dataset) -> None:
    best = Forecaster("best").fit(cube)
    assert best.method_ == best.state_["ranking"][0] == best.predict(cube).attrs["method"]
    assert best.state_["validation_rmse"].argmin() == 0
    assert set(best.scores_.methods) == set(METHODS)


def test_score_compares_with_what_came_after_the_record(cube: xr.Dataset) -> None:
    model = Forecaster("harmonic").fit(cube.isel(time=slice(0, -6)))
    forecast = model.predict(cube.isel(time=slice(0, -6)))
    at = np.flatnonzero(np.isin(cube["time"].values, forecast["time"].values))
    targets = np.flatnonzero(np.isin(forecast["time"].values[0], cube["time"].values))
    errors = forecast["displacement"].values[0][:, targets] - cube["displacement"].values[:, at]
    assert model.score(cube) == pytest.approx(-np.sqrt(np.nanmean(errors.astype(float) ** 2)), rel=1e-7)
    with pytest.raises(CubeError, match="none of the dates forecast"):
        model.score(cube.isel(time=slice(0, -6)))
    with pytest.raises(CubeError, match=r"no point has both a forecast and a value from 2023-.* to 2023-"):
        model.score(cube.isel(point=[7]))
    with pytest.raises(CubeError, match="got str"):
        model.score("cube")  # type: ignore[arg-type]


def test_a_later_record_is_forecast_from_its_own_end(cube: xr.Dataset) -> None:
    early = cube.isel(time=slice(0, 150))
    model = Forecaster("harmonic_ridge").fit(early)
    later = model.predict(cube)
    assert (later["time"].values > cube["time"].values[-1]).all()
    with pytest.raises(CubeError, match=r"ends on .*, before .*, up to which this forecaster has learned"):
        model.predict(cube.isel(time=slice(0, 149)))


@pytest.mark.parametrize(
    ("blank", "method", "message"),
    [
        (slice(None), "harmonic", "at the 10 validation origins from .*: no value was observed at their leads; leave"),
        (slice(120, None), "harmonic", "at the 10 test origins from .*: no value was observed at their leads"),
        (np.arange(158) % 25 > 0, "harmonic", r"and of [\d,]+ values there cannot .*harmonic [\d,]+; leave out dates"),
        (slice(None), "best", r"a history that gaussian_process is fitted on, .*: take points with more dates, leave"),
    ],
)
def test_a_cube_that_cannot_be_scored_is_refused_with_a_cure(
    blank: Any, method: str, message: str, cube: xr.Dataset
) -> None:
    """As where no point has any value, none in the last year, or too few."""
    some = with_gaps(cube.isel(point=slice(0, 20)), (slice(None), blank))
    with pytest.raises(TooShortError, match=message):
        Forecaster(method).fit(some)


@pytest.mark.parametrize("method", ["harmonic", "kriging"])
def test_a_context_that_the_record_does_not_have_is_refused_at_the_fit(method: str, cube: xr.Dataset) -> None:
    some = cube.isel(point=slice(100, 120))
    message = "has 166 dates of 12 days, this forecaster reads 167: fit with a context of 166 or less, or take a longer"
    with pytest.raises(TooShortError, match=message):
        Forecaster(method, context=167).fit(some)
    assert Forecaster(method, context=166).fit(some).predict(some)["displacement"].notnull().all()


def test_one_point_is_enough(cube: xr.Dataset) -> None:
    alone = cube.isel(point=[0])
    forecast = Forecaster("harmonic_ridge").fit(alone).predict(alone)
    assert np.isfinite(forecast["upper"].values).all()


def test_a_folder_holds_all_and_reads_back_the_same(cube: xr.Dataset, fitted: Forecaster, tmp_path: Path) -> None:
    folder = fitted.save(tmp_path / "model")
    again = Forecaster.load(folder)
    assert again.predict(cube).identical(fitted.predict(cube))
    assert again.get_params() == fitted.get_params() | {"context": 24, "horizon": 6}
    assert again.scores_.to_json() == fitted.scores_.to_json()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    again.save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before, "saving twice changes nothing"


def test_the_card_says_what_was_learned_from_and_what_was_seen(fitted: Forecaster, tmp_path: Path) -> None:
    folder = fitted.save(tmp_path / "model")
    card = json.loads((folder / "card.json").read_text())
    assert card["data"]["n_points"] == 300 and len(card["data"]["sha256"]) == 64
    assert card["versions"]["numpy"] == np.__version__
    assert "before 2022-" in card["leak_statement"]
    page = (folder / "README.md").read_text()
    assert "300 points x 158 dates" in page and "harmonic_ridge" in page and "skill" in page


def test_what_is_no_acquisition_is_another_cube_to_learn_from(cube: xr.Dataset, fitted: Forecaster) -> None:
    """The values are the same; which of them are context and target is not."""
    made_up = cube.assign(observed=("time", np.arange(158) % 7 > 0))
    assert fitted.learned_from(cube, Forecaster("harmonic_ridge"))
    assert not fitted.learned_from(made_up, Forecaster("harmonic_ridge"))


def test_a_new_fit_replaces_an_older_one_in_its_folder(cube: xr.Dataset, fitted: Forecaster, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    Forecaster("harmonic").fit(cube).save(tmp_path)
    assert Forecaster.load(tmp_path).method_ == "harmonic"
    assert len(list(tmp_path.glob("weights-*.npz"))) == 1


def test_a_torn_folder_is_refused(fitted: Forecaster, tmp_path: Path) -> None:
    folder = fitted.save(tmp_path / "model")
    (weights,) = folder.glob("weights-*.npz")
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"torn or damaged: its [\d,]+ bytes are not those"):
        Forecaster.load(folder)
    weights.unlink()
    with pytest.raises(ValueError, match="npz is missing: copy the whole folder again"):
        Forecaster.load(folder)
    (folder / "card.json").write_text("{")
    with pytest.raises(ValueError, match=r"card.json is torn or damaged .*: copy the folder again"):
        Forecaster.load(folder)
    with pytest.raises(FileNotFoundError, match="holds no forecaster"):
        Forecaster.load(tmp_path / "nowhere")


@pytest.mark.parametrize("edit", [{"parameters": {"horizon": 3}}, {"plan": None}, {"data": {}}, {"method": "harmonic"}])
def test_a_card_that_was_edited_is_refused(edit: dict[str, Any], fitted: Forecaster, tmp_path: Path) -> None:
    path = fitted.save(tmp_path / "model") / "card.json"
    card = json.loads(path.read_text())
    path.write_text(json.dumps(card))
    assert Forecaster.load(path.parent).method_ == "harmonic_ridge", "laid out otherwise it says the same"
    path.write_text(json.dumps({**card, **edit}))
    with pytest.raises(ValueError, match=r"model/card.json was changed after it was saved, .*: put it back as it was"):
        Forecaster.load(path.parent)


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ("[]", "is no card of a forecaster: name a folder that Forecaster.save has written"),
        ('{"name": "something else"}', "is no card of a forecaster"),
        ('{"format": 1}', "has format 1, this version reads 2: fit anew"),
        ('{"format": 2, "weights": "w"}', "lacks weights_sha256, seal: put it back as it was saved"),
    ],
)
def test_the_card_of_something_else_is_refused(card: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text(card)
    with pytest.raises(ValueError, match=f"card.json {message}"):
        Forecaster.load(tmp_path)


@pytest.mark.parametrize(("part", "message"), [("plan", "lacks 'plan'"), ("data", "lacks 'data'")])
def test_a_card_that_was_written_without_a_part_is_refused(
    part: str, message: str, fitted: Forecaster, tmp_path: Path
) -> None:
    card = {name: value for name, value in fitted.card().items() if name != part}
    write_folder(tmp_path / "model", card, "", fitted.state_)
    with pytest.raises(ValueError, match=rf"model does not hold together: it {message}; fit anew"):
        Forecaster.load(tmp_path / "model")
    write_folder(tmp_path / "model", {**card, part: None}, "", fitted.state_)
    with pytest.raises(ValueError, match=r"model does not hold together \(.*\): fit anew"):
        Forecaster.load(tmp_path / "model")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"thesis.txt": "mine"}, "holds no forecaster, so nothing is written there: it has 'thesis.txt'; name another"),
        (
            {"weights-best.pt": "days", "README.md": "my notes", "download.partial": "half"},
            "holds no forecaster, so nothing is written there: it has 'README.md'",
        ),
        ({"weights-0123456789abcdef.npz": "ours", "weights-best.pt": "days"}, "it has 'weights-best.pt'"),
        ({"README.md": "my notes"}, "it has 'README.md'"),
        ({"card.json": '{"name": "a game"}'}, "is no card of a forecaster: .*; nothing is written to .*: name another"),
        ({"card.json": '{"format": 2, "weights": "w", "weights_sha256": "", "seal": ""}'}, "was changed after it was"),
    ],
)
def test_a_folder_of_something_else_is_left_alone(
    files: dict[str, str], message: str, fitted: Forecaster, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(FileExistsError, match=message):
        fitted.save(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == files


def test_files_that_came_beside_a_forecaster_stay(cube: xr.Dataset, fitted: Forecaster, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    beside = {"weights-best.pt": "days", "download.partial": "half", "weights-0123456789abcdef.npz.txt": "notes"}
    for name, text in beside.items():
        (tmp_path / name).write_text(text)
    Forecaster("harmonic").fit(cube).save(tmp_path)
    assert {name: (tmp_path / name).read_text() for name in beside} == beside
    assert len(list(tmp_path.iterdir())) == 3 + len(beside)


@pytest.mark.parametrize("older", [False, True])
def test_a_save_that_is_killed_at_any_instant_can_be_repeated(
    older: bool, cube: xr.Dataset, fitted: Forecaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before and after each file has its name, and before each leftover goes."""
    model, left = Forecaster("harmonic").fit(cube), list[int]()
    replace, unlink = Path.replace, Path.unlink

    def step(*_: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt

    def killed_replace(path: Path, target: Path) -> Path:
        step()
        return (replace(path, target), step())[0]

    monkeypatch.setattr(Path, "replace", killed_replace)
    monkeypatch.setattr(Path, "unlink", lambda path, *_: (step(), unlink(path)))
    for instant in range(6 + older):
        folder = tmp_path / str(instant)
        left[:] = [99]
        if older:
            fitted.save(folder)
        left[:] = [instant]
        with pytest.raises(KeyboardInterrupt):
            model.save(folder)
        left[:] = [99]
        if older:
            assert Forecaster.load(folder).method_ in (model.method_, fitted.method_)
        model.save(folder)
        assert Forecaster.load(folder).method_ == "harmonic"
        assert len(list(folder.iterdir())) == 3


def test_weights_of_another_shape_are_refused(cube: xr.Dataset, fitted: Forecaster, tmp_path: Path) -> None:
    other = Forecaster("harmonic_ridge", horizon=3).fit(cube)
    mixed = Forecaster("harmonic_ridge")
    mixed.plan_, mixed.scores_, mixed.data_, mixed.method_ = fitted.plan_, fitted.scores_, fitted.data_, fitted.method_
    mixed.state_, mixed.fitted_with_ = other.state_, fitted.fitted_with_
    with pytest.raises(ValueError, match=r"does not hold together \(interval widths have shape \(5, 3\), wanted 6"):
        Forecaster.load(mixed.save(tmp_path / "model"))


def test_it_keeps_the_contract_of_scikit_learn(cube: xr.Dataset, fitted: Forecaster) -> None:
    check_is_fitted(fitted)
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params() and not hasattr(copy, "state_")
    assert repr(Forecaster("harmonic", horizon=3)) == "Forecaster(method='harmonic', horizon=3)"
    with pytest.raises(ValueError, match="call fit"):
        copy.predict(cube)
    with pytest.raises(ValueError, match="no parameter 'depth'"):
        copy.set_params(depth=3)
    assert copy.set_params(method="harmonic").fit(cube).method_ == "harmonic"


def test_fitting_again_forgets_the_first_fit(cube: xr.Dataset, fitted: Forecaster) -> None:
    model = Forecaster("harmonic_ridge").fit(cube.isel(point=slice(0, 150))).fit(cube)
    assert model.card() == fitted.card()
    assert model.predict(cube).identical(fitted.predict(cube))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"isel": {"time": slice(0, 40)}}, TooShortError, r"the record has 4\d dates of 12 days, \d+ are needed"),
        ({"isel": {"time": slice(0, 2)}}, TooShortError, "2 observed dates are too few"),
        ({"isel": {"time": slice(0, 3)}}, TooShortError, "2 observed dates, without those of a test, are too few"),
        ({"isel": {"point": slice(0)}}, CubeError, "has no points"),
        ({"assign_attrs": {"sees_future": 60}}, CubeError, "have seen 60 days of the future"),
        ({"assign_attrs": {"sees_future": -1}}, CubeError, "have seen the whole series"),
        ({"drop_vars": {"names": "crs"}}, CubeError, "has no CRS"),
    ],
)
def test_a_cube_that_cannot_serve_is_refused_before_any_work(
    change: dict[str, Any], error: type[Exception], message: str, cube: xr.Dataset
) -> None:
    for name, arguments in change.items():
        with pytest.raises(error, match=message):
            Forecaster("harmonic_ridge").fit(getattr(cube, name)(**arguments))


@pytest.mark.parametrize("lost", ["easting", "northing"])
def test_a_point_without_a_place_is_refused_by_its_name_and_with_the_cure(
    lost: str, cube: xr.Dataset, fitted: Forecaster
) -> None:
    """At each door, since methods that look at neighbours know another order of the points."""
    placeless = cube.assign_coords({lost: cube[lost].where(np.arange(300) != 3)})
    score = partial(protocol.evaluate, methods=("persistence",))
    for work in (Forecaster("harmonic").fit, Forecaster("kriging").fit, fitted.predict, score):
        with pytest.raises(CubeError, match=rf"point '{cube['point_id'].values[3]}' has no place, .*{lost} (is )?nan"):
            work(placeless)
    kept = placeless.isel(point=np.isfinite(placeless.easting.values + placeless.northing.values))
    assert fitted.predict(kept).sizes["point"] == 299


def test_what_is_no_cube_of_points_is_refused(cube: xr.Dataset) -> None:
    for method in ("harmonic", "mmstt"):
        with pytest.raises(CubeError, match=r"wanted an xarray.Dataset, got int"):
            Forecaster(method).fit(42)  # type: ignore[arg-type]
    with pytest.raises(CubeError, match="has no points"):
        protocol.evaluate(cube.isel(point=slice(0)))
    values = np.zeros((2, 2, cube.sizes["time"]), np.float32)
    with pytest.raises(CubeError, match=r"has dims \('y', 'x', 'time'\), wanted \('point', 'time'\)"):
        protocol.evaluate(xr.Dataset({"displacement": (("y", "x", "time"), values)}, {"time": cube["time"]}))


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e20])
def test_what_is_no_displacement_is_refused_by_point_and_date(
    value: float, cube: xr.Dataset, fitted: Forecaster
) -> None:
    """At each door, since all methods would take it for a measurement."""
    values = cube["displacement"].values.copy()
    values[5, 150] = value
    wild = cube.assign(displacement=cube["displacement"].copy(data=values))
    name, day = cube["point_id"].values[5], str(cube["time"].values[150])[:10]
    found = rf"point '{name}' is {re.escape(f'{value:g}')} mm on {day}, one of 1 such values: set to NaN"
    for work in (Forecaster("harmonic").fit, Forecaster("best").fit, fitted.predict):
        with pytest.raises(CubeError, match=found):
            work(wild)
    early = Forecaster("harmonic").fit(cube.isel(time=slice(0, 148)))
    with pytest.raises(CubeError, match=found):
        early.score(wild)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"assign_attrs": {"component": "up"}}, "component is 'up', this forecaster has learned from 'los'"),
        ({"assign_attrs": {"sees_future": 60}}, "have seen 60 days of the future"),
        (
            {"isel": {"time": slice(None, None, 2)}},
            "a date every 24 days, this forecaster has learned from .* every 12",
        ),
        (
            {"isel": {"time": slice(-15, None)}},
            "has 16 dates of 12 days, this forecaster reads 24: fit with a context of 16 or less",
        ),
        ({"isel": {"point": slice(0)}}, "has no points"),
    ],
)
def test_a_cube_that_does_not_go_with_the_fit_is_refused(
    change: dict[str, Any], message: str, cube: xr.Dataset, fitted: Forecaster
) -> None:
    for name, arguments in change.items():
        # the last date stays, so that no cube ends before the fit
        other = cube.isel(time=slice(1, None)) if name == "isel" and "time" in arguments else cube
        with pytest.raises(CubeError, match=message):
            fitted.predict(getattr(other, name)(**arguments))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"method": "oracle"}, "method is 'oracle'; wanted 'persistence' or .* or 'best'"),
        ({"method": ["harmonic"]}, r"method is \['harmonic'\]; wanted"),
        ({"context": "24"}, "context is '24'; wanted a whole number of steps, at least 1"),
        ({"horizon": 0}, "horizon is 0; wanted a whole number of steps, at least 1"),
        ({"horizon": True}, "horizon is True; wanted a whole number of steps"),
        ({"group": 1.5}, "group is 1.5; wanted a whole number of points, at least 1"),
        ({"stride": 2.0}, "stride is 2.0; wanted a whole number of steps"),
        ({"scored_points": -1}, "scored_points is -1; wanted a whole number of points, at least 1"),
        ({"random_state": None}, "random_state is None; wanted a whole number, at least 0, at most 4294967295"),
        ({"random_state": -1}, "random_state is -1; wanted a whole number, at least 0"),
        ({"level": 90}, "level is 90; wanted a share between 0 and 1"),
        ({"level": "0.9"}, "level is '0.9'; wanted a share"),
        ({"test_fraction": np.nan}, "test_fraction is nan; wanted a share"),
        ({"every": "fortnight"}, "every is 'fortnight'; wanted a whole number of days such as '12D'"),
        ({"every": 12}, "every is 12; wanted a whole number of days"),
        ({"device": "tpu"}, "device is 'tpu'; wanted 'cpu' or 'cuda' or 'auto'"),
        ({"sizes": 64}, "sizes is 64; wanted a mapping of names to values, or None"),
        ({"training": ["max_steps"]}, r"training is \['max_steps'\]; wanted a mapping"),
        ({"training": {"steps": 3}}, "training has no steps; it has .*max_steps"),
        ({"training": {"seed": 3}}, "training has no seed"),
        ({"training": {"max_steps": "many"}}, "max_steps is 'many'; wanted a whole number, at least 1"),
        ({"training": {"rate": "high"}}, "rate is 'high'; wanted a positive number"),
    ],
)
def test_wrong_parameters_are_named_at_the_fit(parameters: dict[str, Any], message: str, cube: xr.Dataset) -> None:
    with pytest.raises(ValueError, match=message):
        Forecaster(**{"method": "harmonic", **parameters}).fit(cube)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shard_points": 0}, "shard_points is 0; wanted a whole number of points, at least 1"),
        ({"shard_points": 1.5}, "shard_points is 1.5; wanted a whole number of points"),
        ({"memory": "2GB"}, "memory is '2GB'; wanted a whole number of bytes, at least 0"),
    ],
)
def test_wrong_arguments_are_named_before_any_work(
    arguments: dict[str, Any], message: str, cube: xr.Dataset, fitted: Forecaster
) -> None:
    with pytest.raises(ValueError, match=message):
        Forecaster("harmonic").fit(cube, **arguments)
    with pytest.raises(ValueError, match=message):
        fitted.predict(cube, **arguments)


@pytest.mark.parametrize("method", ["harmonic", "kriging", "best"])
def test_a_gpu_is_refused_where_no_network_is_trained(method: str, cube: xr.Dataset) -> None:
    some = cube.isel(point=slice(100, 120))
    with pytest.raises(ValueError, match=f"device is given, and {method} trains no network: leave it out, or choose"):
        Forecaster(method, device="cuda").fit(some)


def test_a_device_that_is_left_to_the_machine_is_the_processor_for_a_linear_method(cube: xr.Dataset) -> None:
    some = cube.isel(point=slice(100, 120))
    made = Forecaster("harmonic", device="auto").fit(some).predict(some)
    assert made.identical(Forecaster("harmonic").fit(some).predict(some))


def test_parameters_may_be_numbers_of_numpy(cube: xr.Dataset, fitted: Forecaster, tmp_path: Path) -> None:
    model = Forecaster("harmonic_ridge", horizon=np.int64(6), level=np.float64(0.9)).fit(cube)
    assert type(Forecaster.load(model.save(tmp_path)).horizon) is int
    network = Forecaster("spacetimeformer", training={"batch": np.int32(8)})
    assert type(network.checked()["training"]["batch"]) is int
    assert model.predict(cube).identical(fitted.predict(cube))


def test_the_card_has_the_parameters_of_the_fit(cube: xr.Dataset, tmp_path: Path) -> None:
    model = Forecaster("harmonic").fit(cube).set_params(horizon=3)
    assert Forecaster.load(model.save(tmp_path)).horizon == 6


def test_progress_is_told_after_every_block(cube: xr.Dataset) -> None:
    told: list[Any] = []
    model = Forecaster("harmonic").fit(cube, progress=told.append, shard_points=128)
    assert told[-1] == {"stage": "score", "done": 3, "total": 3}
    model.predict(cube, progress=told.append)
    assert told[-1] == {"stage": "predict", "done": 1, "total": 1}
