import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS

from insar_dask.cube import CubeError, check_cube, years_since
from insar_dask.geometry.dates import days_ahead, place_dates
from insar_dask.geometry.series import EastUp, east_up
from tests.geometry.conftest import LOOKS, Tracks, look, moved

PLAIN = {"anchor": "none"}


def same(one: EastUp, other: EastUp) -> None:
    for a, b in zip(one, other, strict=True):
        xr.testing.assert_identical(a.drop_attrs(), b.drop_attrs())


def test_motion_without_noise_comes_back(two_tracks: Tracks) -> None:
    cubes = two_tracks(same_days=True)
    found = east_up(cubes, **PLAIN)
    place = np.stack([found.up.easting, found.up.northing], axis=1)
    assert found.up.sizes["time"] == 50
    every = np.concatenate([np.stack([c.easting, c.northing], axis=1) for c in cubes])
    shifted = np.concatenate([every.min(axis=0)[None], place])
    truth = moved(shifted, years_since(found.up.time.values), 0.0)[:, 1:]
    for component, k in (("east", 0), ("up", 2)):
        cube = check_cube(getattr(found, component))
        # float32 keeps 1e-6 of a line of sight of up to 17 mm
        np.testing.assert_allclose(cube.displacement, truth[k], rtol=0, atol=4e-6)
        assert cube.attrs["component"] == cube.attrs["positive"] == component


def begun_later(cube: xr.Dataset, rows: slice, date: int) -> xr.Dataset:
    """As `insar_dask.invert` has it of points without pairs at first: 0 at their own first date."""
    values, days = cube.displacement.values.copy(), cube.time.values.astype("datetime64[D]").astype(int)
    values[rows] -= values[rows, date : date + 1]
    values[rows, :date] = np.nan
    zero = np.zeros(len(values), np.int32)
    zero[rows] = days[date] - days[0]
    return cube.assign(displacement=cube.displacement.copy(data=values), zero_day=("point", zero))


def test_points_that_begin_later_do_not_bend_what_the_others_say(two_tracks: Tracks) -> None:
    cubes = [cube.isel(point=np.argsort(cube.easting.values, kind="stable")) for cube in two_tracks(same_days=True)]
    holed = [begun_later(cube, slice(0, 400, 3), 20) for cube in cubes]
    found, whole = east_up(holed, **PLAIN), east_up(cubes, **PLAIN)
    assert found.up.attrs["n_begin_later"] == 268 and "n_begin_later" not in whole.up.attrs
    at = np.flatnonzero(np.isin(whole.up.point_id.values, found.up.point_id.values))
    assert len(at) > 60
    for part, all_of_it in zip(found, whole, strict=True):
        np.testing.assert_allclose(part.displacement, all_of_it.displacement.isel(point=at), rtol=0, atol=6e-6)
    counted = found.up.n_ascending + found.up.n_descending
    assert int(counted.sum()) <= 800 - 268
    alone = east_up([cube.isel(point=cube.zero_day.values == 0).drop_vars("zero_day") for cube in holed], **PLAIN)
    same(found, alone)
    with pytest.raises(CubeError, match=r"no cell holds .* 800 points have none, .* fill='model'"):
        east_up([begun_later(cube, slice(None), 20) for cube in cubes])


def test_errors_are_those_of_the_covariance(two_tracks: Tracks) -> None:
    drawn = (two_tracks(n_points=2000, n_dates=20, same_days=True, missing=0.2, noise=noise) for noise in (0.0, 2.0))
    truth, found = (
        east_up([c.assign_coords(sigma=("point", np.full(2000, 2.0))) for c in cubes], sigma="sigma", **PLAIN)
        for cubes in drawn
    )
    errors = [a.displacement.values - b.displacement.values for a, b in zip(found, truth, strict=True)]
    ratios = [e / c.displacement_std.values for e, c in zip(errors, found, strict=True)]
    for ratio in ratios:
        assert 0.9 < np.sqrt(np.nanmean(ratio**2)) < 1.1
    assert found.up.displacement_std.attrs["units"] == "mm"
    predicted = np.nanmean(found.up.correlation.values)
    assert np.nanmean(ratios[0] * ratios[1]) == pytest.approx(predicted, abs=0.05)


def test_a_heavy_point_counts_as_many_light_ones(two_tracks: Tracks) -> None:
    cubes = two_tracks(n_points=60, n_dates=20, noise=2.0)
    sigma = np.where(np.arange(60) % 3 == 0, 0.5, 1.0)
    weighted = [c.assign_coords(sigma=("point", sigma)) for c in cubes]
    copies = np.repeat(np.arange(60), np.where(sigma == 0.5, 4, 1))
    repeated = [c.isel(point=copies) for c in cubes]
    heavy, many = east_up(weighted, sigma="sigma"), east_up(repeated)
    for name in ("displacement", "displacement_std", "correlation"):
        np.testing.assert_allclose(heavy.up[name], many.up[name], rtol=1e-5, atol=1e-7)


