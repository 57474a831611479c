"""The public Sydney stack (ENVISAT, 17 interferograms) against the results of the programme that it was made with.

That programme's displacement grows with the range; ours is positive towards the satellite, so theirs is minus ours.
"""

import tarfile
from io import BytesIO

import numpy as np
import pytest
import xarray as xr
from numcodecs import Zstd

import insar_dask as insar
from insar_dask.inversion.lines import line_fit
from insar_dask.inversion.pairs import mm_per_radian, timeline
from insar_dask.inversion.reference import refer_pairs
from insar_dask.inversion.surfaces import remove_surfaces
from insar_dask.inversion.velocity_network import spanning_tree
from insar_dask.readers.grid import to_grid

DECLARED = {"track": "409", "orbit_direction": "descending"}
SHAPE = 72, 47
REFERENCE = 58, 38


@pytest.fixture(scope="module")
def sydney(real_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sydney")
    (packed,) = (real_data / "sbas").glob("*.tar.zst")
    with tarfile.open(fileobj=BytesIO(Zstd().decode(packed.read_bytes()))) as archive:
        archive.extractall(folder, filter="data")
    return folder / "small_test"


@pytest.fixture(scope="module")
def pairs(sydney):
    return insar.read_pairs(sydney / "tif", **DECLARED).compute()


def raster(pairs, values):
    return to_grid(pairs.drop_vars(["phase"], errors="ignore").assign(v=(("point", "pair"), values)))["v"].values


def reference_files(sydney, pattern):
    return np.stack([np.genfromtxt(file, delimiter=",") for file in sorted(sydney.glob(pattern))], axis=-1)


def missing_shares(pairs):
    missing = SHAPE[0] * SHAPE[1] - (~np.isnan(pairs["phase"].values)).sum(axis=0)
    return missing / (SHAPE[0] * SHAPE[1])


@pytest.fixture(scope="module")
def corrected(pairs):
    return refer_pairs(remove_surfaces(pairs, stable=np.ones(pairs.sizes["point"]), how="pair"), *REFERENCE)


def test_three_forms_of_the_files_are_the_same_pairs(sydney, pairs):
    roi_pac = insar.read_pairs(sydney / "roipac_obs" / "*.unw", nodata=0.0, **DECLARED).compute()
    image, dem = sydney / "gamma_obs" / "20060619_slc.par", sydney / "gamma_obs" / "20060619_utm_dem.par"
    gamma = insar.read_pairs(
        sydney / "gamma_obs" / "*_utm.unw", nodata=0.0, gamma_image=image, gamma_dem=dem, track="409",
        coherence=sydney / "coherence" / "*.cc",
    ).compute()  # fmt: skip
    for other in (roi_pac, gamma):
        np.testing.assert_array_equal(raster(other, other["phase"].values), raster(pairs, pairs["phase"].values))
        np.testing.assert_array_equal(other["first"].values, pairs["first"].values)
        assert other.attrs["phase_sign"] == pairs.attrs["phase_sign"] == 1
    assert roi_pac.attrs["wavelength"] == pairs.attrs["wavelength"] == 0.0562356424
    assert gamma.attrs["pass"] == "descending" and np.isfinite(gamma["bperp"]).all()
    assert float(gamma["coherence"].min()) >= 0 and float(gamma["coherence"].max()) <= 1


def test_phase_becomes_the_reference_millimetres(sydney, pairs):
    ours = -raster(pairs, pairs["phase"].values * mm_per_radian(pairs))
    theirs = reference_files(sydney, "prepifg_output/ifg_mm_*")
    np.testing.assert_allclose(ours, np.where(theirs == 0, np.nan, theirs), rtol=6e-5, atol=1e-5)


@pytest.mark.parametrize("how", ["pair", "tree"])
def test_ramps_are_those_of_the_reference(sydney, pairs, how):
    all_ground = np.ones(pairs.sizes["point"])
    if how == "pair":
        flat = remove_surfaces(pairs, stable=all_ground, how="pair")
        number = 1
    else:
        line = timeline(pairs)
        tree = spanning_tree(line.first, line.second, missing_shares(pairs))
        flat, number = remove_surfaces(pairs.isel(pair=tree), stable=all_ground, how="network"), 2
        pairs = pairs.isel(pair=tree)
    theirs = reference_files(sydney, f"orbital_error_correction/*method{number}*")
    if how == "tree":
        theirs = theirs[..., tree]
    ours = -raster(flat, flat["phase"].values * mm_per_radian(pairs))
    difference = ours - np.where(theirs == 0, np.nan, theirs)
    spread = np.nanmax(difference, axis=(0, 1)) - np.nanmin(difference, axis=(0, 1))  # constants cancel later
    assert spread.max() < 2e-3


def test_referred_phase_is_that_of_the_reference(sydney, corrected):
    theirs = reference_files(sydney, "ref_phase_est/*method2geo*")
    ours = -raster(corrected, corrected["phase"].values * mm_per_radian(corrected))
    assert np.nanmax(abs(ours - theirs)) < 6e-4


@pytest.mark.parametrize(("method", "number"), [("svd", 2), ("laplacian", 1)])
def test_series_are_those_of_the_reference(sydney, corrected, method, number):
    covariance = np.loadtxt(sydney / "vcm" / "vcmt.csv", delimiter=",").tolist() if method == "laplacian" else None
    shares = missing_shares(corrected).tolist()
    cube = insar.invert(corrected, method, network="tree", tree_weights=shares, covariance=covariance)
    theirs = np.loadtxt(sydney / "time_series" / f"ts_cum_interp0_method{number}.csv")
    theirs = theirs.reshape((*SHAPE, 12), order="F")
    ours = -to_grid(insar.check_cube(cube))["displacement"].values[..., 1:]
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    assert np.nanmax(abs(ours - theirs)) <= 0.002


def test_least_squares_of_all_pairs_is_lapack_s(corrected):
    cube = insar.invert(corrected, min_pairs=1)
    by_velocity = insar.invert(corrected, "svd", min_pairs=1)
    line = timeline(corrected)
    values = corrected["phase"].values.astype(np.float64) * mm_per_radian(corrected)
    design = np.zeros((17, 13))
    design[np.arange(17), line.first], design[np.arange(17), line.second] = -1, 1
    whole = np.flatnonzero(~np.isnan(values).any(axis=1))
    expected = np.linalg.lstsq(design[:, 1:], values[whole].T, rcond=None)[0].T
    np.testing.assert_allclose(cube["displacement"].values[whole, 1:], expected, atol=4e-6)
    np.testing.assert_allclose(by_velocity["displacement"].values[whole, 1:], expected, atol=4e-6)
    assert (cube["rank"].values[whole] == 12).all()


def test_straight_lines_are_those_of_the_reference(sydney, corrected):
    sums = np.load(sydney / "linrate" / "tscuml_0.npy")
    series = np.concatenate([np.zeros((*SHAPE, 1)), sums], axis=-1)
    series[np.isnan(sums).all(axis=-1)] = np.nan
    grid = xr.Dataset({"displacement": (("y", "x", "time"), series)}, {"time": timeline(corrected).dates})
    found = line_fit(grid)
    for ours, theirs in (("velocity", "rate"), ("velocity_std", "error"), ("intercept", "intercept")):
        reference = np.load(sydney / "linrate" / f"linear_{theirs}.npy")
        known = ~np.isnan(reference)
        np.testing.assert_allclose(found[ours].values[known], reference[known], rtol=2e-6, atol=1e-6, err_msg=ours)
    samples = np.load(sydney / "linrate" / "linear_samples.npy")
    known = ~np.isnan(samples)
    np.testing.assert_array_equal(found["n_dates"].values[known], samples[known])


def test_stack_becomes_a_stored_series_shard_by_shard(sydney, pairs, tmp_path):
    lazy = insar.read_pairs(sydney / "tif", **DECLARED)
    insar.save(lazy, tmp_path / "s.zarr", "sydney/pairs", shard_points=512, quiet=True)
    row, col = REFERENCE
    options = {"method": "svd", "network": "tree", "tree_weights": missing_shares(pairs).tolist()}
    insar.invert_stored(tmp_path / "s.zarr", "sydney", quiet=True, reference=(row, col), **options)
    stored = insar.open_cube(tmp_path / "s.zarr", "sydney/raw")
    expected = insar.invert(refer_pairs(pairs, row, col), **options)
    np.testing.assert_array_equal(stored["displacement"].values, expected["displacement"].values)
    assert stored.attrs["source_blake3"] == pairs.attrs["source_blake3"]
