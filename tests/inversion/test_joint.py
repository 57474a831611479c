import numpy as np
import pytest
import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.inversion.baselines import date_baselines
from insar_dask.inversion.joint import fit_motion
from insar_dask.inversion.pairs import timeline
from insar_dask.synthetic import pair_cube


def found_and_true(pairs, fit, name):
    return fit[name].values - pairs[f"true_{name}"].values


def test_errors_are_as_large_as_they_say():
    pairs = pair_cube(30, 40, 100, missing=0.05)
    fit = fit_motion(pairs, index=pairs["true_season_shape"].values.tolist(), height_error=True)
    for name in ("velocity", "season", "height_error"):
        error = np.sqrt(np.mean(found_and_true(pairs, fit, name) ** 2))
        said = np.sqrt(np.mean(fit[f"{name}_std"].values ** 2))
        assert 0.9 <= said / error <= 1.1, name
    assert float((fit["date_noise"] ** 2).mean() ** 0.5) == pytest.approx(4, rel=0.03)
    assert float((fit["pair_noise"] ** 2).mean() ** 0.5) == pytest.approx(2, rel=0.03)


@pytest.mark.parametrize("sign", [1, -1])
def test_height_error_comes_back_with_its_sign(sign):
    pairs = pair_cube(5, 6, 40, atmosphere=0.05, decorrelation=0.05, height_error=0.0, season_size=0.0)
    per_metre = 1000 / (pairs.attrs["slant_range"] * np.sin(np.radians(38)))
    bperp = sign * pairs["bperp"].values
    phase = pairs["phase"] - (4 * np.pi / (1000 * pairs.attrs["wavelength"])) * per_metre * bperp * 10.0
    fit = fit_motion(pairs.assign(phase=phase.astype("f4")).assign_coords(bperp=("pair", bperp)), height_error=True)
    np.testing.assert_allclose(fit["height_error"].values, 10.0, atol=0.5)


def test_height_error_is_fitted_where_baselines_tell_it():
    poor, rich = pair_cube(3, 3, 40, baseline=40.0), pair_cube(3, 3, 60, baseline=400.0)
    assert "height_error" not in fit_motion(poor) and "height_error" in fit_motion(rich)
    with pytest.raises(CubeError, match="slant_range"):
        fit_motion(poor.assign_attrs(slant_range=None), height_error=True)


def test_chunks_change_no_bit_and_older_stacks_are_what_was_known():
    pairs = pair_cube(5, 6, 40, missing=0.2)
    whole = fit_motion(pairs, annual=True, acceleration=True)
    xr.testing.assert_identical(fit_motion(pairs.chunk(point=7), annual=True, acceleration=True).compute(), whole)
    day = "2018-12-01"
    older = pairs.isel(pair=np.flatnonzero(pairs["second"].values <= np.datetime64(day)))
    xr.testing.assert_identical(fit_motion(pairs, as_of=day), fit_motion(older))
    with pytest.raises(ValueError, match="wanted one for each"):
        fit_motion(pairs, index=[1.0])


def test_baselines_of_dates_are_those_of_the_pairs_and_doubts_are_named():
    pairs = pair_cube(3, 3, 40)
    found = date_baselines(pairs)
    np.testing.assert_allclose(found.values, pairs["true_bperp"].values, atol=1e-9)
    assert found.attrs["doubtful"] == []
    bperp = pairs["bperp"].values.copy()
    bperp[20] += 60
    wrong = date_baselines(pairs.assign_coords(bperp=("pair", bperp)))
    assert timeline(pairs).name(20) in wrong.attrs["doubtful"] and wrong.attrs["misfit"] > 20
    parts = pair_cube(3, 3, 40, lost=(100, 150))
    of_parts, start = date_baselines(parts), int(np.argmax(np.diff(timeline(parts).days))) + 1
    assert of_parts.values[start] == 0 and of_parts.attrs["misfit"] < 1e-9
    own = parts["true_bperp"].values
    np.testing.assert_allclose(of_parts.values[start:], own[start:] - own[start], atol=1e-9)
    with pytest.raises(CubeError, match="baselines="):
        date_baselines(pairs.drop_vars("bperp"))


def test_step_is_found_beside_the_motion():
    pairs = pair_cube(5, 6, 60, atmosphere=0.5, decorrelation=0.5, season_size=0.0, height_error=0.0)
    line = timeline(pairs)
    step = (line.days > 300).astype(float)
    jump = -25.0 * (step[line.second] - step[line.first]) * 4 * np.pi / (1000 * pairs.attrs["wavelength"])
    fit = fit_motion(pairs.assign(phase=(pairs["phase"] - jump).astype("f4")), columns={"quake": step.tolist()})
    np.testing.assert_allclose(fit["quake"].values, -25.0, atol=1.5)
    assert fit["quake_std"].attrs["units"] == "mm"
    with pytest.raises(ValueError, match="quake has 1 values"):
        fit_motion(pairs, columns={"quake": [1.0]})
    with pytest.raises(ValueError, match=r"columns=\['velocity'\] are names of results"):
        fit_motion(pairs, columns={"velocity": step.tolist()})
