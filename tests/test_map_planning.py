from insar_dask.config import parse_config
from insar_dask.jobs.memory import tile_memory
from insar_dask.planning import plan_run

SCENE = {"kind": "l3u", "n_points": 5000, "n_dates": 300}


def told(**maps: object) -> dict[str, list[str]]:
    """Words of the plan's lines about maps by their first one."""
    text = plan_run(parse_config({"synthetic": SCENE, "maps": maps}))
    return {line.split()[0]: line.split() for line in text.partition("maps:")[2].partition("\n\n")[0].splitlines()[1:]}


def test_a_plan_says_what_tiles_take() -> None:
    lines = told(method="kriging", pixels=32, cells=16)
    assert [lines[stage][1] for stage in ("tiles", "train", "foresee", "hindcast")] == ["1"] * 4
    assert lines["tiles"][2] == f"{3.1 * 300 * 16**2 / 1e6:.0f}"
    assert 300 < int(lines["tiles"][3]) <= tile_memory(5000, 300, 5000, 16**2, 32**2) / 1e6 + 1


def test_more_pixels_take_more() -> None:
    few, many = (int(told(method="kriging", pixels=n)["tiles"][3].replace(",", "")) for n in (256, 2048))
    assert 700 < many - few < 1000, "measured 600 without gaps and 815 with them"


def test_training_a_larger_map_takes_more() -> None:
    small, large = (int(told(method="cnn_lstm", cells=side)["train"][3].replace(",", "")) for side in (16, 64))
    assert 600 < small < large < 3000


def test_without_maps_nothing_is_said_of_them() -> None:
    assert "maps:" not in plan_run(parse_config({"synthetic": SCENE}))