def test_order_of_tracks_and_points_and_chunks_change_no_bit(two_tracks: Tracks) -> None:
    cubes = two_tracks(noise=2.0, missing=0.1)
    found = east_up(cubes)
    mixed = [c.isel(point=np.random.default_rng(k).permutation(c.sizes["point"])) for k, c in enumerate(cubes[::-1])]
    same(found, east_up(mixed))
    same(found, east_up([c.chunk(point=chunk) for c, chunk in zip(cubes, (37, 1000), strict=True)]))
    halves = [c.isel(point=half) for c in cubes for half in (slice(0, 111), slice(111, None))]
    same(found, east_up(halves))


def test_a_cell_seen_from_one_side_has_no_values(two_tracks: Tracks) -> None:
    up, down = two_tracks(n_points=60, n_dates=20)
    dropped, kept = east_up([up, down]), east_up([up, down], one_track="nan")
    lonely = (kept.up.n_ascending.values == 0) | (kept.up.n_descending.values == 0)
    assert lonely.any() and np.isnan(kept.up.displacement.values[lonely]).all()
    meanings = kept.up.reason.attrs["flag_meanings"].split()
    assert {meanings[code] for code in kept.up.reason.values[lonely]} == {"one_way_of_looking"}
    assert kept.up.attrs["n_one_way_of_looking"] == lonely.sum()
    same(EastUp(*(c.isel(point=np.flatnonzero(~lonely)) for c in kept)), dropped)


def test_a_date_that_one_side_lacks_is_missing(two_tracks: Tracks) -> None:
    up, down = two_tracks(n_points=40, n_dates=30, same_days=True)
    gap = up.displacement.values.copy()
    gap[:, 10:13] = np.nan
    cubes = [up.assign(displacement=up.displacement.copy(data=gap)), down]
    found = east_up(cubes, how="previous", max_distance=6, **PLAIN)
    assert np.isnan(found.east.displacement.values).all(axis=0).tolist() == [t in (11, 12) for t in range(30)]


def test_looks_that_are_alike_are_refused(two_tracks: Tracks) -> None:
    up, down = two_tracks(n_points=40, n_dates=20)
    steep = [
        c.assign_coords(
            los_east=c.los_east * 0 + side, los_north=c.los_north * 0, los_up=c.los_up * 0 + np.sqrt(1 - side**2)
        )
        for c, side in ((up, -0.05), (down, 0.05))
    ]
    found = east_up(steep)
    meanings = found.up.reason.attrs["flag_meanings"].split()
    assert {meanings[code] for code in found.up.reason.values} == {"ill_conditioned"}
    alike = east_up(steep, max_condition=1e6)
    assert {meanings[code] for code in alike.up.reason.values} == {"looks_too_alike"}
    solved = east_up(steep, max_condition=1e6, min_angle=0)
    assert np.isfinite(solved.up.displacement).all()
    # two single looks that are d apart have the condition number cot²(d/2)
    single = (solved.up.n_ascending == 1) & (solved.up.n_descending == 1)
    np.testing.assert_allclose(
        solved.up.condition[single], 1 / np.tan(np.radians(solved.up.angle[single]) / 2) ** 2, rtol=1e-4
    )


def test_each_point_is_looked_at_by_its_own_incidence_and_the_heading_of_the_track(two_tracks: Tracks) -> None:
    given, by_track = [], []
    for cube, (incidence, heading) in zip(two_tracks(n_points=30, n_dates=20), LOOKS.values(), strict=True):
        angles = ("point", np.linspace(incidence - 8, incidence + 8, 30))
        cube = cube.drop_vars(["los_east", "los_north", "los_up"]).assign_coords(incidence_angle=angles)
        given.append(cube.assign_coords(track_angle=("point", np.full(30, heading))))
        by_track.append(cube.assign_attrs(heading=heading, incidence_angle=incidence))
    same(east_up(given, **PLAIN), east_up(by_track, **PLAIN))


def test_days_may_be_written_in_full_or_without_dashes(two_tracks: Tracks) -> None:
    cubes = two_tracks(n_points=30, n_dates=20)
    day = str(cubes[0].time.values[4])[:10]
    same(*(east_up(cubes, start=start, **PLAIN) for start in (day, day.replace("-", ""))))


