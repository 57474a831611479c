import json

import numpy as np
import pytest

from insar_dask.forecast.published.markdown import markdown
from insar_dask.forecast.published.scores import count_stage
from insar_dask.forecast.published.table import assemble

PATTERNS = (np.arange(16) % 8).astype(np.int8)


def scores(error: float) -> dict[str, object]:
    targets = np.full((2, 16, 6), 10.0, np.float32)
    return {
        stage: count_stage(targets + np.float32(error), targets, PATTERNS) for stage in ("train", "validation", "test")
    }


def family(seed: int, error: float, data: str = "a") -> dict[str, object]:
    return {"family": f"honest-lstm-seed{seed}", "data": data, "scores": scores(error)}


def unit(seed: int, falling: bool) -> dict[str, object]:
    network = {"pattern": "all", "parameters": 5, "steps": 7, "still_falling": falling, "cpu_seconds": 2, "seconds": 3}
    return family(seed, 1.0) | {
        "unit": f"honest-lstm-seed{seed}-trend",
        "configuration": {"component": "trend", "steps": 10, "training": {"bf16": True}},
        "networks": [network],
        "machine": {"sgemm_gflops": [90, 110]} | ({"bfloat16": False} if seed else {}),
    }


def test_seeds_become_mean_and_spread():
    tables = assemble([family(0, 1.0), family(1, 2.0), family(2, 3.0)])
    found = tables["settings"]["honest"]["methods"]["lstm"]
    assert found["n_seeds"] == 3
    for score in (
        found["scores"]["test"]["all"],
        found["scores"]["train"]["patterns"][5],
        found["scores"]["test"]["leads"][2],
    ):
        assert score["rmse"] == {"mean": 2.0, "spread": 1.0}
    assert found["scores"]["test"]["all"]["mape"] == {"mean": 20.0, "spread": 10.0}
    assert found["scores"]["test"]["all"]["mape_as_printed"]["mean"] == pytest.approx(
        (0.01 + 0.04 + 0.09) / 3, rel=1e-4
    )


def test_tables_stand_side_by_side_and_mark_what_was_still_falling():
    baselines = {"family": "paper-sg11-baselines", "data": "b", "methods": {"persistence": scores(0.5)}}
    audit = {"family": "honest-audit", "findings": [{"what": "gap filling", "leaks": False, "says": "nothing moves"}]}
    tables = assemble([family(0, 1.0), unit(0, falling=True), unit(1, falling=False), baselines, audit])
    text = markdown(json.loads(json.dumps(tables)))
    rows = [line.split(" | ") for line in text.splitlines()]
    (lstm,) = (row for row in rows if row[0].startswith("| lstm ("))
    assert lstm[0] == "| lstm (1 of 2 falling)" and lstm[1:3] == ["–", "1"]
    (persistence,) = (row for row in rows if row[0] == "| persistence" and len(row) == 5)
    assert persistence[1:] == ["0.5", "–", "0.5", "– |"]
    assert "| honest | gap filling | no | nothing moves |" in text
    assert "| honest-lstm-seed1-trend | 1 x 5 | 7 of 10 | 0 | 2 | 100 | float32 | 1.000 |" in text
    assert "| honest-lstm-seed0-trend | 1 x 5 | 7 of 10 | 1 | 2 | 100 | bfloat16 | 1.000 |" in text


def test_every_printed_score_stands_by_pattern_for_all_methods():
    baselines = {"family": "honest-baselines", "data": "a", "methods": {"persistence": scores(0.5)}}
    text = markdown(assemble([family(0, 1.0), baselines]))
    for heading, lstm in (("RMSE mm", "1"), ("MAE mm", "1"), ("MAPE as printed (eq. 4, squared)", "0.01"),
                          ("SMAPE %", "9.52")):  # fmt: skip
        _, found, table = text.partition(f"### Table 4, honest: test {heading} by pattern\n")
        assert found and table.splitlines()[3] == f"| lstm | {' | '.join([lstm] * 9)} |"
        assert table.splitlines()[4].startswith("| persistence | ")


def test_notes_tell_how_networks_were_trained_and_which_scores_are_not_there():
    text = markdown(assemble([family(0, 1.0), unit(0, falling=True), unit(1, falling=False)]))
    assert "Steps taken for each component, of networks x most steps: lstm 7 of 1 x 10." in text
    assert "Products in training: lstm bfloat16 for seed 0; lstm float32 for seed 1." in text
    assert "gaussian_process and kriging have no score as published" in text
    assert "Train scores are of every tenth origin" in text and "have no train score" in text


def test_results_of_different_data_do_not_meet():
    with pytest.raises(ValueError, match="was scored on data b, others of its setting on a"):
        assemble([family(0, 1.0), family(1, 1.0, data="b")])


def test_a_whole_map_has_a_row_of_its_own_whatever_its_data():
    whole = {"origin": "2023-04-07", "points": 588_600, "scores": {"map": scores(1.5)["test"]}}
    tables = assemble([family(0, 1.0), {"family": "honest-lstm-seed0-map", "data": "whole"} | whole])
    assert "| honest-lstm-seed0-map | 2023-04-07 | 588,600 | 1.5 |" in markdown(tables)
    assert tables["settings"]["honest"]["methods"]["lstm"]["n_seeds"] == 1


def test_seeds_of_different_length_do_not_meet():
    longer = unit(1, falling=False)
    longer["configuration"] = {"component": "trend", "steps": 20, "training": {"bf16": True}}
    with pytest.raises(ValueError, match="seed1-trend had at most 20 steps, honest-lstm-seed0-trend 10"):
        assemble([unit(0, falling=False), longer])
