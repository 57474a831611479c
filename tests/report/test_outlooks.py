from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from insar_dask.report.alarm_list import alarm_list
from insar_dask.report.outlooks import Departures, alarms_section, exceedance_section, plot_departures

NOTE = {
    "rule": {"rate": 0.1, "control": "bh", "dates": 3, "reach": 150.0},
    "dates": ["2023-01-01", "2023-01-13", "2023-01-25"],
    "lasting": 3,
    "not_judged": ["2023-06-06"],
    "shift": [0.1, -0.7, 0.2],
    "n_judged": 105,
    "n_alarmed": 4,
}


@pytest.fixture
def alarms(regular_cube: xr.Dataset) -> xr.Dataset:
    """Three neighbours and one lone point are alarms."""
    places = regular_cube.drop_vars(["displacement", "time"])
    count = places.sizes["point"]
    alarm, raised = np.zeros(count, np.int8), np.array([30, 31, 32, 90])
    alarm[raised] = 1
    told = {
        "departure": np.where(alarm, -20.0, 0.5),
        "excess": np.where(alarm, -4.0, 0.1),
        "lasting": np.where(alarm, 3, 0).astype(np.int16),
        "since": np.where(alarm, 0.0, np.nan),
        "q_value": np.where(alarm, 0.01, np.nan),
    }
    told["q_value"][90] = 0.001
    return places.assign(alarm=("point", alarm), **{name: ("point", values) for name, values in told.items()})


def test_neighbours_are_one_alarm_and_the_most_certain_comes_first(alarms: xr.Dataset) -> None:
    listed = alarm_list(alarms, np.datetime64("2023-01-01"), 150.0)
    assert [(one["alarm"], one["points"], one["q_value"]) for one in listed] == [
        (1, [90], 0.001),
        (2, [30, 31, 32], 0.01),
    ]
    assert listed[1]["since"] == "2023-01-01" and listed[1]["departure"] == -20
    assert listed[1]["easting"] == pytest.approx(float(alarms["easting"][30:33].mean()))
    assert 10 < listed[1]["longitude"] < 15 and 30 < listed[1]["latitude"] < 40


def test_the_section_says_what_the_rate_means_and_what_was_not_judged(alarms: xr.Dataset, tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    html = alarms_section(tmp_path, Departures(NOTE, {}, alarms))
    assert "4 of 105 points have left it on each of their last 3 dates" in html
    assert "at most 10.0% are expected to be false" in html and "1 later dates lie beyond the forecast" in html
    assert "at most -0.7 mm" in html and html.count("<tr") == 3
    assert (tmp_path / "figures" / "departures.png").stat().st_size > 5000
    assert "more alarms are false" not in html
    inverted = alarms_section(tmp_path, Departures({**NOTE, "seen": -1}, {}, alarms))
    assert "later pairs had mended" in inverted and "more alarms are false" in inverted
    none = Departures({"absent": "the forecast reaches to 2023-01-01"}, {}, None)
    assert "No alarms: the forecast reaches to 2023-01-01." in alarms_section(tmp_path, none)


def test_alarms_have_rings_where_they_are(alarms: xr.Dataset) -> None:
    axes = plot_departures(alarms, alarm_list(alarms, np.datetime64("2023-01-01"), 150.0)).axes[0]
    rings = next(line for line in axes.lines if line.get_marker() == "o")
    np.testing.assert_array_equal(np.sort(rings.get_xdata()), np.sort(alarms["easting"].values[[30, 31, 32, 90]]))


def test_points_are_counted_by_how_likely_they_pass_the_limit(alarms: xr.Dataset, tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    chances = np.tile(np.linspace(0, 1, alarms.sizes["point"])[:, None], (1, 5)).astype(np.float32)
    times = np.datetime64("2023-01-01", "ns") + np.arange(5) * np.timedelta64(12, "D")
    outlook = alarms.assign(exceedance=(("point", "lead"), chances, {"threshold": -20.0})).assign_coords(
        time=("lead", times)
    )
    html = exceedance_section(tmp_path, outlook)
    assert "Probability of lying below -20 mm on 2023-02-18" in html
    assert [html.count(f"<td>{int((chances[:, 0] > share).sum())}</td>") for share in (0.1, 0.5, 0.9)] == [3, 3, 3]
