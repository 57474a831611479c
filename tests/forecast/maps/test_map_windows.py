"""Windows of maps: what they hold, who gets which, and that nothing dated after an origin enters."""

import numpy as np
import pytest
import torch

from insar_dask.forecast.maps.framing import frames_of
from insar_dask.forecast.maps.map_material import honest_material, paper_material
from insar_dask.forecast.maps.map_windows import MapWindows
from insar_dask.forecast.maps.naive_maps import naive_maps
from insar_dask.forecast.training.feeding import QueuedFeed
from insar_dask.forecast.training.together import Ranks
from tests.forecast.maps.toy_tiles import toy_tiles

TILES = toy_tiles()
HONEST, PAPER = honest_material(TILES), paper_material(TILES)


class Still(torch.nn.Module):
    """Forecasts 0."""

    def forward(self, batch):
        return torch.zeros(len(batch["values"]), 10, 8, 8)


def test_a_window_holds_scaled_channels_and_raw_targets():
    origin, frames = int(HONEST.origins("test")[2]), frames_of(HONEST, [0])
    frame = frames.frame(1, origin)
    assert frame.values.shape == (10, 6, 8, 8)
    raw = TILES["displacement"].values[1]
    held = TILES["mask"].values[1, origin : origin + 10]
    np.testing.assert_array_equal(frame.scored, held)
    came = frame.millimetres(frame.targets)
    np.testing.assert_allclose(came[held], raw[origin : origin + 10][held], atol=1e-4)
    fitted = HONEST.history(1).harmonic(origin, slice(origin - 10, origin))
    np.testing.assert_allclose(frame.values[:, 0] * frame.scale + fitted, raw[origin - 10 : origin], atol=1e-4)
    day = TILES["time"].values[origin - 1].astype("datetime64[D]")
    of_year = (day - day.astype("datetime64[Y]")).astype(int) + 1
    np.testing.assert_allclose(frame.values[-1, 4, 0, 0], np.sin(2 * np.pi * of_year / 365.25), atol=1e-6)


@pytest.mark.parametrize("average", [1, 3])
def test_honest_inputs_do_not_change_with_the_future(average):
    known = honest_material(TILES, average=average)
    origin = int(known.origins("test")[0])
    moved = TILES.copy(deep=True)
    moved["displacement"][:, origin:] += 1e4
    blind = honest_material(moved, average=average)
    ours, theirs = frames_of(known, [0]).frame(0, origin), frames_of(blind, [0]).frame(0, origin)
    for name in ("values", "target_time", "shift", "scale"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))


def test_a_cell_that_broke_scales_no_other():
    origin, broken = int(HONEST.origins("test")[0]), TILES.copy(deep=True)
    broken["displacement"][1, 30:, 3, 4] += 500
    before, after = (frames_of(made, [0]).frame(1, origin) for made in (HONEST, honest_material(broken)))
    others = np.ones((8, 8), bool)
    others[3, 4] = False
    np.testing.assert_allclose(after.scale[others], before.scale[others], rtol=0.05)
    assert after.scale[3, 4] > 10 * before.scale[3, 4]
    assert np.abs(after.values[:, 0, 3, 4]).max() < 5  # and is read as a number like others


def test_no_cell_is_scaled_by_less_than_the_median_one():
    quiet = TILES.copy(deep=True)
    quiet["displacement"][1, :, 2, 2] *= 0.01
    origin = int(HONEST.origins("test")[0])
    made = honest_material(quiet)
    held = made.mask[1, :origin].any(axis=0)
    scale = frames_of(made, [0]).frame(1, origin).scale
    assert scale[2, 2] == scale[held].min() == np.float32(np.median(made.history(1).spread(origin)[held]))


def test_published_inputs_know_the_future():
    origin = int(PAPER.origins("test")[0])
    moved = TILES.copy(deep=True)
    moved["displacement"][:, origin] += 30
    blind = paper_material(moved)
    np.testing.assert_array_equal(PAPER.read[:, : origin - 1], blind.read[:, : origin - 1])
    np.testing.assert_allclose(blind.read[:, origin - 1] - PAPER.read[:, origin - 1], 10, rtol=1e-4)
    assert not np.array_equal(*(frames_of(made, [0]).frame(0, origin).values for made in (PAPER, blind)))


