import warnings

import numpy as np
import pytest
import xarray as xr

import insar_dask as insar
from insar_dask.cube import CubeError
from insar_dask.inversion.choosing import choose_pairs, n_components, redundancies, reject_pairs
from insar_dask.inversion.closure import correct_closure
from insar_dask.inversion.delays import correct_delays
from insar_dask.inversion.pairs import timeline
from insar_dask.inversion.reference import pixel_at, refer_pairs
from insar_dask.inversion.residuals import pair_residuals
from insar_dask.inversion.surfaces import remove_surfaces, solve_surfaces, surface_of, surface_sums
from insar_dask.synthetic import pair_cube


def velocity_error(pairs, stable=None):
    """RMS of the error of straight lines through the series [mm/yr]."""
    cube = insar.invert(pairs)
    line = timeline(pairs)
    found = np.polynomial.polynomial.polyfit(line.years, cube["displacement"].values.T, 1)[1]
    error = found - pairs["true_velocity"].values
    error -= np.median(error)  # a common velocity is the reference's
    return np.sqrt(np.mean(error[slice(None) if stable is None else stable] ** 2))


def bowl(**options):
    return pair_cube(
        30, 30, 40,
        **{"velocity": 40.0, "season_size": 0.0, "height_error": 0.0, "atmosphere": 2.0, "decorrelation": 1.0,
           **options},
    )  # fmt: skip


def half_missing(pairs, seed=0):
    """A third of the pairs lose half of the scene."""
    rng = np.random.default_rng(seed)
    pairs = pairs.copy(deep=True)
    for pair in np.flatnonzero(rng.random(pairs.sizes["pair"]) < 0.3):
        side = pairs["col"].values < 15 if rng.random() < 0.5 else pairs["row"].values < 15
        pairs["phase"].values[side, pair] = np.nan
    return pairs


def test_masked_ramps_do_as_well_as_the_true_ones_and_unmasked_ones_warn():
    without = half_missing(bowl())
    pairs = half_missing(bowl(ramps=6.0))
    stable = abs(pairs["true_velocity"].values) < 5
    masked = velocity_error(remove_surfaces(pairs, stable=stable))
    with pytest.warns(UserWarning, match="fitted to all ground"):
        unmasked = velocity_error(remove_surfaces(pairs))
    assert masked <= 1.05 * velocity_error(without)
    assert unmasked > 1.5 * masked


def test_network_ramps_close_every_loop_and_pairs_ramps_do_not():
    pairs = half_missing(bowl(ramps=6.0))
    surface, line = surface_of(pairs, "quadratic"), timeline(pairs)
    sums = surface_sums(pairs, surface, abs(pairs["true_velocity"].values) < 5)
    number = {ends: k for k, ends in enumerate(zip(line.first.tolist(), line.second.tolist(), strict=True))}
    loop = [number[0, 1], number[1, 2], number[0, 2]]
    by_date, by_pair = (solve_surfaces([sums], line, how) for how in ("network", "pair"))
    np.testing.assert_allclose(by_date[loop[0]] + by_date[loop[1]] - by_date[loop[2]], 0, atol=1e-12)
    assert abs(by_pair[loop[0]] + by_pair[loop[1]] - by_pair[loop[2]]).max() > 1e-3


def test_stack_without_ramps_is_hardly_changed():
    pairs = bowl(atmosphere=0.5)
    stable = abs(pairs["true_velocity"].values) < 2
    assert abs(velocity_error(remove_surfaces(pairs, stable=stable), stable) - velocity_error(pairs, stable)) < 0.1


def test_sums_of_shards_are_those_of_the_whole():
    pairs = bowl(ramps=6.0)
    surface, line = surface_of(pairs, "plane"), timeline(pairs)
    whole = solve_surfaces([surface_sums(pairs, surface)], line)
    parts = [surface_sums(pairs.isel(point=slice(k, k + 128)), surface) for k in range(0, 900, 128)]
    np.testing.assert_allclose(solve_surfaces(parts, line), whole, rtol=1e-9, atol=1e-12)
    with pytest.raises(CubeError, match="stable points"):
        remove_surfaces(pairs, stable=np.zeros(900, bool))
    with pytest.raises(ValueError, match="how is 'pairs'"):
        remove_surfaces(pairs, stable=np.ones(900, bool), how="pairs")


