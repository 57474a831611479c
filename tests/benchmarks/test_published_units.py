import json
import os
from pathlib import Path

import numpy as np
import pytest

from insar_dask.forecast.published.protocols import Material, learn_patterns, paper_material
from insar_dask.forecast.published.scores import overall
from insar_dask.synthetic import scene
from tests.benchmarks import map_tables, published_tables, published_units
from tests.benchmarks.published_units import add_up, asked, units
from tests.benchmarks.unit_files import claimed, keep


@pytest.fixture(scope="module")
def given() -> Material:
    cube = scene("chumar", n_points=64, n_dates=158, seed=3).compute()
    return paper_material(cube, learn_patterns(cube, (11, 2)), (11, 2))


def options(folder: Path):
    return asked(["--results", str(folder), "--scratch", str(folder)])


def test_there_are_three_seeds_of_18_units_and_six_of_the_sensitivity():
    names = [unit.name for unit in units()]
    assert len(set(names)) == len(names) == 3 * 18 + 6
    assert names[0] == "paper-sg11-spacetimeformer-seed0-trend"
    assert sum("sg21" in name or "sg31" in name for name in names) == 6
    assert max(unit.steps for unit in units(1000) if unit.network == "spacetimeformer") == 1000


def test_a_unit_is_claimed_once_and_a_dead_claim_is_void(tmp_path: Path):
    with claimed("one", tmp_path, tmp_path) as ours, claimed("one", tmp_path, tmp_path) as theirs:
        assert ours and not theirs
        assert (tmp_path / "one.lock").read_text().split()[0] == str(os.getpid())
    for gone in ("999999999 5", f"{os.getpid()} 5"):  # dead, and one whose number another process has now
        (tmp_path / "one.lock").write_text(gone)
        with claimed("one", tmp_path, tmp_path) as ours:
            assert ours
    (tmp_path / "one.json").touch()
    with claimed("one", tmp_path, tmp_path) as ours:
        assert not ours
    assert [path.name for path in tmp_path.iterdir()] == ["one.json"]


def test_a_family_is_summed_when_its_third_component_is_there(
    given: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    written = {}
    monkeypatch.setattr(published_units, "material", lambda filtering, scratch: given)
    monkeypatch.setattr(published_units, "write", lambda path, result: written.update({path.stem: result}))
    told = {"data": given.digest, "configuration": {"training": {"max_steps": 150}}}
    for number, unit in enumerate(units()[:3], start=1):
        (tmp_path / f"{unit.name}.json").write_text(json.dumps(told))
        off = np.float32(number)  # the errors of trend, season and residual are 1, 2 and 3 mm
        stages = ("train", "validation", "test")
        keep(tmp_path / f"{unit.name}.npz", {stage: given.targets(unit.component, stage) + off for stage in stages})
        add_up(unit, options(tmp_path))
        assert bool(written) == (number == 3)
    (result,) = written.values()
    assert overall(result["scores"]["test"])["rmse"] == pytest.approx(6, abs=1e-3)
    written.clear()
    for other in (told | {"data": "others"}, told | {"configuration": {"training": {"max_steps": 9}}}):
        (tmp_path / f"{units()[0].name}.json").write_text(json.dumps(other))
        add_up(units()[2], options(tmp_path))
    (tmp_path / f"{units()[0].name}.json").unlink()
    add_up(units()[2], options(tmp_path))
    assert not written


@pytest.mark.parametrize("tables", [published_tables, map_tables])
def test_the_tables_say_what_the_results_beside_them_say(tables, tmp_path: Path):
    assert tables.main(["--into", str(tmp_path)]) == 0
    kept = (tables.RESULTS / "tables.md").read_text()
    assert (tmp_path / "tables.md").read_text() == kept, f"run python -m {tables.__name__}"
