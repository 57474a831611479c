from pathlib import Path

import numpy as np

from insar_dask.inversion.choosing import choose_pairs
from insar_dask.report.gridding import display_grid
from insar_dask.report.network import network_of, network_section
from insar_dask.report.network_figures import plot_network
from insar_dask.synthetic import pair_cube

NOTE = {
    "pairs": None, "pairs_read": 0, "parts": 1, "closure": True, "loops": 1234, "unchecked": 2, "delays": True,
    "scatter": 1.2, "surface": "plane", "reference": [4, 5], "window": 5, "as_of": "2019-01-01", "method": "nsbas",
    "alpha": 0.71,
}  # fmt: skip


def scene():
    """Pairs, a note of what was chosen of them, and what would come of it."""
    pairs = pair_cube(6, 7, 20, longest=60, baseline=70)
    choice = choose_pairs(pairs)
    note = {**NOTE, "pairs": choice.kept.nonzero()[0].tolist(), "reasons": choice.reasons, "held": choice.held}
    note["residuals"] = {str(k): 1.0 + 0.01 * k for k in range(pairs.sizes["pair"])}
    raw = pairs.drop_dims("pair").assign(
        coherence=("point", np.linspace(0.5, 1, 42)), residual_rms=("point", np.linspace(0, 4, 42))
    )
    return pairs, note, raw


def test_section_tells_network_corrections_and_reasons(tmp_path: Path) -> None:
    pairs, note, raw = scene()
    (tmp_path / "figures").mkdir()
    grid = display_grid(raw["easting"].values, raw["northing"].values)
    html = network_section(tmp_path, pairs, raw, note, grid)
    n_used, n_out = len(note["pairs"]), len(note["reasons"])
    told = f"Interferograms left out{f', the first 20 of {n_out}' if n_out > 20 else f': {n_out}'}"
    assert f"{n_used} of {pairs.sizes['pair']} interferograms between 20 dates were used" in html
    for text in (
        "1,234 loops of three (2 interferograms are in none", "scatter 1.20 of what it was", "Planes of the dates",
        "around row 4, column 5", "complete by 2019-01-01", "frost weighs 0.71", "solved by nsbas",
        "scatter 1.20 times as much as before", told,
    ):  # fmt: skip
        assert text.lower() in html.lower(), text
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == {
        "network", "pair-residuals", "coherence", "residual-rms",
    }  # fmt: skip
    parts = network_section(tmp_path, pairs, raw, {**note, "parts": 3, "scatter": 0.8}, grid)
    assert "falls into 3 parts" in parts and "as much as before" not in parts


def test_lines_of_the_network_join_baselines_of_dates() -> None:
    pairs, note, _ = scene()
    network = network_of(pairs, note)
    joined = network.heights(network.second) - network.heights(network.first)
    np.testing.assert_allclose(joined, pairs["bperp"].values, atol=1e-6)
    axes = plot_network(network).axes[0]
    assert sum(len(lines.get_segments()) for lines in axes.collections) == pairs.sizes["pair"]
    assert [len(lines.get_segments()) for lines in axes.collections] == [len(note["reasons"]), len(note["pairs"])]


def test_pairs_without_baselines_lie_as_high_as_they_are_long() -> None:
    pairs, note, _ = scene()
    network = network_of(pairs.drop_vars("bperp"), {**note, "pairs": None})
    (lines,) = plot_network(network).axes[0].collections
    heights = np.array([segment[:, 1] for segment in lines.get_segments()])
    np.testing.assert_allclose(
        heights, np.repeat(np.diff(np.array([s[:, 0] for s in lines.get_segments()])), 2, axis=1)
    )
