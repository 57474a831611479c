import numpy as np

from insar_dask.updating.joining import joined_series


def test_points_that_were_there_count_from_where_they_did() -> None:
    """The third is new, the fourth gone; the second has pairs from the first date on in the newer cube alone."""
    older = {
        "point_id": np.array(["a", "b", "", "d"]),
        "zero_day": np.array([0, 24, 0, 12], np.int32),
        "displacement": np.array([[0, 1, 2], [np.nan, np.nan, 0], [np.nan] * 3, [np.nan, 0, 1]], np.float32),
    }
    newer = {
        "point_id": np.array(["a", "b", "c", ""]),
        "zero_day": np.array([0, 0, 36, 0], np.int32),
        "displacement": np.array([[3.0], [3.0], [0.0], [np.nan]], np.float32),
    }
    offset, places = np.array([0, 2, 0, 0], np.float32), (np.arange(3), np.array([3]))
    joined = joined_series(older, newer, offset, places, 4)
    assert joined["zero_day"].tolist() == [0, 24, 36, 12]
    np.testing.assert_array_equal(joined["displacement"][1], [np.nan, np.nan, 0, 1])
    assert joined_series({}, newer, offset, places, 4)["zero_day"].tolist() == [0, 0, 36, 0]
    del older["zero_day"]  # an older version did not say
    assert joined_series(older, newer, offset, places, 4)["zero_day"].tolist() == [0, 0, 36, 0]
    del newer["zero_day"]
    assert "zero_day" not in joined_series(older, newer, offset, places, 4)
