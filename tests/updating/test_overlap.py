import numpy as np
import pytest
from scipy import stats

from insar_dask.cube import CubeError
from insar_dask.updating.following import check_follows, check_newer
from insar_dask.updating.judging import judge_overlap
from insar_dask.updating.overlap import OVERLAP, compare_vintages
from tests.report.scenes import make_cube

DAYS = np.arange(0, 1200, 12)


def vintages(noise: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Series of 50 points with gaps; and of the same points shifted, drifting, and noisier."""
    chance = np.random.default_rng(seed)
    older = chance.normal(0, 8, (50, 1)) * DAYS / 365 + chance.normal(0, 2, (50, len(DAYS)))
    shift, drift = chance.normal(0, 20, 50), chance.normal(0, 2, 50)
    newer = older + shift[:, None] + drift[:, None] * (DAYS - DAYS.mean()) / 365 + chance.normal(0, noise, older.shape)
    older[chance.random(older.shape) < 0.1] = np.nan
    newer[chance.random(older.shape) < 0.1] = np.nan
    older[-1] = np.nan
    return older.astype(np.float32), newer.astype(np.float32), shift, drift


def found(older: np.ndarray | None, newer: np.ndarray) -> dict[str, np.ndarray]:
    overlap = compare_vintages(older, newer, DAYS)
    assert set(overlap) == set(OVERLAP)
    return overlap


def test_drift_and_likeness_are_those_of_regression() -> None:
    older, newer, *_ = vintages()
    got = found(older, newer)
    for point in range(49):
        good = np.isfinite(older[point]) & np.isfinite(newer[point])
        difference = (newer - older)[point, good]
        line, both = (
            stats.linregress(DAYS[good] / 365, difference),
            stats.linregress(older[point, good], newer[point, good]),
        )
        assert got["drift"][point] == pytest.approx(line.slope, abs=1e-4)
        assert (got["gain"][point], got["likeness"][point]) == pytest.approx((both.slope, both.rvalue), abs=1e-4)
        recent = DAYS[good] > DAYS[-1] - 365
        assert got["offset"][point] == pytest.approx(np.median(difference[recent]), abs=1e-4)
        assert got["n_shared"][point] == good.sum()
    assert got["n_shared"][49] == 0 and np.isnan(got["offset"][49]) and np.isnan(got["difference_rms"][49])


def test_the_error_of_the_tie_holds_the_truth() -> None:
    misses = []
    for seed in range(8):
        older, _, shift, _ = vintages(seed=seed)
        got = found(
            older, (older + shift[:, None] + np.random.default_rng(seed).normal(0, 1, older.shape)).astype(np.float32)
        )
        misses.append(((got["offset"] - shift) / got["offset_error"])[:49])
    assert np.abs(np.concatenate(misses)).std() < 1 and (np.abs(np.concatenate(misses)) < 2).mean() > 0.95


def test_a_shifted_copy_is_the_same_series_and_a_noisy_one_another_vintage() -> None:
    older, newer, *_ = vintages()
    copy = np.where(np.isnan(older), np.nan, older + np.float32(31.7))
    assert judge_overlap(found(older, copy), (100, 4, 0)).kind == "append"
    assert judge_overlap(found(older, copy), (100, 0, 0)).kind == "nothing_new"
    verdict = judge_overlap(found(older, newer), (100, 4, 0))
    assert verdict.kind == "vintage" and verdict.share_same < 0.1
    assert judge_overlap(found(older, newer), (100, 4, 0), "append").kind == "append"
    assert "another vintage, 4 new dates" in verdict.text()
    with pytest.raises(ValueError, match="how is 'both'"):
        judge_overlap(found(older, newer), (100, 4, 0), "both")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("factor", "message"), [(10, "10 times those of A"), (0.001, "units differ"), (-1, "sign of A")]
)
def test_other_units_and_the_other_sign_are_named(factor: float, message: str) -> None:
    older, *_ = vintages()
    with pytest.raises(CubeError, match=message):
        judge_overlap(found(older, older * np.float32(factor)), (100, 4, 0), names=("A", "B"))


def test_products_without_a_value_in_common_are_named() -> None:
    _, newer, *_ = vintages()
    with pytest.raises(CubeError, match="no point of B has a value in common with A"):
        judge_overlap(found(None, newer), (100, 4, 0), names=("A", "B"))


def test_what_cannot_go_on_is_refused_by_name() -> None:
    cube = make_cube(np.arange(20) * 50.0, np.arange(20) * 50.0)
    names = "A", "B"
    times = cube["time"].values
    check_newer(times[:60], times, names)
    with pytest.raises(CubeError, match="B ends on 2021-12-11, before A, which ends on 2022-08-08: an older vintage"):
        check_newer(times, times[:60], names)
    with pytest.raises(CubeError, match="have 2 dates in common, 3 are needed"):
        check_newer(times[:60], times[58:], names)
    with pytest.raises(CubeError, match="B has two acquisitions on 2020-01-27: an update goes by days"):
        check_newer(times, np.insert(times, 3, times[2] + np.timedelta64(5, "h")), names)
    check_follows(cube, cube, names)
    with pytest.raises(CubeError, match="B is component east, A is component up"):
        check_follows(cube, cube.assign_attrs(component="east"), names)
    with pytest.raises(CubeError, match="no ground is in both"):
        check_follows(cube, cube.assign_coords(easting=cube["easting"] + 1e5), names)
    other = make_cube(np.arange(20) * 50.0, np.arange(20) * 50.0, epsg=32633)
    with pytest.raises(CubeError, match=r"B is in EPSG:32633, A in EPSG:3035.*crs="):
        check_follows(cube, other, names)
    los = cube.assign_attrs(component="los", track="022", **{"pass": "ascending"})
    check_follows(los, los.assign_attrs(track="22"), names)
    with pytest.raises(CubeError, match="track 117"):
        check_follows(los, los.assign_attrs(track="117"), names)
