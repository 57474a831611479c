"""Tables of maps from results of units, seeds and baselines."""

import numpy as np
import pytest

from insar_dask.forecast.maps.map_markdown import map_markdown
from insar_dask.forecast.maps.map_table import assemble_maps
from insar_dask.map_metrics import MapScores

WANTED = {"trained": ["E32N34"], "held": ["E48N24"], "buffer": 5000.0, "overlap": 4}


def scored(error, said=3):
    rng = np.random.default_rng(0)
    asked = rng.normal(0, 5, (3, 10, 8, 8)).astype(np.float32)
    errors = np.where(np.arange(3) < said, error, np.nan).astype(np.float32)[:, None, None, None]
    return MapScores.of(asked + errors, asked, np.ones_like(asked, bool), 30.0).to_json()


def summed(error):
    """Of 40 origins, 16 parts and 10 leads."""
    return {"parts": np.full((40, 16, 2), [40, 40 * error**2]).tolist(), "leads": np.full((40, 10, 2), 1.0).tolist()}


def tiles(error, said=3):
    held = {"test": scored(2 * error), **summed(2 * error), "across": scored(4 * error, said)}
    return {"E32N34": {"test": scored(error), **summed(error)}, "E48N24": held}


def unit(seed, error, data="one"):
    network = dict.fromkeys(("parameters", "windows", "steps", "epochs", "best_epoch", "cpu_seconds"), 3)
    return {
        "unit": f"honest-mmstt-seed{seed}",
        "configuration": WANTED | {"protocol": "honest", "network": "mmstt", "training": {"bf16": True}},
        "data": data,
        "network": network | {"still_falling": seed == 0, "stopped_by": "patience"},
        "scores": tiles(error, 2),
        "machine": {"bfloat16": seed == 0},
    }


def baselines():
    wanted = WANTED | {"protocol": "honest"}
    methods = {"persistence": tiles(3.0), "harmonic_ridge": tiles(2.0)}
    return {"baselines": "honest", "configuration": wanted, "data": "one", "methods": methods}


def test_seeds_are_averaged_by_tile_and_lead():
    tables = assemble_maps([unit(0, 1), baselines(), unit(1, 2)])
    mmstt = tables["protocols"]["honest"]["methods"]["mmstt"]
    assert mmstt["n_seeds"] == 2
    assert mmstt["tiles"]["E32N34"]["rmse"][0] == {"mean": 1.5, "spread": pytest.approx(0.7071)}
    assert mmstt["tiles"]["E48N24"]["event"]["across"]["mean"] == pytest.approx(6)
    assert [one["still_falling"] for one in tables["units"]] == [True, False]
    assert [one["products"] for one in tables["units"]] == ["bfloat16", "float32"]


def test_networks_stand_beside_the_best_method_without_one():
    tables = assemble_maps([unit(0, 1), baselines(), unit(1, 1)])
    found = tables["protocols"]["honest"]["methods"]["mmstt"]["tiles"]["E32N34"]
    assert found["skill"] == pytest.approx([0.75] * 10)  # 1 mm beside 2 mm
    assert found["above_footing"] == {"mean": -1.0, "low": -1.0, "high": -1.0}
    text = map_markdown(tables, {})
    assert "| mmstt | E32N34 | 75 | 75 |" in text and "| -1.000 (-1.000 to -1.000) |" in text
    assert "| persistence | E32N34 | -125 | -125 |" in text and "| +1.000 (+1.000 to +1.000) |" in text
    (ridge,) = (line for line in text.splitlines() if line.startswith("| harmonic_ridge | E32N34 | "))
    assert ridge == "| harmonic_ridge | E32N34 " + 10 * "| 0 " + "| – |"


def test_every_table_of_scores_says_seeds_and_epochs():
    published = unit(0, 2) | {"unit": "paper-mmstt-seed0"}
    published["configuration"] = published["configuration"] | {"protocol": "paper"}
    longer = unit(1, 1)
    longer["network"] = longer["network"] | {"epochs": 4.6}
    text = map_markdown(assemble_maps([unit(0, 1), longer, baselines(), published]), {})
    honest, paper = "Seeds x epochs, honest: mmstt 2 x 3 to 5.", "Seeds x epochs, as published: mmstt 1 x 3."
    for part in text.split("### ")[1:]:
        title, _, above, *_ = part.splitlines()
        if title != "Units finished":
            assert above == {"honest": honest, "as published": paper}.get(title.split(": ")[-1], f"{honest} {paper}")


def test_a_gated_network_has_a_row_of_its_own_and_is_no_method_without_one():
    tables = assemble_maps([unit(0, 1) | {"gated": tiles(0.5)}, baselines()])
    methods = tables["protocols"]["honest"]["methods"]
    assert methods["mmstt gated"]["tiles"]["E32N34"]["skill"][0] == pytest.approx(1 - 1 / 16)
    assert methods["mmstt"]["tiles"]["E32N34"]["skill"][0] == pytest.approx(0.75)
    assert "| **best** | mmstt gated | mmstt gated |" in map_markdown(tables, {})


def test_protocols_stand_side_by_side():
    published = unit(0, 2) | {"unit": "paper-mmstt-seed0"}
    published["configuration"] = published["configuration"] | {"protocol": "paper"}
    text = map_markdown(assemble_maps([unit(0, 1), baselines(), published]), {})
    assert "| mmstt | 1 | 1 | 1 | 2 | 2 | 2 | 0.0819 |" in text
    assert "| persistence | 3 | 3 | 3 | – | – | – | – |" in text


def test_what_speaks_of_fewer_origins_about_an_event_says_so():
    text = map_markdown(assemble_maps([unit(0, 1), baselines()]), {})
    assert "| honest | E48N24 | mmstt | – | 4 (67%) | – |" in text
    assert "| honest | E48N24 | persistence | – | 12 | – |" in text


def test_the_text_names_what_is_best_and_what_had_not_converged():
    audit = {"audit": "honest", "findings": [{"what": "targets", "leaks": False, "says": "what was measured"}]}
    text = map_markdown(assemble_maps([unit(0, 1), baselines(), audit]), {"E48N24": "coseismic"})
    assert "| **best** | mmstt | mmstt |" in text
    assert "E48N24 (coseismic)" in text and "still falling" in text
    assert "Cells within 5 km of the tile" in text and "| honest | targets | no | what was measured |" in text


def test_results_of_other_data_are_refused():
    with pytest.raises(ValueError, match="honest-mmstt-seed0 was scored on data two, others of its protocol on"):
        assemble_maps([unit(0, 1, data="two"), baselines()])
