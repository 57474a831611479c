"""The figures that accuracy reports, against ones computed by hand."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from insar_dask.forecast.correction.origin_windows import Shape
from insar_dask.forecast.correction.teaching import Settings
from insar_dask.forecast.training.job import Trained, Training
from tests.benchmarks import accuracy, accuracy_scores, accuracy_table
from tests.benchmarks.accuracy_scores import Outcomes

README = Path(__file__).parents[2] / "README.md"
ROWS = {
    "scene: bowls": "bowls",
    "scene: fronts": "fronts",
    "scene: slopes": "slopes",
    "real L3, up": "l3_up",
    "real L2b, descending": "l2b_descending",
    "real L2b, ascending": "l2b_ascending",
}
"""Products by their name in the README's table."""


@pytest.fixture
def errors():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 3.0, (9, 400, 2)).astype(np.float32)
    noise[2, 5, 1] = np.nan
    extra = rng.normal(0, 1.0, (4, *noise.shape)).astype(np.float32)
    return {
        "harmonic_ridge": noise + 2 * extra[0],
        "gaussian_process": noise + 1.5 * extra[1],
        "kriging": noise + extra[2],
        "oracle": noise,
    }


def test_scores_are_those_computed_by_hand(errors):
    cells = np.arange(400) // 10
    scores = accuracy_scores.summary(errors, cells, 3)
    assert scores["n"] == 9 * 400 * 2 - 1
    assert scores["better_linear"] == ["gaussian_process"] * 3
    square = {name: np.nanmean(error.astype(float) ** 2) for name, error in errors.items()}
    ours = scores["methods"]["kriging"]
    assert ours["rmse"][2] == pytest.approx(np.sqrt(square["kriging"]), abs=1e-4)
    assert ours["minus_better"][2] == pytest.approx(
        np.sqrt(square["kriging"]) - np.sqrt(square["gaussian_process"]), abs=1e-4
    )
    removed = (square["gaussian_process"] - square["kriging"]) / (square["gaussian_process"] - square["oracle"])
    assert ours["removed_all"] == pytest.approx(removed, abs=1e-3)
    low, high = ours["removed_all_90"]
    assert low < removed < high
    assert all(bound < 0 for bound in ours["minus_better_90"][1])
    assert scores["methods"]["gaussian_process"]["minus_better_90"] == [[0.0] * 3, [0.0] * 3]
    assert scores["methods"]["oracle"]["removed_all"] == 1.0


