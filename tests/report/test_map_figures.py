import numpy as np
import pytest

from insar_dask.map_metrics import MapScores
from insar_dask.report.error_figures import plot_binned_errors, plot_residual_maps, plot_scatter
from insar_dask.report.map_figures import Region, plot_model_maps, plot_region_maps
from insar_dask.report.node_figures import MODEL_COLOURS, Node, plot_nodes
from insar_dask.report.panels import ACROSS, stacked_panels
from insar_dask.report.style import png_bytes

MODELS = ["mmstt", "convlstm", "persistence", "harmonic"]


@pytest.fixture
def maps():
    """Measured maps, what four models said, and which cells count."""
    rng = np.random.default_rng(0)
    measured = rng.normal(-5, 9, (6, 16, 16)).astype(np.float32)
    predicted = {
        name: (measured + rng.normal(0, 1 + place, measured.shape)).astype(np.float32)
        for place, name in enumerate(MODELS)
    }
    mask = rng.random((16, 16)) < 0.8
    return measured, predicted, mask


def test_model_maps_share_their_scales_and_leave_unmeasured_cells_blank(maps):
    measured, predicted, mask = maps[0][0], {name: said[0] for name, said in maps[1].items()}, maps[2]
    figure = plot_model_maps(measured, predicted, mask, 60.0, "E32N34, t+10")
    panels = np.reshape(figure.axes[:12], (4, 3))
    images = [[axes.images[0] for axes in line] for line in panels]
    assert len({image.norm.vmax for line in images for image in line[:2]}) == 1
    assert len({line[2].norm.vmax for line in images}) == 1
    for line, name in zip(images, MODELS, strict=True):
        assert np.array_equal(line[2].get_array().mask, ~mask)
        np.testing.assert_allclose(line[2].get_array()[mask], (predicted[name] - measured)[mask], rtol=1e-5)
    assert [line[0].get_title(loc="left") for line in panels] == MODELS
    scores = MapScores.of(predicted["mmstt"][None], measured[None], mask[None], 60.0)
    text = panels[0, 2].get_title(loc="right")
    assert f"RMSE {scores.rmse[0]:.2f} mm" in text and f"SSIM {scores.ssim[0]:.3f}" in text
    assert [axes.get_xlabel() for axes in panels[-1]] == ["predicted", "measured", "predicted less measured"]


def test_regions_have_scales_of_their_own_and_three_lie_side_by_side(maps):
    measured, predicted, mask = maps
    names = ["E39N30", "E44N23", "E32N34", "E32N35"]
    regions = [Region(name, k * predicted["mmstt"][0], k * measured[0], mask) for k, name in enumerate(names, 1)]
    figure = plot_region_maps(regions, dict.fromkeys(names, 60.0), "t+10")
    panels = [axes for axes in figure.axes if axes.images]
    assert len(panels) == 8
    assert {axes.get_title(loc="left") for axes in panels} - {""} == set(names)
    tops = {axes.get_title(loc="left"): axes.images[0].norm.vmax for axes in panels if axes.get_title(loc="left")}
    assert tops["E44N23"] == pytest.approx(2 * tops["E39N30"])
    assert sum("R² 0.9" in axes.get_xlabel() for axes in panels) == 4


def test_nodes_show_past_truth_and_each_model_on_their_dates():
    dates = np.datetime64("2020-01-03") + 6 * np.arange(50)
    measured = np.arange(50, dtype=np.float32)
    said = {name: measured[40:50] + place for place, name in enumerate(MODELS)}
    nodes = [Node("row 3, column 5", dates, measured, 40, said, np.datetime64("2020-10-30"))] * 5
    figure = plot_nodes(nodes, "six nodes")
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert len(shown) == 5
    lines = {line.get_label(): line for line in shown[0].get_lines()}
    assert len(lines["known"].get_xdata()) == 40
    assert lines["measured"].get_xdata()[0] == dates[40] and lines["mmstt"].get_xdata()[-1] == dates[49]
    assert [lines[name].get_color() for name in MODELS] == list(MODEL_COLOURS[:4])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["known", "measured", *MODELS]


def test_scatter_panels_share_axes_and_colours(maps):
    measured, predicted, _ = maps
    measured[0, 0, :3] = np.nan
    figure = plot_scatter(measured, predicted, "all leads")
    panels = figure.axes[:4]
    assert len({axes.collections[0].norm.vmax for axes in panels}) == 1
    assert len({axes.get_xlim() for axes in panels}) == 1
    counted = panels[0].collections[0].get_array().sum()
    assert 0.98 * (measured.size - 3) < counted <= measured.size - 3
    assert [axes.get_title(loc="left").strip() for axes in panels] == MODELS


def test_residuals_share_one_scale_and_none_is_lost(maps):
    measured, predicted, mask = maps
    residuals = {name: np.where(mask, said - measured, np.float32(np.nan)) for name, said in predicted.items()}
    figure = plot_residual_maps(residuals, "t+10")
    above = [axes for axes in figure.axes if axes.patches and not axes.images and "beyond" in axes.get_xlabel()]
    assert len(above) == 4
    assert len({axes.get_ylim() for axes in above}) == 1
    for axes in above:
        beyond = int(axes.get_xlabel().split("(")[1].split()[0].replace(",", ""))
        assert sum(bar.get_height() for bar in axes.patches) + beyond == 6 * mask.sum()
    images = [axes.images[0] for axes in figure.axes if axes.images]
    assert len({image.norm.vmax for image in images}) == 1
    np.testing.assert_allclose(images[1].get_array()[mask], residuals["convlstm"].mean(axis=0)[mask], atol=1e-6)


def test_boxes_of_all_models_stand_on_one_scale(maps):
    measured, predicted, _ = maps
    figure = plot_binned_errors(measured, predicted, "t+10", n_bins=5)
    lines = next(axes for axes in figure.axes if axes.get_legend())
    boxes = [axes for axes in figure.axes if axes is not lines]
    assert len({axes.get_ylim() for axes in boxes}) == 1
    assert [text.get_text() for text in lines.get_legend().get_texts()] == MODELS
    drawn = lines.get_lines()[2]
    edges = np.linspace(*np.percentile(np.tile(measured.astype(float), (4, 1, 1)), (0.5, 99.5)), 6)
    within = (measured >= edges[2]) & (measured < edges[3])
    error = np.abs(predicted["persistence"] - measured)[within].mean()
    assert np.interp((edges[2] + edges[3]) / 2, drawn.get_xdata(), drawn.get_ydata()) == pytest.approx(error, rel=1e-4)
    assert png_bytes(figure, dpi=40)[:4] == b"\x89PNG"


@pytest.mark.parametrize("n", [1, 3, 4])
def test_as_many_stacks_as_asked_for(n):
    figure, stacks = stacked_panels(n, (1.0, 2.0), 2.0, labels=0.4)
    assert stacks.shape == (n, 2)
    assert len(figure.axes) == 2 * n
    assert {axes.get_subplotspec().colspan.start for axes in stacks.ravel()} == set(range(min(n, ACROSS)))
