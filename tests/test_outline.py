import dask
import numpy as np
import pytest
from zarr.storage import MemoryStore

from insar_dask.layout import create_group
from insar_dask.outline import Outline, Part, coded
from insar_dask.readers.egms import read_table
from insar_dask.shards import ShardPlan
from insar_dask.synthetic import scene, write_egms

NAMES = {"l3u": "EGMS_L3_E45N17_100km_U_2020_2024_1", "l2b": "EGMS_L2b_022_0845_IW2_VV_2020_2024_1"}


@pytest.mark.parametrize("kind", sorted(NAMES))
@pytest.mark.parametrize("n_dates", [1, 40])
def test_a_store_is_laid_out_alike_by_an_outline_and_by_its_cube(kind, n_dates, tmp_path):
    source = write_egms(tmp_path / f"{NAMES[kind]}.csv", scene(kind, n_points=50, n_dates=40))
    table = read_table(source)
    if n_dates == 1:
        table = type(table)(**{**vars(table), "values": table.values[:, :1], "times": table.times[:1]})
    store, plan = MemoryStore(), ShardPlan(50, 50)
    assert create_group(store, "a/raw", table.cube(), plan)
    assert not create_group(store, "a/raw", table.outline(), plan), "some document differs"


def test_dates_count_the_days_since_the_first_and_truths_are_bytes():
    dates = np.array(["2020-02-28", "2020-03-05"], "datetime64[ns]")
    days = coded(Part(("time",), dates, {"axis": "T"}))
    assert days.values.tolist() == [0, 6]
    assert dict(days.attrs) == {
        "axis": "T",
        "units": "days since 2020-02-28 00:00:00",
        "calendar": "proleptic_gregorian",
    }
    assert coded(Part(("time",), dates == dates[0], {})).values.tolist() == [1, 0]


def test_the_outline_of_a_lazy_cube_computes_no_point(small_scene):
    with dask.config.set(scheduler=lambda *_args, **_kwargs: pytest.fail("computed")):
        outline = Outline.of(small_scene.assign(displacement=small_scene.displacement.chunk(point=10)))
    assert outline.parts["displacement"].sizes == dict(small_scene.displacement.sizes)
