import re
from itertools import combinations

import matplotlib.colors
import numpy as np
import pytest

from insar_dask.cluster.numbering import numbered_by
from insar_dask.cube import CubeError, describe
from insar_dask.report.colours import pattern_colours
from insar_dask.report.gridding import display_grid, fit_grid
from insar_dask.report.maps import plot_map
from insar_dask.report.patterns import (
    APART,
    labels_of,
    patterns_section,
    patterns_table,
    plot_centroids,
    plot_pattern_map,
)
from tests.report.scenes import make_cube, make_patterns, make_products

VISIONS = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
"""How linear RGB is seen (Machado, Oliveira & Fernandes 2009, doi:10.1109/TVCG.2009.113, severity 1)."""


def oklab(colour, vision):
    """Ottosson's perceptual space of a colour as it is seen."""
    rgb = np.array(matplotlib.colors.to_rgb(colour))
    seen = np.clip(np.asarray(vision) @ np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4), 0, 1)
    to_cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    to_lab = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return np.asarray(to_lab) @ np.cbrt(np.asarray(to_cones) @ seen)


@pytest.fixture
def section(regular_cube, tmp_path):
    (tmp_path / "figures").mkdir()
    products = make_products(regular_cube)
    grid = display_grid(products["easting"].values, products["northing"].values)
    return lambda patterns, products=products: patterns_section(tmp_path, products, patterns, grid)


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("n", [2, 5, 8])
def test_any_eye_can_tell_the_patterns_apart(n, vision):
    seen = [oklab(colour, VISIONS[vision]) for colour in pattern_colours(n)]
    assert min(np.linalg.norm(one - other) for one, other in combinations(seen, 2)) > 0.14


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 20])
def test_every_pattern_has_a_colour_of_its_own(n):
    assert len(set(pattern_colours(n))) == n


def test_cells_have_their_most_frequent_label():
    rng = np.random.default_rng(3)
    grid = fit_grid(rng.uniform(0, 900, 600), rng.uniform(0, 700, 600), 100.0)
    labels = rng.integers(-1, 4, 600)
    found = grid.most_frequent(labels, 4).ravel()
    for cell in range(found.size):
        counts = np.bincount(labels[(grid.index == cell) & (labels >= 0)], minlength=4)
        assert found[cell] == (np.argmax(counts) if counts.any() else -1)


