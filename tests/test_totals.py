import dask
import numpy as np
import pytest
import xarray as xr

from insar_dask import totals
from insar_dask.cube import CubeError
from insar_dask.totals import PARTS, component_shares, component_variances, cumulative_displacement


def refuse(*_args, **_kwargs):
    raise AssertionError("something computed")


@pytest.fixture(scope="module")
def parts(small_scene):
    """Components with known variances: a line, a wave, noise; point 3 has none, point 4 stands still."""
    n_points, n_dates = small_scene.sizes["point"], small_scene.sizes["time"]
    rng = np.random.default_rng(2)
    t = np.linspace(0, 3, n_dates)
    values = {
        "trend": rng.normal(0, 9, (n_points, 1)) * t,
        "season": rng.gamma(2, 2, (n_points, 1)) * np.sin(2 * np.pi * t),
        "residual": rng.normal(0, 1, (n_points, n_dates)),
    }
    cube = small_scene.drop_vars("displacement")
    for name, value in values.items():
        value[3], value[4] = np.nan, 0.0
        cube[name] = (("point", "time"), value.astype(np.float32), {"units": "mm"})
    return cube


def test_the_cumulative_displacement_is_last_minus_first(small_scene):
    total = cumulative_displacement(small_scene)
    values = small_scene["displacement"].values
    np.testing.assert_array_equal(total["cumulative"], values[:, -1] - values[:, 0])
    assert total["cumulative"].dtype == np.float32
    assert total["cumulative"].attrs["units"] == "mm"
    days = small_scene["time"].values.astype("datetime64[D]")
    assert total["cumulative"].attrs["first_date"] == str(days[0])
    assert total["cumulative"].attrs["last_date"] == str(days[-1])
    assert total.attrs["sees_future"] == -1
    assert list(total.data_vars) == ["cumulative"]
    assert "time" not in total.dims
    xr.testing.assert_identical(total["point_id"].variable, small_scene["point_id"].variable)


def test_a_missing_end_leaves_no_cumulative_displacement(small_scene):
    cube = small_scene.copy(deep=True)
    cube["displacement"][5, 0] = np.nan
    cube["displacement"][6, -1] = np.nan
    cube["displacement"][7, 4] = np.nan
    missing = np.isnan(cumulative_displacement(cube)["cumulative"].values)
    np.testing.assert_array_equal(np.flatnonzero(missing), [5, 6])


def test_grids_have_totals_like_points(small_scene, parts):
    grid = xr.Dataset(
        {"displacement": (("y", "x", "time"), small_scene["displacement"].values[:12].reshape(3, 4, -1))},
        coords={"time": small_scene["time"]},
    )
    assert cumulative_displacement(grid)["cumulative"].dims == ("y", "x")
    on_grid = xr.Dataset({n: (("y", "x", "time"), parts[n].values[:12].reshape(3, 4, -1)) for n in PARTS})
    found, expected = component_variances(on_grid), component_variances(parts)
    np.testing.assert_array_equal(found["variance"].values.ravel(), expected["variance"].values[:12])


def test_lazy_cubes_stay_lazy_and_give_the_same(small_scene, parts):
    with dask.config.set(scheduler=refuse):
        total = cumulative_displacement(small_scene.chunk(point=700))
        variances = component_variances(parts.chunk(point=700))
    assert variances["trend_variance"].chunks == ((700, 700, 700, 700, 200),)
    xr.testing.assert_identical(total.compute(), cumulative_displacement(small_scene))
    xr.testing.assert_identical(variances.compute(), component_variances(parts))


def test_variances_are_those_in_time(parts):
    found = component_variances(parts)
    for name in PARTS:
        np.testing.assert_allclose(found[f"{name}_variance"], parts[name].astype("f8").var("time"), rtol=1e-5)
    whole = (parts["trend"] + parts["season"] + parts["residual"]).astype("f8").var("time")
    np.testing.assert_allclose(found["variance"], whole, rtol=1e-4)
    assert set(found.data_vars) == {"trend_variance", "season_variance", "residual_variance", "variance"}
    assert found["variance"].attrs["units"] == "mm2"
    assert np.isnan(found["variance"][3])


def test_what_has_no_components_is_refused(parts):
    with pytest.raises(CubeError, match="'season' is not among them"):
        component_variances(parts.drop_vars("season"))


def straight_from_the_definition(variances, chosen):
    table = np.stack([variances[f"{name}_variance"].values[chosen] for name in PARTS], axis=1).astype(np.float64)
    whole = variances["variance"].values[chosen].astype(np.float64)
    good = np.isfinite(table).all(axis=1) & (table.sum(axis=1) > 0)
    table, whole = table[good], whole[good]
    total = table.sum(axis=1)
    return (
        (table / total[:, None]).mean(axis=0),
        table.sum(axis=0) / total.sum(),
        (whole / total - 1).mean(),
        good.sum(),
    )


def test_shares_are_those_of_each_pattern_and_of_all(parts):
    variances = component_variances(parts)
    labels = np.random.default_rng(1).integers(-1, 3, variances.sizes["point"])
    shares = component_shares(variances, labels, n_patterns=4)
    assert shares["group"].values.tolist() == ["all", "0", "1", "2", "3"]
    for row, chosen in enumerate([labels >= -1, labels == 0, labels == 1, labels == 2]):
        share, pooled, covariance, count = straight_from_the_definition(variances, chosen)
        np.testing.assert_allclose(shares["share"][row], share, rtol=1e-9)
        np.testing.assert_allclose(shares["pooled"][row], pooled, rtol=1e-9)
        np.testing.assert_allclose(shares["covariance"][row], covariance, rtol=1e-6)
        assert shares["n_points"][row] == count
    np.testing.assert_allclose(shares["share"][:4].sum("component"), 1)
    assert shares["n_without"][0] == 2
    assert shares.attrs == {"sees_future": -1}
    assert shares["n_points"][4] == 0
    assert np.isnan(shares["share"][4]).all()


def test_orthogonal_components_have_no_covariance():
    t = np.arange(60)
    parts = xr.Dataset(
        {
            "trend": (("point", "time"), np.where(t < 30, 1, -1)[None].astype("f4")),
            "season": (("point", "time"), np.where(t % 2 < 1, 1, -1)[None].astype("f4")),
            "residual": (("point", "time"), np.zeros((1, 60), np.float32)),
        }
    )
    shares = component_shares(component_variances(parts))
    np.testing.assert_allclose(shares["share"][0], [0.5, 0.5, 0])
    np.testing.assert_allclose(shares["covariance"], 0, atol=1e-7)


def test_shares_do_not_depend_on_blocks_or_order(parts, monkeypatch):
    variances = component_variances(parts.chunk(point=700))
    labels = np.random.default_rng(1).integers(-1, 3, variances.sizes["point"])
    whole = component_shares(variances, labels)
    monkeypatch.setattr(totals, "BLOCK", 617)
    xr.testing.assert_allclose(component_shares(variances, labels), whole, rtol=1e-12)
    order = np.random.default_rng(3).permutation(len(labels))
    xr.testing.assert_allclose(component_shares(variances.isel(point=order), labels[order]), whole, rtol=1e-12)


def test_labels_that_do_not_fit_are_refused(parts):
    variances = component_variances(parts)
    with pytest.raises(CubeError, match="wanted one each"):
        component_shares(variances, np.zeros(7, int))
    with pytest.raises(CubeError, match="wanted 'point'"):
        component_shares(variances.isel(point=0))
    with pytest.raises(CubeError, match="label 5 is beyond the 3 patterns"):
        component_shares(variances, np.full(variances.sizes["point"], 5), n_patterns=3)