def test_published_channels_are_z_scores_of_the_whole_record():
    frames, held = frames_of(PAPER, [0]), TILES["mask"].values[0]
    spread = np.nanstd(PAPER.read[0][held], dtype=np.float64)
    assert frames.frame(0, 50).scale == pytest.approx(spread, rel=1e-5)
    velocity = frames.frame(0, 50).values[0, 1][held.any(axis=0)]
    np.testing.assert_allclose([velocity.mean(), velocity.std()], [0, 1], atol=1e-5)


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_share_the_batch_of_one(world):
    windows = MapWindows(HONEST, [0, 1], batch=6, seed=4)
    whole = windows.batch(7, 0, 1)["values"]
    shared = torch.zeros_like(whole)
    for rank in range(world):
        shared[rank::world] = windows.batch(7, rank, world)["values"]
    assert torch.equal(whole, shared)
    counts = [len(list(windows.validation(rank, world))) for rank in range(world)]
    assert len(set(counts)) == 1
    scored = sum(int(batch["scored"].sum()) for rank in range(world) for batch in windows.validation(rank, world))
    assert scored == sum(int(batch["scored"].sum()) for batch in windows.validation(0, 1))


def test_every_window_comes_once_an_epoch():
    windows = MapWindows(HONEST, [0, 1], batch=6)
    assert windows.epoch == len(windows.samples) // 6
    steps = [windows.batch(step, 0, 1)["target_time"] for step in range(windows.epoch)]
    assert len(torch.cat(steps)) == 6 * windows.epoch
    again = windows.batch(1, 0, 1)["values"]
    assert torch.equal(again, MapWindows(HONEST, [0, 1], batch=6).batch(1, 0, 1)["values"])
    assert not torch.equal(again, MapWindows(HONEST, [0, 1], batch=6, seed=1).batch(1, 0, 1)["values"])


def test_windows_of_a_tile_that_begins_later_are_not_scored_until_it_can_be_fitted():
    late, first = TILES.copy(deep=True), int(HONEST.origins("train")[0])
    begins = first - 5
    late["displacement"][1, :begins] = np.nan
    windows = MapWindows(honest_material(late.assign(mask=late["displacement"].notnull() & late["mask"])), [0, 1])
    short, long = windows.windows([(1, first)]), windows.windows([(1, begins + 80)])
    assert not short["scored"].any() and long["scored"].any()
    assert all(bool(batch[name].isfinite().all()) for batch in (short, long) for name in ("values", "targets"))


def test_a_forecast_of_nothing_is_the_harmonic_ridge():
    origins, ever = HONEST.origins("test")[:2].tolist(), TILES["mask"].values[1].any(axis=0)
    said = MapWindows(HONEST, [0]).predict(Still(), 1, origins)
    ((_, forecast),) = naive_maps(HONEST, [0], ["harmonic_ridge"])
    np.testing.assert_allclose(np.where(ever, said, np.nan), forecast(1, origins), atol=2e-3)


def test_more_ranks_than_windows_are_refused():
    with pytest.raises(ValueError, match="3 ranks share batches of 2 windows: take a larger batch, or fewer ranks"):
        MapWindows(HONEST, [0], batch=2).batch(0, 0, 3)
    all_of = MapWindows(HONEST, [0], batch=1000)
    few = len(all_of.samples)
    with pytest.raises(ValueError, match=f"{few + 1} ranks share batches of {few} windows: take fewer ranks"):
        all_of.batch(0, few, few + 1)


def test_batches_are_picked_from_all_windows_where_these_lie():
    windows, other = MapWindows(HONEST, [0, 1], batch=5), MapWindows(HONEST, [0, 1], batch=5)
    feed = QueuedFeed(windows, Ranks(1, 2), torch.device("cpu"), room=windows.stock_bytes())
    for step in (0, 1, windows.epoch, windows.epoch + 1):
        there, here = feed.batch(step), other.batch(step, 1, 2)
        assert there.keys() == here.keys()
        assert all(torch.equal(there[name], tensor) for name, tensor in here.items())
    assert feed.ticks == len(windows.samples)
    assert sum(tensor.nbytes for tensor in feed.there[1].values()) == windows.stock_bytes()
    feed.close()