def test_stratified_delays_are_no_season():
    pairs = bowl(stratified=10.0, velocity=10.0)
    stable = abs(pairs["true_velocity"].values) < 2
    corrected = remove_surfaces(pairs, "height", stable=stable)

    def season_error(some):
        cube, line = insar.invert(some), timeline(some)
        turn = 2 * np.pi * line.years
        design = np.column_stack([np.ones_like(turn), line.years, np.cos(turn), np.sin(turn)])
        found = np.linalg.lstsq(design, cube["displacement"].values.T, rcond=None)[0]
        return np.sqrt(np.mean(np.hypot(found[2], found[3])[stable] ** 2))

    assert season_error(pairs) > 4 and season_error(corrected) <= 1.2
    assert velocity_error(corrected) <= velocity_error(pairs)


def test_delays_of_a_model_are_taken_off_and_bad_ones_warn():
    pairs = bowl(atmosphere=0.0, decorrelation=0.1)
    line, rng = timeline(pairs), np.random.default_rng(0)
    x, y = np.linspace(499e3, 502e3, 7), np.linspace(3.698e6, 3.7005e6, 6)
    field = rng.normal(0, 8, (40, 6, 7))
    zenith = xr.DataArray(
        field, {"date": line.dates, "y": y, "x": x}, ("date", "y", "x"), attrs={"direction": "zenith"}
    )
    at = zenith.interp(x=xr.DataArray(pairs["easting"].values, dims="point"),
                       y=xr.DataArray(pairs["northing"].values, dims="point")).values  # fmt: skip
    slant = at / np.cos(np.radians(38))
    per_mm = 4 * np.pi / (1000 * pairs.attrs["wavelength"])
    delayed = pairs["phase"].values + (slant[line.second] - slant[line.first]).T * per_mm
    dirty = pairs.assign(phase=(("point", "pair"), delayed.astype("f4")))
    np.testing.assert_allclose(correct_delays(dirty, zenith)["phase"], pairs["phase"], atol=1e-4)
    los = xr.DataArray(slant, {"date": line.dates}, ("date", "point"), attrs={"direction": "los"})
    np.testing.assert_allclose(correct_delays(dirty, los)["phase"], pairs["phase"], atol=1e-4)
    with pytest.warns(UserWarning, match="scatter"):
        correct_delays(dirty, (-los).assign_attrs(direction="los"))
    with pytest.raises(CubeError, match="allow_missing=True"):
        correct_delays(dirty, los.isel(date=slice(1, None)))
    some = correct_delays(dirty, los.isel(date=slice(1, None)), allow_missing=True)
    assert some.attrs["n_without_delay"] == int((line.first == 0).sum())
    with pytest.raises(CubeError, match="direction"):
        correct_delays(dirty, los.assign_attrs(direction=None))
    with pytest.raises(CubeError, match="1 points have no delay at 2 dates"):
        correct_delays(dirty, los.where((los["point"] != 7) | (los["date"] > line.dates[1])).assign_attrs(los.attrs))
    with pytest.raises(CubeError, match="outside the grid"):
        correct_delays(dirty, zenith.isel(x=slice(3, None)))


def test_cycles_are_corrected_and_open_loops_masked():
    pairs = bowl(atmosphere=1.0, unwrapping=0.03)
    fixed = correct_closure(pairs.chunk(point=200)).compute()
    right = pairs["phase"].values - 2 * np.pi * pairs["true_cycles"].values
    known = ~np.isnan(fixed["phase"].values)
    assert np.mean((abs(fixed["phase"].values - right) < 1e-3).all(axis=1)) > 0.98
    assert (fixed["unwrap_flag"].values == ~known.all(axis=1)).all()
    assert fixed.attrs["n_unchecked"] < 3 and fixed.attrs["n_loops"] > 50
    open_by_nature = pairs.assign(phase=pairs["phase"] + 0.6)
    with pytest.warns(UserWarning, match="soil or snow"):
        correct_closure(open_by_nature)
    with pytest.raises(CubeError, match="no three"):
        correct_closure(pairs.isel(pair=[0, 1]))


def test_reference_area_is_zero_in_its_median_and_must_have_data():
    pairs = bowl()
    referred = refer_pairs(pairs, 4, 5, window=3)
    area = (abs(pairs["row"] - 4) <= 1) & (abs(pairs["col"] - 5) <= 1)
    np.testing.assert_allclose(np.median(referred["phase"].values[area.values], axis=0), 0, atol=1e-5)
    assert "row 4, column 5" in referred.attrs["reference"]
    holed = pairs.copy(deep=True)
    holed["phase"].values[area.values, 17] = np.nan
    with pytest.raises(CubeError, match=timeline(pairs).name(17)):
        refer_pairs(holed, 4, 5)
    with pytest.raises(CubeError, match="row 400, column 5, lies outside the raster of 30 x 30 pixels"):
        refer_pairs(pairs, 400, 5)
    with pytest.raises(CubeError, match="has data in 36% of its pixels"):
        refer_pairs(pairs, 0, 0)


