import re
from html import unescape
from urllib.parse import unquote, urlsplit

import numpy as np

from insar_dask.report import markup, tables
from insar_dask.report.leads import plot_leads
from insar_dask.report.provenance import link
from tests.report.scenes import make_scores


def plain(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_the_summary_has_every_method_and_names_what_leaks():
    html = tables.summary_table(make_scores())
    for word in ("persistence", "harmonic", "gaussian default", "LEAKS: RMSE as published", "3.25", "90.0%"):
        assert word in plain(html)


def test_without_a_leaking_protocol_nothing_is_named_leaking():
    scores = make_scores()
    scores["tables"].pop("as_published")
    assert "LEAKS" not in tables.summary_table(scores)


def test_leads_are_given_in_steps_and_days_and_the_best_is_marked():
    html = tables.leads_table(make_scores(), "honest")
    assert "1 12 d" in plain(html)
    assert html.count("class='best'") == 6


def test_the_leaking_table_says_so_in_its_caption():
    assert "<caption>LEAKS:" in tables.leads_table(make_scores(), "as_published")


def test_coverage_beyond_five_points_is_marked():
    html = tables.coverage_table(make_scores(), "gaussian")
    assert html.count("<em") == 6
    assert tables.coverage_table(make_scores(), "nobody") == ""


def test_text_from_outside_is_escaped():
    assert "<script>" not in markup.facts({"a<script>": "<script>alert(1)</script>"})
    assert "<b>" not in tables.timings_table([{"stage": "<b>x", "seconds": 1.0}])


def test_counts_have_their_thousands_apart_and_codes_have_not():
    shown = markup.facts({"source_size": 1234567, "options": {"crs": 32631, "tracks": [2024]}, "said": True})
    assert "<dd>1,234,567</dd>" in shown and "<dd>crs: 32631<br>tracks: 2024</dd>" in shown and "<dd>True</dd>" in shown


def test_a_link_leads_to_a_file_of_any_name(tmp_path):
    name = "site #1 50%41 'a' & ü?.zarr"
    html = link(None, tmp_path / name, tmp_path / "page")
    address, told = re.fullmatch(r"<a href='([^']*)'>([^<]*)</a>", html).groups()
    assert unquote(urlsplit(unescape(address)).path) == unescape(told) == f"../{name}"
    assert link("open", tmp_path / "a.csv", tmp_path) == "<a href='a.csv'>open</a>"


def test_missing_numbers_are_dots():
    scores = make_scores()
    scores["tables"]["honest"]["harmonic"] = {"rmse": [None, float("nan"), 1, 2, 3, 4], "rmse_all": None}
    assert "·" in tables.summary_table(scores)
    assert "·" in tables.leads_table(scores, "honest")


def test_timings_add_up():
    html = tables.timings_table(
        [{"stage": "a", "seconds": 1.0, "points_per_second": 1e6, "megabytes": 3}, {"stage": "b", "seconds": 3.0}]
    )
    assert "4.00" in html
    assert "1,000,000" in html


def test_a_stage_that_a_resumed_run_kept_has_no_rate():
    kept = {"stage": "p/raw", "seconds": 0.1, "points_per_second": 0, "megabytes": 0.0, "computed": 0}
    text = plain(tables.timings_table([kept]))
    assert "kept from before" in text
    assert "raw 0.10" in text


def test_a_stage_that_ran_on_gpus_says_so():
    there = {"stage": "p/prepare", "seconds": 1.0, "steps": {"gpu": ["motion"], "cpu": ["explore"]}}
    text = plain(tables.timings_table([there, {"stage": "p/fit", "seconds": 1.0, "steps": {"cpu": ["fit_partial"]}}]))
    assert "prepare, on GPUs 1.00" in text
    assert "fit 1.00" in text


def test_names_beside_the_lines_never_overlap():
    scores = make_scores()
    for method in scores["methods"]:
        scores["tables"]["honest"][method]["rmse"] = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5]
    axes = plot_leads(scores).axes[0]
    low, high = axes.get_ylim()
    heights = sorted(text.get_position()[1] for text in axes.texts)
    assert len(heights) == 3
    assert np.diff(heights).min() > 0.05 * (high - low)


def test_other_measures_stand_by_lead_and_absent_ones_leave_no_table():
    scores = make_scores()
    assert "MAE by lead" in tables.leads_table(scores, "honest", "mae")
    for row in scores["tables"]["honest"].values():
        row.pop("mae")
    assert tables.leads_table(scores, "honest", "mae") == ""


def test_kinds_of_motion_stand_in_the_order_of_the_design():
    scores = make_scores()
    kinds = ("accelerating", "trending", "stable", "seasonal")
    scores["tables"]["honest"]["harmonic"]["strata"] = {kind: {"rmse": 1.0, "n": 1} for kind in kinds}
    text = plain(tables.strata_table(scores))
    assert [word for word in text.split() if word in kinds] == ["stable", "seasonal", "trending", "accelerating"]


def test_negative_numbers_have_a_true_minus():
    assert markup.number(-1.5) == "−1.50"
    assert markup.signed_percent(-0.031) == "−3.1%"
    assert markup.whole(None) == markup.number(float("nan")) == "·"