def test_a_map_shows_each_point_in_the_colour_of_its_pattern(regular_cube):
    products, patterns = make_products(regular_cube), make_patterns(regular_cube, 8)
    labels = patterns["cluster"].values
    image = plot_pattern_map(patterns).axes[0].images[0]
    west, _, _, north = image.get_extent()
    row = ((north - products["northing"].values) // 100).astype(int)
    column = ((products["easting"].values - west) // 100).astype(int)
    cells = image.get_array()[row, column]
    assert np.ma.getmaskarray(cells)[labels < 0].all()
    drawn = image.cmap(image.norm(cells[labels >= 0]))
    expected = np.array([matplotlib.colors.to_rgba(pattern_colours(8)[label]) for label in labels[labels >= 0]])
    np.testing.assert_allclose(drawn, expected, atol=1 / 255)


def test_what_is_not_shown_has_no_pattern(regular_cube):
    products = make_products(regular_cube)
    products["velocity"][3] = np.nan
    labels = labels_of(products, make_patterns(regular_cube))
    assert labels[3] == -1
    assert (labels >= 0).sum() == products.sizes["point"] - 2


def test_patterns_of_other_points_are_refused(regular_cube):
    with pytest.raises(CubeError, match="predict those of the same cube"):
        labels_of(make_products(regular_cube), make_patterns(regular_cube).isel(point=slice(9)))


def test_curves_are_the_centroids_and_each_bears_its_number(regular_cube):
    patterns = make_patterns(regular_cube, 5)
    axes = plot_centroids(patterns).axes[0]
    for line, curve, colour in zip(axes.get_lines(), patterns["centroid"].values, pattern_colours(5), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), curve)
        assert line.get_color() == colour
    assert [text.get_text() for text in axes.texts] == ["0", "1", "2", "3", "4"]


def test_numbers_do_not_lie_on_each_other(regular_cube):
    patterns = make_patterns(regular_cube, 8)
    patterns["centroid"][:] = patterns["centroid"].values[0]
    patterns["centroid"][7] += 30
    axes = plot_centroids(patterns).axes[0]
    places = np.sort([text.xy[1] for text in axes.texts])
    assert np.diff(places).min() > APART - 1e-3


def test_a_pattern_without_points_has_a_curve_of_nothing(regular_cube):
    patterns = make_patterns(regular_cube, 3)
    patterns["centroid"][1] = np.nan
    assert [text.get_text() for text in plot_centroids(patterns).axes[0].texts] == ["0", "2"]


def test_the_table_has_number_and_mean_motion_of_each_pattern(regular_cube):
    products, patterns = make_products(regular_cube), make_patterns(regular_cube, 3)
    labels = labels_of(products, patterns)
    html = patterns_table(products, patterns, labels)
    rows = re.findall(r"<th scope=row>pattern (\d)</th>(.*?)</tr>", html)
    assert [row[0] for row in rows] == ["0", "1", "2"]
    for label, (_, cells) in enumerate(rows):
        found = re.findall(r"<td>([^<]+)</td>", cells)
        mine = labels == label
        assert found[0] == str(mine.sum())
        assert found[1] == f"{mine.sum() / (labels >= 0).sum():.1%}"
        assert found[2] == f"{products['velocity'].values[mine].mean():.2f}".replace("-", "−")


def test_a_section_says_what_the_patterns_have_seen(section, regular_cube):
    patterns = make_patterns(regular_cube)
    html = section(patterns)
    assert "The map sees the whole series." in html
    assert "Points without a pattern: 1." in html
    assert "the fastest down first" in html
    assert html.count("<figure ") == 2
    assert "The map knows nothing from 2021-01-01 on." in section(
        patterns.assign_attrs(until="2021-01-01", sees_future=0)
    )


def test_one_pattern_is_shown(section, regular_cube):
    assert section(make_patterns(regular_cube, 1)).count("<figure ") == 2


def test_patterns_of_features_have_no_curves(section, regular_cube):
    patterns = make_patterns(regular_cube).drop_vars(["centroid", "time"])
    patterns["centroid"] = (("pattern", "feature"), np.zeros((4, 2), np.float32))
    patterns["feature"] = ["velocity", "seasonality"]
    html = section(patterns)
    assert html.count("<figure ") == 1
    assert "each point&#x27;s velocity, seasonality" in html
    assert "numbered by the velocity of their centroids, the fastest down first" in html


def test_patterns_are_numbered_by_what_they_have(section, regular_cube):
    patterns = make_patterns(regular_cube).drop_vars(["centroid", "time"])
    patterns["centroid"] = (("pattern", "feature"), np.arange(8, dtype=np.float32).reshape(4, 2))
    patterns["feature"] = ["acceleration", "seasonality"]
    patterns["centroid_velocity"] = ("pattern", np.full(4, np.nan))
    patterns["acceleration"] = ("point", np.ones(patterns.sizes["point"]), describe("acceleration"))
    html = section(patterns)
    assert "numbered by the acceleration [mm/yr²] of their centroids, the lowest acceleration first" in html
    assert "Patterns, the lowest acceleration first" in html and "fastest" not in html
    name, unit, values = numbered_by(patterns)
    assert (name, unit, values.tolist()) == ("acceleration", "mm/yr²", [0.0, 2.0, 4.0, 6.0])


def test_the_largest_pattern_of_many_points_in_a_cell_wins():
    cube = make_cube(4.5e6 + np.arange(40.0), np.full(40, 1.7e6), n_times=3)
    grid = fit_grid(cube["easting"].values, cube["northing"].values, 100.0)
    assert grid.most_frequent(np.repeat([0, 1], [17, 23]), 2).tolist() == [[1]]


def test_the_map_is_as_wide_as_the_others(scattered_cube):
    widths = []
    for figure in (
        plot_pattern_map(make_patterns(scattered_cube, 8)),
        plot_map(make_products(scattered_cube).assign_attrs(component="los", sees_future=-1), "velocity"),
    ):
        figure.draw_without_rendering()
        widths.append(figure.axes[0].get_position().width)
    assert min(widths) > 0.85
