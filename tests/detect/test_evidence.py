import numpy as np
import pytest
import shapely
import xarray as xr
from pyproj import CRS
from scipy.signal import lfilter

import insar_dask as insar
from insar_dask.cube import CubeError, describe, years_since
from insar_dask.detect.areas import Areas
from insar_dask.detect.clusters import cluster_points, hull_of
from insar_dask.detect.errors import honest_errors
from insar_dask.detect.evidence import exceedances, histories, onset_of
from insar_dask.detect.finding import find_areas
from insar_dask.detect.mapping import area_maps, cell_of, side_of, sum_places
from insar_dask.detect.quality import quality_class, spatial_quality, temporal_quality

TIMES = np.datetime64("2019-01-03", "ns") + np.arange(0, 1500, 12) * np.timedelta64(1, "D")
YEARS = years_since(TIMES)


def cube_of(place: np.ndarray, values: np.ndarray, **coords: np.ndarray) -> xr.Dataset:
    return xr.Dataset(
        {"displacement": (("point", "time"), values.astype(np.float32), describe("displacement"))},
        coords={
            "time": TIMES,
            "point_id": ("point", [f"{i:06d}" for i in range(len(place))]),
            "easting": ("point", place[:, 0]),
            "northing": ("point", place[:, 1]),
            **{name: ("point", column) for name, column in coords.items()},
            "crs": ((), np.int32(0), {"crs_wkt": CRS(3035).to_wkt()}),
        },
        attrs={
            "component": "up", "positive": "up", "reference_date": "2019-01-03", "reference": "none",
            "release": "2019-2023", "source": "site.csv",
        },
    )  # fmt: skip


