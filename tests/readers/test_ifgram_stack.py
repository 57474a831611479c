import h5py
import numpy as np
import pytest

import insar_dask as insar
from insar_dask.cube import CubeError
from insar_dask.inversion.pairs import check_pairs
from insar_dask.readers.grid import to_grid
from tests.readers.ifgram_layout import DATES, PAIRS, radians, write_stack
from tests.readers.mintpy_layout import write_series


def on_grid(cube):
    return np.moveaxis(to_grid(cube)["phase"].values, -1, 0)


def in_order(pairs):
    return sorted(range(len(pairs)), key=lambda k: pairs[k])


def test_stack_comes_as_it_was_written(tmp_path):
    pairs = check_pairs(insar.read_ifgram_stack(write_stack(tmp_path / "ifgramStack.h5")))
    assert pairs["phase"].chunks is not None
    expected = radians()[in_order(PAIRS)]
    np.testing.assert_array_equal(on_grid(pairs), np.where(expected == 0, np.nan, expected))
    np.testing.assert_array_equal(pairs["first"].values[:2], np.array(["2020-01-03"] * 2, "datetime64[ns]"))
    assert pairs["bperp"].values.tolist() == [10.0 * (b - a) for a, b in sorted(PAIRS)]
    assert pairs.attrs["phase_sign"] == 1 and pairs.attrs["wavelength"] == 0.2384035
    assert float(pairs["coherence"].min()) == pytest.approx(0.7)
    assert insar.check_cube(insar.invert(pairs, min_pairs=1)).sizes["time"] == len(DATES)


def test_dropped_pairs_are_left_out_unless_asked_for(tmp_path):
    path = write_stack(tmp_path / "ifgramStack.h5", used=[1, 1, 0, 1, 1, 1])
    pairs = insar.read_ifgram_stack(path)
    assert pairs.sizes["pair"] == 5 and pairs.attrs["n_dropped"] == 1
    assert insar.read_ifgram_stack(path, keep_dropped=True).sizes["pair"] == 6
    nothing = write_stack(tmp_path / "none.h5", used=[0] * 6)
    with pytest.raises(CubeError, match="drop all 6 pairs"):
        insar.read_ifgram_stack(nothing)


def test_turned_pair_is_negated_and_counted(tmp_path):
    turned = [*PAIRS[:3], (3, 2), *PAIRS[4:]]
    one = insar.read_ifgram_stack(write_stack(tmp_path / "one.h5"))
    other = insar.read_ifgram_stack(write_stack(tmp_path / "other.h5", turned))
    np.testing.assert_array_equal(on_grid(other), on_grid(one))
    np.testing.assert_array_equal(other["bperp"].values, one["bperp"].values)
    assert (one.attrs["n_turned"], other.attrs["n_turned"]) == (0, 1)


@pytest.mark.parametrize("again", [(0, 1), (1, 0)])
def test_pair_that_comes_twice_is_refused(tmp_path, again):
    with pytest.raises(CubeError, match="2020-01-03/2020-01-15 is there twice"):
        insar.read_ifgram_stack(write_stack(tmp_path / "twice.h5", [*PAIRS, again]))


def test_what_is_no_stack_says_so(tmp_path):
    with pytest.raises(CubeError, match="no stack of interferograms"):
        insar.read_ifgram_stack(write_series(tmp_path / "timeseries.h5"))
    without = write_stack(tmp_path / "w.h5", attributes={"WAVELENGTH": "none"})
    with pytest.raises(CubeError, match="WAVELENGTH"):
        insar.read_ifgram_stack(without)
    cut = write_stack(tmp_path / "cut.h5")
    with h5py.File(cut, "r+") as file:
        kept = file["bperp"][:-1]
        del file["bperp"]
        file["bperp"] = kept
    with pytest.raises(CubeError, match=r"'bperp' has shape \(5,\) for 6 pairs"):
        insar.read_ifgram_stack(cut)
    few = write_stack(tmp_path / "few.h5", drop=("bperp", "coherence"))
    pairs = insar.read_ifgram_stack(few)
    assert np.isnan(pairs["bperp"].values).all() and "coherence" not in pairs
