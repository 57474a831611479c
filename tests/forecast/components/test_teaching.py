import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from sklearn.base import clone

import insar_dask as insar
from insar_dask.forecast import Forecaster
from insar_dask.forecast.coaching import MATERIAL
from insar_dask.forecast.components.history import PARTS, blocks_of, first_unknown
from insar_dask.forecast.components.material import Material, survey
from insar_dask.forecast.components.settings import Settings, Shape
from insar_dask.forecast.components.teaching import _draft, job_from_folder
from insar_dask.forecast.schedule import plan
from insar_dask.forecast.series.point_source import CubePoints
from insar_dask.forecast.timetable import Plan
from insar_dask.forecast.training import train
from tests.forecast.components.conftest import TINY

SETTINGS = Settings(Shape(patterns=2), TINY["sizes"])


@pytest.fixture(scope="module")
def dates(plateau: xr.Dataset) -> Plan:
    return plan(plateau["time"].values, horizon=6, context=24)


def scrambled(cube: xr.Dataset, day: int) -> CubePoints:
    """Nonsense from a day on."""
    values = cube["displacement"].values.copy()
    later = cube["time"].values >= np.datetime64(day, "D")
    values[:, later] = np.random.default_rng(0).normal(0, 1e3, (len(values), int(later.sum())))
    return CubePoints(cube.assign(displacement=cube["displacement"].copy(data=values)))


def test_nothing_from_the_first_validation_origin_on_is_learned_from(plateau: xr.Dataset, dates: Plan) -> None:
    known, curves = survey(CubePoints(plateau), dates, SETTINGS)
    blind, _ = survey(scrambled(plateau, dates.date(dates.validation[0])), dates, SETTINGS)
    assert [blind.digest(part) for part in PARTS] == [known.digest(part) for part in PARTS]
    checked, same = survey(scrambled(plateau, first_unknown(dates)), dates, SETTINGS)
    np.testing.assert_array_equal(same.curves, curves.curves)
    stop = blocks_of(dates).train.stop
    for part in PARTS:
        # points 9 and 17 have no value to check on but nonsense
        np.testing.assert_array_equal(checked.parts[part][-100:, :stop], known.parts[part][-100:, :stop])


def test_as_many_points_are_taken_of_each_pattern(plateau: xr.Dataset, dates: Plan) -> None:
    copies = [plateau.assign_coords(easting=plateau["easting"] + 2000 * n) for n in range(8)]
    many = xr.concat(copies, "point", data_vars="minimal", coords="minimal", compat="override")
    some, _ = survey(CubePoints(many), dates, Settings(Shape(patterns=2, points=256)))
    every, _ = survey(CubePoints(many), dates, SETTINGS)
    assert len(every.patterns) == 8 * 148 and 200 <= len(some.patterns) <= 256
    shares = [np.bincount(one.patterns).min() / len(one.patterns) for one in (some, every)]
    assert shares[0] > shares[1]


def test_few_points_are_told_of(plateau: xr.Dataset, fitted: Forecaster) -> None:
    said: list[Any] = []
    few = plateau.isel(point=slice(30, 42))
    made = clone(fitted).fit(few, progress=said.append)
    assert len(made.card()["networks"]) == 3
    notes = [one["text"] for one in said if one.get("kind") == "note"]
    assert notes[0].startswith("1 of 2 patterns are told apart")
    assert np.isfinite(made.predict(few)["upper"].values).all()


def test_a_rank_makes_the_same_job_from_the_folder(plateau: xr.Dataset, dates: Plan, tmp_path: Path) -> None:
    material, _ = survey(CubePoints(plateau), dates, SETTINGS)
    material.write(tmp_path / MATERIAL)
    assert Material.read(tmp_path / MATERIAL, "season").patterns.dtype == material.patterns.dtype
    params = json.loads(json.dumps({"settings": SETTINGS.to_dict(), "folder": str(tmp_path), "horizon": 6}))
    jobs = [job_from_folder(component=part, pattern=1, **params) for part in PARTS for _ in range(2)]
    assert len({job.identity for job in jobs}) == 3
    # so a training that began in one process goes on with ranks
    assert [job.identity for job in jobs[::2]] == [_draft(material, part, 1, SETTINGS, 6).identity for part in PARTS]
    for one, again in zip(jobs[::2], jobs[1::2], strict=True):
        ours, theirs = (job.windows.batch(5, 0, 2) for job in (one, again))
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
        ours, theirs = (job.model.state_dict() for job in (one, again))
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Steps that are taken. The list begins with how many may be, before a kill."""
    seen = [0]
    taken = train._Loop.step

    def step(self: Any) -> None:
        if len(seen) > seen[0]:
            raise KeyboardInterrupt
        seen.append(self.done)
        taken(self)

    monkeypatch.setattr(train._Loop, "step", step)
    return seen


def test_whoever_is_killed_within_a_network_or_between_two_goes_on_there(
    plateau: xr.Dataset, fitted: Forecaster, tmp_path: Path, steps: list[int]
) -> None:
    store, said = tmp_path / "site.zarr", list[Any]()
    insar.save(plateau, store, "site/raw", quiet=True)

    def here() -> Forecaster:
        return clone(fitted).fit(plateau, checkpoints=tmp_path / "kept", progress=said.append)

    def stored() -> Forecaster:
        return insar.fit_stored(store, clone(fitted), quiet=True)

    whole = [0, 1, 2] * 6
    for run, killed in ((here, 11), (stored, 9)):
        steps[:] = [killed]
        with pytest.raises(KeyboardInterrupt):
            run()
        assert steps[1:] == whole[:killed]
        steps[:] = [18]
        model = run()
        assert steps[1:] == whole[killed:]
        for name, array in fitted.state_.items():
            np.testing.assert_array_equal(model.state_[name], array, err_msg=name)
    steps[:] = [18]
    (torn,) = (tmp_path / "kept").rglob("season-1.npz")
    torn.write_bytes(torn.read_bytes()[:-100])
    here()
    assert steps[1:] == [0, 1, 2], "all networks but one are done"
    assert any("season-1.npz is damaged" in one["text"] for one in said if one.get("kind") == "note")
    assert not (tmp_path / "site-training").exists()
    left = sorted(path.name for path in (tmp_path / "kept").rglob("*") if path.name != "lock")
    assert [name for name in left if name.endswith(".npz")] == [f"{p}-{n}.npz" for p in sorted(PARTS) for n in (0, 1)]
    assert not [name for name in left if name.endswith((".pt", ".npy"))], "checkpoints go when a network is done"
    ends = [(one["network"], one["step"]) for one in said if one.get("kind") == "end"]
    assert ends.pop()[0] == "season-1"
    assert ends == [(f"{part}-{n}", 3 * (2 * at + n + 1)) for at, part in enumerate(PARTS) for n in (0, 1)]
    assert {one["of"] for one in said if one.get("kind") == "step"} == {18}, "steps are counted over all networks"
