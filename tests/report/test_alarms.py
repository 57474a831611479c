from pathlib import Path
from typing import Any

import numpy as np
import pytest

from insar_dask.readers.quarantine import write_rejected
from insar_dask.report.alarms import alarms


def test_an_ordinary_product_raises_no_alarm(tmp_path: Path) -> None:
    write_rejected(tmp_path / "rejected.csv", [(7, "column easting: 'x' is no number")])
    velocity = np.r_[np.nan, np.arange(9.0)]
    ingest = {"rejected": str(tmp_path / "rejected.csv"), "n_points": 9, "n_rejected": 1}
    assert alarms(velocity, ingest) == []
    assert alarms(velocity, {"rejected": None}) == alarms(velocity, {}) == []
    assert alarms(velocity, {"rejected": str(tmp_path / "gone.csv")}) == []


def test_a_product_without_motion_does() -> None:
    (alarm,) = alarms(np.full(1200, np.nan, np.float32), {})
    assert alarm.startswith("none of the 1,200 points has a velocity")
    (alarm,) = alarms(np.r_[np.full(6, np.nan), np.zeros(4)], {})
    assert alarm.startswith("6 of 10 points lack a velocity")


@pytest.mark.parametrize(
    ("row", "options", "loud"),
    [
        ((10, "the file is cut off in this line, which has no line break"), {"area": "x.geojson"}, True),
        ((10, "3 columns, wanted 9"), {}, True),
        ((10, "12 columns, wanted 9"), {}, False),
        ((9, "3 columns, wanted 9"), {}, False),
        ((10, "3 columns, wanted 9"), {"min_coherence": 0.5}, False),
    ],
)
def test_half_a_last_line_does(row: tuple[int, str], options: dict[str, Any], loud: bool, tmp_path: Path) -> None:
    write_rejected(tmp_path / "rejected.csv", [(2, "column pid: '' is no identifier"), row])
    ingest = {"rejected": str(tmp_path / "rejected.csv"), "options": options, "n_points": 7, "n_rejected": 2}
    assert bool(alarms(np.zeros(7), ingest)) is loud