def test_intervals_reckon_with_errors_that_cells_share(errors):
    alike = np.random.default_rng(1).normal(0, 1.0, (1, 10, 1)).repeat(40, axis=1)
    errors["kriging"] = errors["oracle"] + alike.astype(np.float32)
    widths = []
    for cells in (np.arange(400), np.arange(400) // 40):
        low, high = accuracy_scores.summary(errors, cells, 3)["methods"]["kriging"]["removed_all_90"]
        widths.append(high - low)
    assert widths[1] > 1.5 * widths[0]


def test_coverage_is_that_of_observations_that_all_methods_forecast(errors):
    rng = np.random.default_rng(2)
    classes = rng.integers(-1, 5, 400).astype(np.int8)
    held = rng.random((9, 400, 2)) < np.array([0.8, 0.95])
    told = accuracy_scores.coverage(Outcomes(errors, {"kriging": held}, classes), np.arange(400) // 10, 3)["kriging"]
    counted = np.isfinite(errors["oracle"])
    assert told["all"] == pytest.approx(held[counted].mean(), abs=1e-4)
    assert told["all_90"][0] < told["all"] < told["all_90"][1]
    assert told["by_lead"] == pytest.approx([held[..., at][counted[..., at]].mean() for at in range(2)], abs=1e-4)
    assert told["by_quintile"] == pytest.approx(
        [held[:, classes == at][counted[:, classes == at]].mean() for at in range(5)], abs=1e-4
    )
    expected = [
        [held[:, classes == at, lead][counted[:, classes == at, lead]].mean() for lead in range(2)] for at in range(5)
    ]
    np.testing.assert_allclose(told["by_cell"], expected, atol=1e-4)


def test_the_lowest_is_named_by_lead_and_differences_are_to_kriging_too(errors):
    errors["kriging"][..., 1] += 40
    scores = accuracy_scores.summary(errors, np.arange(400) // 10, 3)
    assert scores["lowest"] == ["kriging", "gaussian_process", "gaussian_process"]
    low, high = scores["methods"]["gaussian_process"]["minus_kriging_90"]
    assert low[0] > 0 > high[1]


def test_a_training_is_told_with_its_configuration_and_what_it_saw():
    settings = Settings(Shape(length=8), {"width": 16}, Training(batch=4, seed=7))
    told = accuracy.account(settings, Trained({}, {"validation": [1.0]}, 20, 1.0, 30, 1))
    assert json.loads(json.dumps(told)) == told
    assert (told["steps"], told["best_step"], told["point_windows"]) == (30, 20, 30 * 4 * 8)
    found = told["configuration"]
    assert found["shape"]["length"] == 8 and found["training"]["seed"] == 7
    assert found["sizes"]["width"] == 16 and found["sizes"]["hidden"] == 256, "those that are usual, too"


@pytest.mark.parametrize(("every", "n_dates"), [(12, 152), (6, 304)])
def test_there_are_28_origins_12_days_apart_up_to_the_end_of_the_record(every, n_dates):
    times = np.datetime64("2020-01-05", "ns") + np.arange(n_dates) * np.timedelta64(every, "D")
    plan = accuracy.timetable(xr.Dataset(coords={"time": times}), ("persistence", "harmonic_ridge"))
    days = [plan.date(origin) for origin in plan.test]
    assert len(days) == 28
    assert set(np.diff(days)) == {12}
    assert plan.days[-1] - plan.target_days(plan.test[-1])[-1] <= 12


def test_the_table_marks_the_lowest_and_what_covers_too_little(errors):
    cells = np.arange(400) // 10
    held = {name: np.abs(error) < 3 for name, error in errors.items() if name != "oracle"}
    classes = (np.arange(400) % 5).astype(np.int8)
    result = {
        "product": "made_up",
        "n_points": 400,
        "origins": ["2024-01-01"],
        **accuracy_scores.summary(errors, cells, 3),
        "coverage": accuracy_scores.coverage(Outcomes(errors, held, classes), cells, 3),
    }
    result["coverage"]["kriging"]["by_cell"] = [[0.9, 0.84], [0.953, 0.9]]
    text, lines = accuracy_table.markdown({"made_up": result}), accuracy_table.lines_of(result)
    assert "**" in text and text.endswith("| 84-95 |")
    floor = result["methods"]["kriging"]["rmse_by_oracle"][-1]
    assert text.splitlines()[2].split(" | ")[5] == f"{floor:.3f}" and floor > 1
    assert "!" in "\n".join(lines) and next(line for line in lines[-3:] if "kriging" in line).endswith("84.0! 95.3!")


def figures_of(product):
    """Those of a row of the README's table by its columns, from the committed results."""
    result = json.loads((accuracy.RESULTS / f"{product}.json").read_text())
    rmse = {name: scores["rmse"][-1] for name, scores in result["methods"].items()}
    scores, held = result["methods"]["kriging"], result["coverage"]["kriging"]
    shares = [scores["removed_all"], *scores["removed_all_90"]] if "oracle" in rmse else []
    return {
        "harmonic + ridge": [rmse["harmonic_ridge"]],
        "Gaussian process": [rmse["gaussian_process"]],
        "Kriging": [rmse["kriging"]],
        "network on it": [np.mean([rmse[f"spacetimeformer{seed}"] for seed in ("", " seed 1", " seed 2")])],
        "oracle": [rmse["oracle"]] if "oracle" in rmse else [],
        "Kriging / oracle": scores.get("rmse_by_oracle", [])[-1:],
        "removed": [100 * share for share in shares],
        "coverage": [100 * held["all"]],
        "of leads": [100 * end(held["by_lead"]) for end in (min, max)],
        "of quintiles": [100 * end(held["by_quintile"]) for end in (min, max)],
        "of both": [100 * share for share in accuracy_table.least_and_most(held)],
    }


def test_the_table_of_the_readme_is_that_of_the_committed_results():
    told = README.read_text().partition("**Is it worth it?**")[2]
    lines = re.findall(r"(?:^\|.*\n)+", told, re.MULTILINE)[0].splitlines()
    head, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert {name for name, *_ in rows} == set(ROWS)
    assert set(ROWS.values()) == {path.stem for path in accuracy.RESULTS.glob("*.json")}
    for name, *cells in rows:
        figures = figures_of(ROWS[name])
        assert list(figures) == head[1:]
        for column, cell in zip(head[1:], cells, strict=True):
            shown = re.findall(r"\d+(?:\.\d+)?", cell)
            digits = [len(figure.partition(".")[2]) for figure in shown]
            wanted = [f"{value:.{n}f}" for value, n in zip(figures[column], digits, strict=True)]
            assert shown == wanted, f"{name}, {column}"
        rmse = [float(cell.strip("*")) for cell in cells[:4]]
        alone = rmse.count(min(rmse)) == 1
        assert [cell.startswith("**") for cell in cells[:4]] == [alone and value == min(rmse) for value in rmse]
