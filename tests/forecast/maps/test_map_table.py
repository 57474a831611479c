"""Tables of maps from results of units, seeds and baselines."""

import numpy as np
import pytest

from insar_dask.forecast.maps.map_markdown import map_markdown
from insar_dask.forecast.maps.map_table import assemble_maps
from insar_dask.map_metrics import MapScores

WANTED = {"trained": ["E32N34"], "held": ["E48N24"], "buffer": 5000.0}


def scored(error):
    rng = np.random.default_rng(0)
    asked = rng.normal(0, 5, (3, 10, 8, 8)).astype(np.float32)
    return MapScores.of(asked + np.float32(error), asked, np.ones_like(asked, bool), 30.0).to_json()


def tiles(error):
    held = {"test": scored(2 * error), "origins": [], "across": scored(4 * error)}
    return {"E32N34": {"test": scored(error), "origins": []}, "E48N24": held}


def unit(seed, error, data="one"):
    network = dict.fromkeys(("parameters", "windows", "steps", "epochs", "best_epoch", "cpu_seconds"), 3)
    return {
        "unit": f"honest-mmstt-seed{seed}",
        "configuration": WANTED | {"protocol": "honest", "network": "mmstt", "training": {"bf16": True}},
        "data": data,
        "network": network | {"still_falling": seed == 0},
        "scores": tiles(error),
        "machine": {"bfloat16": seed == 0},
    }


def baselines():
    wanted = WANTED | {"protocol": "honest"}
    return {"baselines": "honest", "configuration": wanted, "data": "one", "methods": {"persistence": tiles(1.5)}}


def test_seeds_are_averaged_by_tile_and_lead():
    tables = assemble_maps([unit(0, 1), baselines(), unit(1, 2)])
    mmstt = tables["protocols"]["honest"]["methods"]["mmstt"]
    assert mmstt["n_seeds"] == 2
    assert mmstt["tiles"]["E32N34"]["rmse"][0] == {"mean": 1.5, "spread": pytest.approx(0.7071)}
    assert mmstt["tiles"]["E48N24"]["event"]["across"]["mean"] == pytest.approx(6)
    assert [one["still_falling"] for one in tables["units"]] == [True, False]
    assert [one["products"] for one in tables["units"]] == ["bfloat16", "float32"]


def test_the_text_names_what_is_best_and_what_had_not_converged():
    audit = {"audit": "honest", "findings": [{"what": "targets", "leaks": False, "says": "what was measured"}]}
    text = map_markdown(assemble_maps([unit(0, 1), baselines(), audit]), {"E48N24": "coseismic"})
    assert "| **best** | mmstt | mmstt |" in text
    assert "E48N24 (coseismic)" in text and "still falling" in text
    assert "Cells within 5 km of the tile" in text and "| honest | targets | no | what was measured |" in text


def test_results_of_other_data_are_refused():
    with pytest.raises(ValueError, match="honest-mmstt-seed0 was scored on data two, others of its protocol on"):
        assemble_maps([unit(0, 1, data="two"), baselines()])