def test_motion_to_the_north_is_told_and_can_be_taken_off(two_tracks: Tracks) -> None:
    cubes = two_tracks(north=15.0, same_days=True)
    still = two_tracks(north=0.0, same_days=True)
    truth, biased, freed = east_up(still, **PLAIN), east_up(cubes, **PLAIN), east_up(cubes, north=15.0, **PLAIN)
    years = years_since(truth.up.time.values)
    for component in ("east", "up"):
        a, b, c = (getattr(x, component) for x in (truth, biased, freed))
        np.testing.assert_allclose(c.displacement, a.displacement, atol=2e-5)
        leak = 15.0 * np.multiply.outer(b[f"{component}_per_north"].values, years)
        np.testing.assert_allclose(b.displacement - a.displacement, leak, atol=2e-5)
    said = [c.assign_coords(rate=("point", np.full(c.sizes["point"], 15.0))) for c in cubes]
    same(freed, east_up(said, north="rate", **PLAIN))


@settings(max_examples=40)
@given(st.sampled_from(["nearest", "linear", "previous"]), st.integers(0, 10_000), st.integers(3, 40))
def test_values_are_those_of_the_rule_in_words(how: str, seed: int, limit: int) -> None:
    """Both tracks see the same ground on different days: an oracle of one point, date by date."""
    chance = np.random.default_rng(seed)
    days = [np.append(0, np.cumsum(chance.choice([6, 12, 18, 24], 9))) for _ in range(2)]
    cubes = _one_point(days, [chance.normal(0, 10, 10) for _ in range(2)])
    found = east_up(cubes, how=how, max_distance=limit, every="6D", **PLAIN)
    start = cubes[0].time.values[0]
    for t, date in enumerate(((found.up.time.values - start) / np.timedelta64(1, "D")).tolist()):
        seen = [_by_hand(d, c.displacement.values[0], date, how, limit) for d, c in zip(days, cubes, strict=True)]
        looks = np.stack([look("ascending"), look("descending")])[:, [0, 2]]
        wanted = np.linalg.solve(looks, seen)
        got = [c.displacement.values[0, t] for c in found]
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


def _one_point(days: list[np.ndarray], values: list[np.ndarray]) -> list[xr.Dataset]:
    from tests.geometry.conftest import track_of

    place, start = np.array([[4_500_050.0, 1_700_050.0]]), np.datetime64("2020-01-03", "ns")
    return [
        track_of(way, place, start + d * np.timedelta64(1, "D"), v[None])
        for way, d, v in zip(("ascending", "descending"), days, values, strict=True)
    ]


def _by_hand(days: np.ndarray, values: np.ndarray, date: float, how: str, limit: float) -> float:
    if date in days:
        return float(values[days == date][0])
    before, after = days[days < date], days[days > date]
    past = (float(values[days < date][-1]), date - before[-1]) if before.size else (np.nan, np.inf)
    future = (float(values[days > date][0]), after[0] - date) if after.size else (np.nan, np.inf)
    past, future = ((v, d) if d <= limit else (np.nan, np.inf) for v, d in (past, future))
    if how == "previous":
        return past[0]
    if how == "linear":
        (v, d), (w, e) = past, future
        return (v * e + w * d) / (d + e) if np.isfinite(d + e) else np.nan
    if past[1] == future[1]:
        return (past[0] + future[0]) / 2
    return past[0] if past[1] < future[1] else future[0]


def test_anchored_series_begin_where_their_model_is_zero(two_tracks: Tracks) -> None:
    cubes = two_tracks(noise=1.0, missing=0.3)
    free, first, model = (east_up(cubes, anchor=anchor) for anchor in ("none", "first", "model"))
    values = free.up.displacement.values.astype(np.float64)
    valid = np.isfinite(values)
    np.testing.assert_allclose(
        first.up.displacement, values - values[np.arange(len(values)), valid.argmax(axis=1)][:, None], atol=1e-4
    )
    t = years_since(free.up.time.values)
    design = np.stack([t, t**2, t**3, np.cos(2 * np.pi * t) - 1, np.sin(2 * np.pi * t), np.ones_like(t)], axis=1)
    for row, good, wanted in zip(values, valid, model.up.displacement.values, strict=True):
        constant = np.linalg.lstsq(design[good], row[good], rcond=None)[0][-1]
        np.testing.assert_allclose(wanted, row - constant, atol=2e-4)


def test_a_series_too_short_for_a_model_says_so(two_tracks: Tracks) -> None:
    found = east_up(two_tracks(n_points=30, n_dates=5))
    assert np.isnan(found.up.displacement).all()
    assert {found.up.reason.attrs["flag_meanings"].split()[code] for code in found.up.reason.values} == {
        "too_few_dates"
    }