@pytest.fixture(scope="module")
def slope() -> xr.Dataset:
    """1,600 points, 50 m apart; a quarter in the south-west settles together, by 3 mm/yr and from 2021 on by 33, and
    in the north-east one of noise only is called an area."""
    chance = np.random.default_rng(3)
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(40) * 50.0 + 25, np.arange(40) * 50.0 + 25))
    still = chance.normal(0, 1.0, (1600, len(TIMES)))
    moving = (x < 800) & (y < 800)
    season = 6 * np.cos(2 * np.pi * YEARS) + np.repeat(chance.normal(0, 3, len(TIMES) // 5 + 1), 5)[: len(TIMES)]
    still[moving] += -3 * YEARS - 30 * np.maximum(0, YEARS - 2) + season
    return cube_of(np.stack([x + 4.5e6, y + 1.7e6], axis=1), still)


def test_areas_of_points_are_found_with_their_histories(slope: xr.Dataset) -> None:
    motion = honest_errors(insar.motion(slope), slope)
    maps = area_maps(motion)
    assert maps.attrs["cell"] == 50.0 and maps.sizes == {"y": 40, "x": 40}
    np.testing.assert_allclose(maps.velocity.values[::-1].ravel(), motion.velocity.values, rtol=0, atol=1e-6)
    areas = find_areas(maps)
    assert len(areas) == 1
    truth = shapely.box(4.5e6, 1.7e6, 4.5e6 + 800, 1.7e6 + 800)
    assert areas.geometry[0].intersection(truth).area > 0.95 * areas.geometry[0].union(truth).area
    told = histories(areas, slope)
    assert abs(np.datetime64(told["onset"][0]) - np.datetime64("2021-01-02")) < np.timedelta64(60, "D")
    assert told["onset_first"][0] <= told["onset"][0] <= told["onset_last"][0]
    assert told["onset_p"][0] < 1e-3  # its noise stays for five dates: of 125 twelve count
    assert told["cumulative_mm"][0] == pytest.approx(-3 * YEARS[-1] - 30 * (YEARS[-1] - 2), abs=10)
    assert told["quality"][0] == 1


def begun_later(cube: xr.Dataset, rows: np.ndarray, dates: np.ndarray) -> xr.Dataset:
    """As `insar_dask.invert` has it of points without pairs at first: 0 at their own first date."""
    values, zero = cube.displacement.values.copy(), np.zeros(cube.sizes["point"], np.int32)
    for row, date in zip(rows, dates, strict=True):
        values[row] -= values[row, date]
        values[row, :date] = np.nan
        zero[row] = 12 * date
    return cube.assign(displacement=cube.displacement.copy(data=values), zero_day=("point", zero))


def test_points_that_begin_later_are_brought_to_one_zero_before_the_median() -> None:
    chance = np.random.default_rng(5)
    rate = np.where(YEARS < 2, -4.0, -30.0)
    moved = np.concatenate([[0], np.cumsum(rate[:-1] * np.diff(YEARS))])
    whole = cube_of(chance.uniform(0, 300, (40, 2)), np.repeat(moved[None], 40, axis=0))
    rows = np.arange(40)[chance.random(40) < 0.6]
    holed = begun_later(whole, rows, chance.integers(20, 90, rows.size))
    area = Areas([shapely.box(0, 0, 300, 300)], {}, whole.crs.crs_wkt)
    told, wanted = histories(area, holed), histories(area, whole)
    assert wanted["cumulative_mm"][0] == pytest.approx(moved[-1], abs=1e-4)
    assert told["cumulative_mm"][0] == pytest.approx(wanted["cumulative_mm"][0], abs=1e-4)
    assert told["onset"].tolist() == wanted["onset"].tolist() != [""]
    same = histories(area, whole.assign(zero_day=("point", np.full(40, 24, np.int32))))  # of all alike
    assert {name: list(values) for name, values in same.columns.items()} == {
        name: list(values) for name, values in wanted.columns.items()
    }


def test_noise_that_is_called_an_area_is_of_low_quality(slope: xr.Dataset) -> None:
    noise = Areas([shapely.box(4.5e6 + 1000, 1.7e6 + 1000, 4.5e6 + 1900, 1.7e6 + 1900)], {}, slope.crs.crs_wkt)
    told = histories(noise, slope)
    assert told["quality"][0] == 4 and abs(told["spatial"][0]) < 0.1 and told["onset"][0] == ""
    beside = Areas([noise.geometry[0], shapely.box(0, 0, 100, 100)], {}, slope.crs.crs_wkt)
    assert histories(beside, slope)["quality"].tolist() == [4, 0]  # of no points, so not judged
    coherent = slope.assign_coords(coherence=("point", np.full(1600, 0.9)))
    assert histories(noise, coherent)["quality"][0] == 2
    with pytest.raises(CubeError, match="no point of the cube lies in any area"):
        histories(Areas([shapely.box(0, 0, 1, 1)], {}, slope.crs.crs_wkt), slope)


def test_areas_of_noise_alone_are_of_the_lower_classes() -> None:
    """Noise with memory, as real residuals have; and ground that rises and falls with it as one, for comparison."""
    chance = np.random.default_rng(7)
    place, classes = chance.uniform(0, 300, (25, 2)), []
    for _ in range(30):
        noise = lfilter([1], [1, -0.6], chance.normal(0, 2, (25, len(TIMES))), axis=1)
        classes.append(quality_class(temporal_quality(noise, YEARS), spatial_quality(noise, YEARS, place)))
    assert set(classes) <= {3, 4}
    together = noise + 5 * np.cos(2 * np.pi * YEARS) - 12 * YEARS
    assert quality_class(temporal_quality(together, YEARS), spatial_quality(together, YEARS, place)) == 1


def test_points_of_few_dates_do_not_spoil_an_area() -> None:
    series = 5 * np.cos(2 * np.pi * YEARS) + np.zeros((4, 1))
    few = series.copy()
    few[1, 3:] = np.nan
    few[2] = np.nan
    assert temporal_quality(few, YEARS) == pytest.approx(temporal_quality(series, YEARS)) == pytest.approx(1)
    assert np.isnan(temporal_quality(few[1:3], YEARS))


def test_steady_motion_has_no_onset() -> None:
    chance, false = np.random.default_rng(0), 0
    for _ in range(200):
        steady = -20 * YEARS + 5 * np.sin(2 * np.pi * YEARS) + chance.normal(0, 2, len(TIMES))
        steady[chance.random(len(TIMES)) < 0.1] = np.nan
        false += not np.isnat(onset_of(steady, TIMES).date)
    assert false <= 10
    assert np.isnat(onset_of(np.full(len(TIMES), np.nan), TIMES).date)


@pytest.mark.parametrize(("memory", "found"), [(0.5, 38), (0.8, 38), (0.9, 24)])
def test_noise_that_remembers_is_no_onset(memory: float, found: int) -> None:
    """Of AR(1) noise on steady motion at 180 dates, half of them irregular; and what is left of real bends."""
    chance, sure = np.random.default_rng(6), []
    for regular in [True, False] * 20:
        steps = np.full(180, 12) if regular else chance.choice([6, 12, 24, 120], 180, p=[0.2, 0.6, 0.15, 0.05])
        times = np.datetime64("2018-01-01", "ns") + np.cumsum(steps) * np.timedelta64(1, "D")
        years, noise = years_since(times), chance.normal(0, 1, 180)
        for k in range(1, 180):
            r = memory ** (steps[k] / 12)
            noise[k] = r * noise[k - 1] + np.sqrt(1 - r * r) * noise[k]
        steady = -10 * years + 2 * np.cos(2 * np.pi * years) + noise
        bent = steady - 6 * np.maximum(0, years - years[90])
        holed = np.where(chance.random(180) < 0.1, np.nan, steady)
        sure.append([not np.isnat(onset_of(series, times).date) for series in (steady, holed, bent)])
    false, false_of_holed, true = np.sum(sure, axis=0)
    assert max(false, false_of_holed) <= 2 and true >= found


@pytest.mark.parametrize("memory", [0.0, 0.5])
def test_the_range_of_an_onset_holds_it(memory: float) -> None:
    """Also where the rate changes between two dates, and so clearly that a date or two are left."""
    chance, held, wide = np.random.default_rng(1), 0, []
    for k in range(200):
        noise = chance.normal(0, 1, len(TIMES))
        for i in range(1, len(TIMES)):
            noise[i] = memory * noise[i - 1] + np.sqrt(1 - memory**2) * noise[i]
        bend, rate = chance.uniform(1.0, YEARS[-1] - 1.0), (-10, -25, -60)[k % 3]
        onset = onset_of(rate * np.maximum(0, YEARS - bend) + 2 * np.cos(2 * np.pi * YEARS) + noise, TIMES)
        truth = TIMES[0] + np.timedelta64(int(bend * 365 * 86_400), "s")
        held += onset.first <= truth <= onset.last
        wide.append((onset.last - onset.first) / np.timedelta64(1, "D"))
    assert held >= 184 and np.median(wide) < 200


def test_errors_are_no_smaller_than_halves_of_the_record_differ() -> None:
    """Velocities that wander from year to year by more than their series tell."""
    chance = np.random.default_rng(2)
    place = chance.uniform(0, 5000, (400, 2)) + np.array([4.5e6, 1.7e6])
    walk = np.cumsum(chance.normal(0, 1.0, (400, len(TIMES))), axis=1) * 0.5
    cube = cube_of(place, walk + chance.normal(0, 0.5, walk.shape))
    motion = insar.motion(cube)
    honest = honest_errors(motion, cube)
    spread = float(motion.velocity.std())
    assert float(motion.velocity_std.median()) < 0.3 * spread
    assert float(honest.velocity_std.median()) == pytest.approx(spread, rel=0.35)
    assert honest.attrs["velocity_std_floor"] > 0
    white = cube_of(place, chance.normal(0, 2, (400, len(TIMES))))
    plain, told = insar.motion(white), honest_errors(insar.motion(white), white)
    # the halves of white noise differ by four times the error of the whole
    assert float(told.velocity_std.median()) == pytest.approx(2 * float(plain.velocity_std.median()), rel=0.2)
    with pytest.raises(CubeError, match="make no two halves"):
        honest_errors(insar.motion(white.isel(time=slice(10))), white.isel(time=slice(10)))
    with pytest.raises(CubeError, match=r"give insar_dask\.motion"):
        honest_errors(motion.isel(point=slice(3)), cube)


def points_at(place: np.ndarray) -> xr.Dataset:
    return xr.Dataset({"easting": ("point", place[:, 0]), "northing": ("point", place[:, 1])})


def test_areas_of_points_in_whole_metres_are_those_of_exact_ones(slope: xr.Dataset) -> None:
    away = np.random.default_rng(8).uniform(-25, 25, (2, slope.sizes["point"]))
    exact = slope.assign_coords(easting=slope.easting + away[0], northing=slope.northing + away[1])
    whole = exact.assign_coords(easting=exact.easting.round(), northing=exact.northing.round())
    maps = [area_maps(honest_errors(insar.motion(cube), cube)) for cube in (exact, whole)]
    assert maps[0].attrs["cell"] == maps[1].attrs["cell"] > 50
    assert [len(find_areas(one)) for one in maps] == [1, 1]


def test_cells_suit_the_points() -> None:
    chance = np.random.default_rng(4)
    random = chance.uniform(0, 3000, (9000, 2))
    assert cell_of(random) == pytest.approx(2.5 * np.sqrt(1e-3 * 1e6), abs=10)
    grid = np.stack(np.meshgrid(np.arange(30) * 100.0 + 50, np.arange(20) * 100.0 + 50), axis=-1).reshape(-1, 2)
    assert cell_of(grid[chance.random(len(grid)) < 0.6]) == 100.0
    whole = np.round(random)
    assert cell_of(whole) == cell_of(random)
    for places, side in ((whole, cell_of(random)), (grid[::3], 100.0)):
        from_west = places[np.argsort(places[:, 0], kind="stable")]
        parts = [sum_places(points_at(part)) for part in np.array_split(from_west, 4)]
        assert side_of(parts) == pytest.approx(side, abs=10)
    phases = xr.concat([cube_of(np.full((1, 2), [4.5e6 + 3, 1.7e6 + 3]), np.zeros((1, len(TIMES))))] * 3, "point",
                       data_vars="minimal", coords="minimal", compat="override", join="exact")  # fmt: skip
    days = insar.motion(phases).assign(phase=("point", np.array([364.0, 2.0, 5.0], np.float32)))
    assert area_maps(days, cell=100.0).phase.values.item() == pytest.approx(2.0)


def test_clusters_are_those_of_scikit_learn() -> None:
    from sklearn.cluster import DBSCAN

    place = np.random.default_rng(5).uniform(0, 2000, (700, 2))
    wanted = DBSCAN(eps=60, min_samples=5).fit(place)
    found = cluster_points(*place.T)
    core = wanted.core_sample_indices_
    assert len({*zip(found[core].tolist(), wanted.labels_[core].tolist(), strict=True)}) == wanted.labels_.max() + 1
    assert found.max() == wanted.labels_.max()
    np.testing.assert_array_equal(found < 0, wanted.labels_ < 0)
    turned = cluster_points(*place[::-1].T)[::-1]
    assert len({*zip(found.tolist(), turned.tolist(), strict=True)}) == len(set(found.tolist()))
    hull = hull_of(*place[found == 0].T, spacing=50.0)
    assert hull.is_valid and shapely.contains_xy(hull, *place[found == 0].T).all()
    assert cluster_points([], []).size == 0


def test_what_is_forecast_is_told_of_each_area(slope: xr.Dataset) -> None:
    areas = Areas([shapely.box(4.5e6, 1.7e6, 4.5e6 + 800, 1.7e6 + 800)], {}, slope.crs.crs_wkt)
    values = np.broadcast_to(np.arange(3.0), (1, 1600, 3))
    dims = ("origin", "point", "lead")
    forecast = xr.Dataset(
        {name: (dims, values + shift) for name, shift in (("displacement", 0), ("lower", -1), ("upper", 1))},
        coords={name: slope[name] for name in ("easting", "northing", "crs")},
    ).assign(exceedance=(dims, values / 4))
    told = exceedances(areas, forecast)
    assert [told[name][0] for name in ("forecast_mm", "forecast_lower_mm", "forecast_upper_mm", "exceedance")] == [
        2.0, 1.0, 3.0, 0.5,
    ]  # fmt: skip
    zero = xr.DataArray(np.where(np.arange(1600) % 3 > 0, 120, 0), dims="point")
    later = exceedances(areas, forecast.assign(displacement=forecast["displacement"] + zero, zero_day=zero))
    assert later["forecast_mm"][0] == 2.0 and later["exceedance"][0] == 0.5
    none = exceedances(areas, forecast.where(forecast["easting"] > 4.5e6 + 900))
    assert np.isnan([none["forecast_mm"][0], none["exceedance"][0]]).all()
    with pytest.raises(CubeError, match="the forecast lacks"):
        exceedances(areas, forecast.drop_vars("lower"))