def test_pairs_that_nothing_can_contradict_do_not_make_the_others_look_bad():
    pairs = pair_cube(5, 5, 31, longest=60)
    line = timeline(pairs)
    steps = line.second - line.first
    chain = [k for k in range(pairs.sizes["pair"]) if steps[k] == 1 or (steps[k] == 2 and line.first[k] in (3, 9, 15))]
    sparse = pairs.isel(pair=chain)
    line = timeline(sparse)
    left = redundancies(line)
    in_loops = left > 1e-6
    assert in_loops.sum() == 9 and abs(left[in_loops] - 1 / 3).max() < 1e-9  # three pairs share an error alike
    assert left.sum() == pytest.approx(len(chain) - len(line.dates) + 1)
    assert not reject_pairs(sparse, pair_residuals(sparse)).reasons
    quiet = np.where(in_loops, 1e-5, 0.0)
    quiet[np.flatnonzero(in_loops)[0]] = 9e-4  # rounding, where there is no noise
    assert not reject_pairs(sparse, quiet).reasons
    bad = np.where(in_loops, 1.0, 50.0)
    bad[np.flatnonzero(in_loops)[0]] = 4.0
    choice = reject_pairs(sparse, bad)
    assert [*choice.reasons, *choice.held] == [line.name(int(np.flatnonzero(in_loops)[0]))]
    tree = pairs.isel(pair=np.flatnonzero(steps == 1))
    assert not reject_pairs(tree, pair_residuals(tree)).reasons


def test_place_in_degrees_is_a_pixel():
    pairs = bowl()
    assert pixel_at(pairs, 81.0, 33.4395) == (0, 0)  # the corner lies on the meridian of its zone
    with pytest.raises(CubeError, match=r"lies [\d,]+ m from the nearest pixel with data, row 0, column \d+: are"):
        pixel_at(pairs, 33.4395, 81.0)


def test_pairs_are_chosen_without_breaking_the_network():
    pairs = pair_cube(3, 3, 40, longest=80, lost=(100, 150))
    line = timeline(pairs)
    choice = choose_pairs(pairs, max_days=50, max_bperp=1e9)
    length = line.days[line.second] - line.days[line.first]
    assert n_components(line, choice.kept) == 1
    assert (length[choice.kept] > 50).sum() == len(choice.held) == 1
    assert len(choice.reasons) == (length > 50).sum() - 1
    quality = np.linspace(0, 1, len(length))
    best = choose_pairs(pairs, max_bperp=None, coherence=quality, min_coherence=0.0)
    (held,) = best.held
    bridges = [
        k for k in np.flatnonzero(length > 50) if line.days[line.first[k]] < 100 < 150 < line.days[line.second[k]]
    ]
    assert held == line.name(max(bridges, key=lambda k: quality[k]))
    bad = np.ones(len(length))
    bad[[3, 8]] = 9.0
    assert set(reject_pairs(pairs, bad).reasons) == {line.name(3), line.name(8)}
    bad[5] = np.nan  # a pair without any value
    rejected = reject_pairs(pairs, bad).reasons
    assert set(rejected) == {line.name(k) for k in (3, 5, 8)} and rejected[line.name(5)] == "no values"
    with pytest.raises(CubeError, match=r"no pair is left of .* the shortest, 2018-\S+, has 12 days"):
        choose_pairs(pairs, max_days=10, max_bperp=None)
    with pytest.raises(ValueError, match=r"coherence has shape \(1,\)"):
        choose_pairs(pairs, max_bperp=None, coherence=[0.5])
    with pytest.raises(CubeError, match="max_bperp=None"):
        choose_pairs(pairs.drop_vars("bperp"))
    lost = pairs["bperp"].copy()
    lost[3] = np.nan
    ends = [str(pairs[end].values[3])[:10] for end in ("first", "second")]
    with pytest.raises(CubeError, match=f"1 of {lost.size} pairs have no baseline, such as {'/'.join(ends)}: read"):
        choose_pairs(pairs.assign_coords(bperp=lost))


def test_nothing_here_warns_unasked():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pairs = bowl(missing=0.1)
        insar.invert(remove_surfaces(correct_closure(pairs), stable=np.ones(900, bool)))
