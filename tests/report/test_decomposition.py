import dask
import dask.array as da
import numpy as np
import pytest

from insar_dask.cube import CubeError, years_since
from insar_dask.report.choosing import Chosen
from insar_dask.report.closed_forms import best_form, closed_form
from insar_dask.report.decomposition import (
    LEAST_SPAN,
    decomposition_section,
    plot_decomposition,
    take_apart,
    telling_points,
)
from insar_dask.report.shares import plot_shares, shares_part, shares_table
from insar_dask.totals import PARTS, component_shares, component_variances
from tests.report.scenes import make_parts, make_patterns

YEARS = np.arange(120) * 12 / 365
CHOSEN = [Chosen(5, "the median point"), Chosen(9, "fast, negative"), Chosen(2, "seasonal"), Chosen(7, "noisy")]


@pytest.fixture
def section(regular_cube, tmp_path):
    (tmp_path / "figures").mkdir()
    return lambda parts, chosen=CHOSEN: decomposition_section(tmp_path, chosen, regular_cube, parts)


def test_a_closed_form_recovers_line_and_sine():
    truth = 3 - 2 * YEARS + 0.5 * YEARS**2 + 1.5 * np.sin(2 * np.pi * YEARS - 1.1)
    form = closed_form(YEARS, np.where(np.arange(120) % 7 == 2, np.nan, truth), 2)
    np.testing.assert_allclose(form.line, [3, -2, 0.5], atol=1e-9)
    np.testing.assert_allclose([form.amplitude, form.phase, form.r2], [1.5, -1.1, 1], atol=1e-9)
    np.testing.assert_allclose(form.trend(YEARS) + form.season(YEARS), truth, atol=1e-9)
    assert form.equation() == "3.00 − 2.00 t + 0.50 t² + 1.50 sin(2π t − 1.10)"


def test_r2_is_the_squared_correlation_with_the_fit():
    values = -4 * YEARS + np.random.default_rng(0).normal(0, 4, YEARS.size)
    form = closed_form(YEARS, values, 1)
    fit = form.trend(YEARS) + form.season(YEARS)
    assert form.r2 == pytest.approx(np.corrcoef(values, fit)[0, 1] ** 2)


def test_a_bent_line_is_printed_only_where_it_gains():
    straight = 5 * YEARS + np.random.default_rng(0).normal(0, 1, YEARS.size)
    assert len(best_form(YEARS, straight)[0].line) == 2
    assert len(best_form(YEARS, straight - 3 * YEARS**2)[0].line) == 3


@pytest.mark.parametrize("values", [np.full(120, np.nan), np.where(np.arange(120) < 4, 1.0, np.nan)])
def test_too_few_dates_have_no_form(values):
    form = closed_form(YEARS, values, 1)
    assert np.isnan([form.amplitude, form.r2]).all()


def test_dates_of_one_season_cannot_tell_line_from_sine():
    assert np.isnan(closed_form(np.repeat([0.1, 1.1, 2.1], 20), np.arange(60.0), 1).r2)


def test_a_series_that_stands_still_has_no_r2():
    form = closed_form(YEARS, np.zeros(120), 1)
    assert np.isnan(form.r2)
    assert form.amplitude == 0


def test_the_parts_of_a_point_sum_to_what_was_taken_apart(regular_cube):
    parts = make_parts(regular_cube)
    series = take_apart(parts, 4)
    total = sum(parts[name].values[4].astype(np.float64) for name in PARTS)
    np.testing.assert_allclose(series.values, total)
    shares = component_shares(component_variances(parts.isel(point=[4])))
    np.testing.assert_array_equal(series.shares["share"], shares["share"])
    np.testing.assert_array_equal(take_apart(parts, "P00004é").values, series.values)


def test_only_the_chunk_of_the_point_is_read(regular_cube):
    touched = []

    def remember(block, block_info=None):
        touched.append(block_info[0]["chunk-location"][0])
        return block

    parts = make_parts(regular_cube)
    for name in PARTS:
        values = da.from_array(parts[name].values, chunks=(20, -1))
        parts[name].data = values.map_blocks(remember, dtype="float32", meta=np.empty((0, 0), "f4"))
    with dask.config.set(scheduler="synchronous"):
        take_apart(parts, 45)
    assert set(touched) == {2}