def test_what_has_seen_the_future_says_so(two_tracks: Tracks) -> None:
    cubes = two_tracks(n_points=30)
    assert east_up(cubes).up.attrs["sees_future"] == -1
    assert east_up(cubes, anchor="first", how="previous").up.attrs["sees_future"] == 0
    assert east_up(cubes, anchor="first").up.attrs["sees_future"] == 6
    assert east_up([c.assign_attrs(sees_future=9) for c in cubes], **PLAIN).up.attrs["sees_future"] == 15
    past = [c.isel(time=c.time.values <= np.datetime64("2020-10-01")) for c in cubes]
    now, later = (east_up(c, anchor="first", how="previous").up.displacement for c in (past, cubes))
    np.testing.assert_array_equal(now, later.isel(time=slice(0, now.sizes["time"])))


def test_a_gap_is_looked_over_no_farther_than_the_dates_ask() -> None:
    days = np.arange(0, 100, 12)
    values = np.arange(9.0)
    values[3:5] = np.nan
    cubes = _one_point([days, np.arange(0, 100, 6)], [values, np.zeros(17)])
    found = east_up(cubes, **PLAIN)
    dates = place_dates(cubes[0].time.values, found.up.time.values)
    assert days_ahead(dates, "nearest", 90) == 6
    # day 42: the last valid value is 18 days back, the next one, on day 60, is equally near but not yet known
    at = int(np.flatnonzero(found.up.time.values == np.datetime64("2020-02-14"))[0])
    wanted = np.linalg.solve(np.stack([look("ascending"), look("descending")])[:, [0, 2]], [2.0, 0.0])
    np.testing.assert_allclose([c.displacement.values[0, at] for c in found], wanted, rtol=1e-5)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("one", "east and up take an ascending and a descending track; 1 cube came: track 1"),
        ("one way", "all look from the west"),
        ("crs", "in ETRS89.*LAEA.*read one of them again with crs=3035"),
        ("apart", "no cell holds points of both"),
        ("other years", "no date is in both ways of looking"),
        ("no looks", "nothing tells where the points of track 117 look"),
        ("long looks", "is no unit vector"),
        ("up", "component 'up', wanted lines of sight"),
        ("away", "wanted 'towards the satellite'"),
        ("no error", "of 1 of 30 points is 0 or missing"),
        ("no such", "sigma='rmse' is no variable over point"),
        ("wild", "a displacement is 1e\\+20 mm"),
        ("extent", "holds nothing"),
        ("no north", "'north' of 1 of 30 points is missing, so nothing tells how they move"),
        ("no day", "start: '2020-13-01' is no date"),
    ],
)
def test_faults_are_named(fault: str, message: str, two_tracks: Tracks) -> None:
    up, down = two_tracks(n_points=30, n_dates=20)
    options = {}
    match fault:
        case "one":
            cubes = [up]
        case "one way":
            cubes = [up, up]
        case "crs":
            cubes = [up, down.assign_coords(crs=((), 0, {"crs_wkt": CRS(32633).to_wkt()}))]
        case "apart":
            cubes = [up, down.assign_coords(easting=down.easting + 5e4)]
        case "other years":
            cubes = [up, down.assign_coords(time=down.time.values + np.timedelta64(3000, "D"))]
        case "no looks":
            cubes = [up.drop_vars("los_up"), down]
        case "long looks":
            cubes = [up.assign_coords(los_up=up.los_up * 2), down]
        case "up":
            cubes = [up.assign_attrs(component="up"), down]
        case "away":
            cubes = [up.assign_attrs(positive="away from the satellite"), down]
        case "no error":
            cubes = [c.assign_coords(rmse=("point", np.arange(30.0))) for c in (up, down)]
            options = {"sigma": "rmse"}
        case "no such":
            cubes, options = [up, down], {"sigma": "rmse"}
        case "wild":
            wild = up.displacement.values.copy()
            wild[:, 0] = 1e20
            cubes = [up.assign(displacement=up.displacement.copy(data=wild)), down]
        case "no north":
            cubes = [c.assign_coords(north=("point", np.where(np.arange(30) == 7, np.nan, 0.0))) for c in (up, down)]
            options = {"north": "north"}
        case "no day":
            cubes, options = [up, down], {"start": "2020-13-01"}
        case "extent":
            cubes, options = [up, down], {"extent": (1, 0, 0, 1)}
    with pytest.raises(CubeError, match=message):
        east_up(cubes, **options)


@pytest.mark.parametrize(
    "option", [{"how": "cubic"}, {"every": "1M"}, {"cell": 0}, {"anchor": "last"}, {"north": np.nan}]
)
def test_options_are_looked_at(option: dict, two_tracks: Tracks) -> None:
    with pytest.raises(ValueError, match=next(iter(option))):
        east_up(two_tracks(n_points=30, n_dates=20), **option)
