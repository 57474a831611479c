import subprocess
import sys

import pytest
import torch

from insar_dask.forecast.models import build
from tests.forecast.models.batches import SMALL, TIMES, batch

PARAMETERS = {  # by hand, from the sizes of the presets
    "spacetimeformer": 2_279_373,
    "fast": 3_342_086,
    "lstm": 1_323_526,
    "transformer": 22_074_881,
}


@pytest.mark.parametrize("name", SMALL)
def test_a_forecast_for_each_point_and_lead(name):
    model = build(name, **SMALL[name])
    for absent in [(), [(0, 3), (2, 0), (2, 1), (2, 2), (2, 3)]]:
        given = batch(times=TIMES[name], absent=absent)
        out = model(given)
        assert out.shape == (3, 4, 6)
        assert out.isfinite().all()
        assert (out[~given["present"]] == 0).all()


def test_names_cost_no_torch():
    code = "import sys, insar_dask.forecast.models; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="'mlp'; there are spacetimeformer, fast, lstm, transformer"):
        build("mlp")


@pytest.mark.parametrize(("name", "parameters"), PARAMETERS.items())
def test_presets_have_their_published_sizes(name, parameters):
    with torch.device("meta"):
        assert sum(p.numel() for p in build(name).parameters()) == parameters


@pytest.mark.parametrize("name", SMALL)
def test_other_steps_than_it_was_built_for_are_refused_with_the_cure(name):
    model = build(name, **SMALL[name])
    with pytest.raises(
        ValueError, match="24 context and 6 target steps, and a batch of 20 and 7 came; build it with c"
    ):
        model(batch(times=TIMES[name], context=20, horizon=7))


def test_a_group_longer_than_the_table_of_points_is_refused():
    with pytest.raises(ValueError, match="at most 4 points, and one of 5 came; build it with points=5 or cut"):
        build("spacetimeformer", **SMALL["spacetimeformer"])(batch(points=5))