def test_panels_show_the_components_and_the_closed_form(regular_cube):
    parts = make_parts(regular_cube)
    series = take_apart(parts, 4)
    panels = plot_decomposition(parts, "P00004é", regular_cube.isel(point=slice(2, 9))).axes
    assert len(panels) == 4
    dots, line = panels[0].get_lines()[:2]
    np.testing.assert_array_equal(dots.get_ydata(), regular_cube["displacement"].values[4])
    np.testing.assert_allclose(line.get_ydata(), series.values)
    for panel, name in zip(panels[1:], PARTS, strict=True):
        np.testing.assert_allclose(panel.get_lines()[0].get_ydata(), parts[name].values[4])
        assert panel.get_ylabel() == name
    years = years_since(series.times)
    np.testing.assert_allclose(panels[1].get_lines()[1].get_ydata(), series.form.trend(years))
    np.testing.assert_allclose(panels[2].get_lines()[1].get_ydata(), series.form.season(years))


def test_a_cube_without_the_point_is_refused(regular_cube):
    with pytest.raises(CubeError, match="no point 'P00004é'"):
        plot_decomposition(make_parts(regular_cube), 4, regular_cube.isel(point=slice(9, 20)))


def test_the_bars_are_equally_many_millimetres_long(regular_cube):
    panels = plot_decomposition(make_parts(regular_cube), 4).axes
    lengths = [np.ptp(panel.get_lines()[-1].get_ydata()) * np.ptp(panel.get_ylim()) for panel in panels]
    np.testing.assert_allclose(lengths, lengths[0])


def test_a_residual_of_rounding_errors_is_drawn_as_nothing(regular_cube):
    parts = make_parts(regular_cube)
    parts["residual"][:] *= 1e-16
    residual = plot_decomposition(parts, 4).axes[3]
    assert np.ptp(residual.get_ylim()) >= LEAST_SPAN


def test_a_section_tells_forms_shares_and_what_was_seen(section, regular_cube):
    html = section(make_parts(regular_cube))
    assert html.count("<figure ") == 4
    for text in (
        "Additive Holt-Winters smoothing",
        "a season of 30 dates",
        "Every value has seen the whole series.",
        "2 · fast, negative",
        "; sees the whole series",
        "sin(2π t",
        "1 no data",
    ):
        assert text in html


def test_points_without_components_give_way_to_others(regular_cube):
    parts = make_parts(regular_cube)
    last = parts.sizes["point"] - 1
    chosen = [Chosen(last, "fast, negative"), *CHOSEN]
    assert list(telling_points(chosen, parts)) == [2, 3, 4, 5]


def test_a_scene_without_components_says_why(section, regular_cube):
    parts = make_parts(regular_cube)
    for name in PARTS:
        parts[name][:] = np.nan
    parts["status"][:] = 1
    html = section(parts)
    assert "could be taken apart" in html
    assert f"{parts.sizes['point']:,} too short" in html
    assert "<figure" not in html


def test_a_filtered_decomposition_says_how_far_it_sees(section, regular_cube):
    parts = make_parts(regular_cube).drop_vars("alpha").assign_attrs(sees_future=400)
    html = section(parts)
    assert "up to 400 days beyond its date" in html
    assert "STL" in html


def test_parts_that_lack_a_component_are_refused(section, regular_cube):
    with pytest.raises((CubeError, KeyError), match="season"):
        section(make_parts(regular_cube).drop_vars("season"))


def test_bars_are_the_shares_of_all_points_and_of_each_pattern(regular_cube, tmp_path):
    labels = make_patterns(regular_cube, 3)["cluster"].values
    shares = component_shares(component_variances(make_parts(regular_cube)), labels, n_patterns=4)
    axes = plot_shares(shares).axes[0]
    widths = np.array([bar.get_width() for bar in axes.patches]).reshape(3, 4).T
    np.testing.assert_allclose(widths, shares["share"].values[:4])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["all points", *(f"pattern {n}" for n in range(3))]
    html = shares_table(shares)
    assert f"<td>{shares['share'].values[0, 1]:.1%}</td>" in html
    assert f"<td>{shares['pooled'].values[0, 0]:.1%}</td>" in html
    (tmp_path / "figures").mkdir()
    assert "nearly no share" not in shares_part(tmp_path, shares)


def test_a_residual_of_nearly_nothing_is_explained(regular_cube, tmp_path):
    parts = make_parts(regular_cube)
    parts["residual"][:] *= 0.01
    (tmp_path / "figures").mkdir()
    assert "nearly no share" in shares_part(tmp_path, component_shares(component_variances(parts)))


def test_shares_of_no_point_at_all_are_drawn_empty(regular_cube, tmp_path):
    parts = make_parts(regular_cube)
    for name in PARTS:
        parts[name][:] = np.nan
    (tmp_path / "figures").mkdir()
    assert "<figure" in shares_part(tmp_path, component_shares(component_variances(parts)))
