"""Windows to train on: what they hold, what they may know, and that the number of ranks changes nothing."""

import tracemalloc
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from insar_dask.cube import CubeError
from insar_dask.forecast.series.framing import SCALINGS
from insar_dask.forecast.series.point_source import ArrayPoints, Points
from insar_dask.forecast.series.splits import split_by_length
from insar_dask.forecast.series.windows import SeriesWindows
from insar_dask.forecast.timetable import TooShortError
from tests.forecast.lines import N_DATES, SIZES, SPLIT, TIMES, source_of

Batch = dict[str, torch.Tensor]


def same(one: Batch, other: Batch) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def dealt_back(shares: list[Batch], size: int) -> Batch:
    """Shares of all ranks as the batch of one: windows are dealt out in turn."""
    return {name: torch.stack([s[name] for s in shares], 1).flatten(0, 1)[:size] for name in shares[0]}


def told(windows: SeriesWindows, batch: Batch) -> torch.Tensor:
    """Values and targets (B, L, k + h) in millimetres, which tell point and date: 1000 * point + date."""
    seen = torch.cat([batch["values"], batch["targets"]], dim=-1).double()
    return (seen * windows.framing.scale + windows.framing.shift).round()


def test_every_window_holds_consecutive_values_of_neighbours_of_one_pattern_within_the_training_block() -> None:
    windows = SeriesWindows(source_of(gaps=0.0), SPLIT, scaling="global", **SIZES)
    first_dates = set()
    for step in range(2 * windows.steps_per_round):
        batch = windows.batch(step)
        seen, present = told(windows, batch), batch["present"]
        assert (seen.diff(dim=-1)[present] == 1).all()
        dates, points = seen % 1000, seen[..., 0] // 1000
        first_dates |= set(dates[..., 0][present].tolist())
        assert (dates[present] < SPLIT.train.stop).all()
        assert (points.diff(dim=1)[present[:, 1:]] == 1).all()
        assert (points[present] // 8 % 3 == batch["pattern"][present]).all()
    assert first_dates == set(range(SPLIT.train.stop - SIZES["context"] - SIZES["horizon"] + 1))


def test_ground_that_moves_on_counts_from_its_last_value_in_units_of_its_change() -> None:
    windows = SeriesWindows(source_of(gaps=0.3), SPLIT, scaling="last", **SIZES)
    assert (windows.framing.shift, windows.framing.scale) == (0.0, 4.0), "half a context of 8 dates, 1 mm a date"
    batch = windows.batch(3)
    given, values = batch["given"], batch["values"]
    last = given.shape[-1] - 1 - given.flip(-1).int().argmax(-1)
    assert (values.gather(-1, last[..., None])[given.any(-1)] == 0).all()
    dates = torch.arange(given.shape[-1] + batch["targets"].shape[-1]) - last[..., None]
    seen, there = (torch.cat([batch[a], batch[b]], -1) for a, b in (("values", "targets"), ("given", "scored")))
    there &= given.any(-1, keepdim=True)
    torch.testing.assert_close(seen[there], (dates / 4.0)[there])


@settings(max_examples=15)
@given(step=st.integers(0, 10**7), world=st.integers(1, 9), seed=st.integers(0, 99))
def test_any_number_of_ranks_sees_the_same_windows_and_each_rank_as_many(step: int, world: int, seed: int) -> None:
    windows = SeriesWindows(source_of(block=32), SPLIT, resident=64, seed=seed, **SIZES)
    alone = windows.batch(step)
    shares = [windows.batch(step, rank, world) for rank in range(world)]
    assert len({len(share["present"]) for share in shares}) == 1
    assert same(dealt_back(shares, SIZES["batch"]), alone)
    padding = dealt_back(shares, -1)["present"][SIZES["batch"] :]
    assert not padding.any()


def test_a_step_needs_nothing_of_those_before_it() -> None:
    def made() -> SeriesWindows:
        return SeriesWindows(source_of(block=32), SPLIT, resident=64, **SIZES)

    once, again = made(), made()
    far = 5 * once.steps_per_round + 2
    for step in range(2 * once.steps_per_round):
        once.batch(step)
    assert same(once.batch(far), again.batch(far))
    assert same(once.batch(1), again.batch(1))
    assert not same(once.batch(1), once.batch(2))


def test_a_round_shows_every_group_about_once_and_the_next_cuts_them_elsewhere() -> None:
    windows = SeriesWindows(source_of(gaps=0.0, patterns=None), SPLIT, scaling="global", evenness=1.0, **SIZES)
    heads = []
    for number in range(6):
        steps = range(number * windows.steps_per_round, (number + 1) * windows.steps_per_round)
        firsts = torch.cat([told(windows, windows.batch(step))[:, 0, 0] // 1000 for step in steps])
        _, counts = firsts.unique(return_counts=True)
        assert counts.max() <= 2
        assert len(counts) >= 45  # of 50 or 51 groups
        heads.append(int(firsts.max()) % SIZES["length"])
    assert len(set(heads)) > 1


def test_more_visits_make_longer_rounds() -> None:
    steps = [SeriesWindows(source_of(), SPLIT, visits=visits, **SIZES).steps_per_round for visits in (1.0, 3.0)]
    assert steps == [8, 25]  # 200 points in groups of 4, 6 groups a step


def test_rounds_walk_through_all_blocks() -> None:
    windows = SeriesWindows(source_of(gaps=0.0, block=16), SPLIT, scaling="global", resident=48, **SIZES)
    blocks: set[float] = set()
    for step in range(5 * windows.steps_per_round):
        batch = windows.batch(step)
        blocks |= set((told(windows, batch)[..., 0] // 1000 // 16)[batch["present"]].tolist())
    assert blocks == set(range(13))


def test_validation_has_each_group_at_each_origin_once_and_as_many_batches_on_each_rank() -> None:
    windows = SeriesWindows(source_of(gaps=0.0), SPLIT, scaling="global", **SIZES)
    shares = [list(windows.validation(rank, 4)) for rank in range(4)]
    assert len({len(share) for share in shares}) == 1
    batches = [dealt_back(list(parts), 8) for parts in zip(*shares, strict=True)]
    seen = torch.cat([told(windows, batch)[batch["present"]] for batch in batches])
    keys = seen[:, SIZES["context"]]
    assert len(keys.unique()) == len(keys)
    assert len(keys) == 40 * len(windows.validation_origins)
    assert ((keys % 1000).unique() == torch.tensor(windows.validation_origins)).all()
    assert ((seen % 1000).min(), (seen % 1000).max()) == (SPLIT.validation.start, SPLIT.validation.stop - 1)
    assert all(map(same, windows.validation(1, 4), shares[1]))


def test_validation_points_come_from_the_whole_source() -> None:
    windows = SeriesWindows(source_of(n_points=640, gaps=0.0, block=32), SPLIT, scaling="global", **SIZES)
    points = torch.cat([told(windows, batch)[..., 0, 0] // 1000 for batch in windows.validation()])
    assert (points.max() - points.min()) > 400
    assert len((points // 32).unique()) >= 8


@settings(max_examples=10)
@given(seed=st.integers(0, 2**31), scaling=st.sampled_from(SCALINGS), share=st.floats(0, 1))
def test_training_windows_know_nothing_from_validation_on(seed: int, scaling: str, share: float) -> None:
    """Values after the training block become nonsense or missing: sampling, scales, inputs and targets stay."""
    rng = np.random.default_rng(seed)
    known = source_of(block=32)
    other = known.points.values.copy()
    after = other[:, SPLIT.train.stop :]
    after[:] = np.where(rng.random(after.shape) < share, np.nan, rng.normal(0, 1e4, after.shape))
    places, patterns = known.points.places, known.points.patterns
    blind = source_of(values=other, places=places, patterns=patterns, block=32)
    pair = [SeriesWindows(s, SPLIT, scaling=scaling, resident=64, seed=seed, **SIZES) for s in (known, blind)]
    assert pair[0].framing == pair[1].framing
    for step in (0, 3, pair[0].steps_per_round, 10**6):
        assert same(pair[0].batch(step), pair[1].batch(step))


def test_missing_values_and_dates_without_an_acquisition_are_neither_given_nor_scored() -> None:
    observed = np.arange(N_DATES) % 7 != 3
    source = source_of(gaps=0.2, observed=observed)
    windows = SeriesWindows(source, SPLIT, scaling="global", **SIZES)
    valid = np.isfinite(source.points.values) & observed
    for step in range(10):
        batch = windows.batch(step)
        seen, present = told(windows, batch), batch["present"]
        known = torch.cat([batch["given"], batch["scored"]], dim=-1)
        assert not known[~present].any()
        assert (torch.cat([batch["values"], batch["targets"]], dim=-1)[~known] == 0).all()
        points, dates = (seen[known] // 1000).long(), (seen[known] % 1000).long()
        assert valid[points, dates].all()
        assert known[present].float().mean() == pytest.approx(0.8 * 6 / 7, abs=0.15)
    filled = SeriesWindows(source, SPLIT, scaling="global", only_observed=False, **SIZES)
    assert filled.framing.known(source, 0, 5).values[:, 3].any()


def test_scales_are_those_of_the_training_block() -> None:
    source = source_of(gaps=0.1)
    train = source.points.values[:, : SPLIT.train.stop]
    windows = SeriesWindows(source, SPLIT, scaling="global", **SIZES)
    np.testing.assert_allclose(windows.framing.shift, np.nanmean(train.astype(float)), rtol=1e-6)
    np.testing.assert_allclose(windows.framing.scale, np.nanstd(train.astype(float)), rtol=1e-6)
    scale = SeriesWindows(source, SPLIT, scaling="point", **SIZES).framing.scale_of(source.points.values, source.days)
    np.testing.assert_allclose(scale.shift, np.nanmean(train.astype(float), axis=1), rtol=1e-6)
    np.testing.assert_allclose(scale.scale, np.nanstd(train.astype(float), axis=1), rtol=1e-4)
    again = SeriesWindows(source, SPLIT, scaling="global", framing=windows.framing, **SIZES)
    assert same(again.batch(7), windows.batch(7))
    with pytest.raises(ValueError, match="the framing given differs in horizon, scaling from"):
        SeriesWindows(source, SPLIT, framing=windows.framing, **SIZES | {"horizon": 2})


def test_mostly_empty_groups_are_told() -> None:
    far = np.arange(200)[:, None] * [500.0, 0.0]
    windows = SeriesWindows(source_of(places=far), SPLIT, **SIZES)
    assert windows.remarks[0].startswith("75% of the seats in groups of 4 are empty")


def test_one_pattern_alone_is_trained_on() -> None:
    windows = SeriesWindows(source_of(gaps=0.0, block=16), SPLIT, pattern=2, scaling="global", resident=32, **SIZES)
    for step in (*range(5), 10 * windows.steps_per_round):
        batch = windows.batch(step)
        assert (batch["pattern"][batch["present"]] == 2).all()
        assert batch["present"].any()
    with pytest.raises(CubeError, match="no point has pattern 5"):
        SeriesWindows(source_of(), SPLIT, pattern=5, **SIZES)


def test_a_pattern_smaller_than_a_group_is_padded_and_told() -> None:
    patterns = np.where(np.arange(200) < 3, 1, 0)
    windows = SeriesWindows(source_of(patterns=patterns), SPLIT, evenness=0.0, **SIZES)
    assert windows.remarks == ["pattern 1 has 3 points, fewer than the 4 of a group: its groups are padded"]
    rare = torch.cat([b["present"][(b["pattern"] == 1).any(1)] for b in map(windows.batch, range(4))])
    assert len(rare) > 0
    assert (rare.sum(1) == 3).all()


def test_points_without_a_value_in_the_training_block_are_left_out_and_told() -> None:
    values = source_of(gaps=0.0).points.values.copy()
    values[:50, : SPLIT.train.stop] = np.nan
    windows = SeriesWindows(source_of(values=values), SPLIT, scaling="global", **SIZES)
    assert windows.remarks == ["50 points have no value in the training block and are left out"]
    for step in range(5):
        batch = windows.batch(step)
        assert batch["given"][batch["present"]].all()
    values[50:] = np.nan
    with pytest.raises(CubeError, match="none of 200 points has a value in the training block"):
        SeriesWindows(source_of(values=values), SPLIT, **SIZES)


def test_one_point_is_a_padded_group() -> None:
    windows = SeriesWindows(source_of(n_points=1, gaps=0.0), SPLIT, **SIZES)
    batch = windows.batch(0)
    assert (batch["present"].sum(1) == 1).all()
    assert batch["scored"].any()
    assert len(list(windows.validation())) > 0


def test_errors_say_what_does_not_fit() -> None:
    with pytest.raises(TooShortError, match=r"the train block has 36 dates.*30 \+ 10 dates does not fit"):
        SeriesWindows(source_of(), SPLIT, context=30, horizon=10)
    with pytest.raises(TooShortError, match="the record has 60 dates"):
        SeriesWindows(source_of(), split_by_length(166))
    late = 12 * (np.arange(N_DATES) > 30)
    with pytest.raises(CubeError, match="dates are 12 to 24 days apart"):
        SeriesWindows(source_of(times=TIMES + late), SPLIT, **SIZES)
    with pytest.raises(ValueError, match="no scaling is called 'robust'"):
        SeriesWindows(source_of(), SPLIT, scaling="robust", **SIZES)
    with pytest.raises(ValueError, match="batch is 0"):
        SeriesWindows(source_of(), SPLIT, **SIZES | {"batch": 0})
    with pytest.raises(ValueError, match="rank is 2 of 2"):
        SeriesWindows(source_of(), SPLIT, **SIZES).batch(0, 2, 2)
    with pytest.raises(CubeError, match="no point to learn from"):
        SeriesWindows(source_of(n_points=0), SPLIT, **SIZES)


def test_series_that_have_seen_the_future_are_refused_unless_it_is_asked_for() -> None:
    smoothed = replace(source_of(), attrs={"sees_future": 60})
    with pytest.raises(CubeError, match=r"have seen 60 days of the future.*take the raw series"):
        SeriesWindows(smoothed, SPLIT, **SIZES)
    assert SeriesWindows(smoothed, SPLIT, leaks=True, **SIZES).batch(0)["scored"].any()
    fit = {"sees_future": 420, "sees_future_after_fit": 0, "fitted_until": str(TIMES[SPLIT.train.stop - 1])}
    assert SeriesWindows(replace(smoothed, attrs=fit), SPLIT, **SIZES).batch(0)["scored"].any()
    late = fit | {"fitted_until": str(TIMES[SPLIT.train.stop])}
    with pytest.raises(CubeError, match="420 days"):
        SeriesWindows(replace(smoothed, attrs=late), SPLIT, **SIZES)


class Billion:
    """A billion points that are made when they are read."""

    n_points, block = 10**9, 1024
    days = TIMES.astype("datetime64[D]").astype(np.int64)
    observed = np.ones(N_DATES, bool)
    attrs: ClassVar[dict[str, int]] = {}

    def read(self, start: int, stop: int) -> Points:
        places = np.arange(start, stop)[:, None] * [50.0, 0.0]
        values = np.random.default_rng(start).normal(size=(stop - start, N_DATES)).astype(np.float32)
        return Points(values, places, self.patterns(start, stop))

    def patterns(self, start: int, stop: int) -> np.ndarray:
        return np.full(stop - start, -1, np.int16)


def test_a_billion_points_are_trained_on_in_the_memory_of_those_held() -> None:
    tracemalloc.start()
    windows = SeriesWindows(Billion(), SPLIT, resident=8192, **SIZES)
    for step in (0, 10**6, 10**9):
        assert windows.batch(step)["scored"].any()
    list(windows.validation())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    held = 8192 * N_DATES * 4
    numbers = 8 * 10**9 // 1024
    assert peak < 6 * held + 3 * numbers


def test_sources_agree_on_mismatched_arrays() -> None:
    with pytest.raises(CubeError, match=r"\(3, 4\) values and \(3, 2\) places do not match 60 dates"):
        ArrayPoints.of(np.zeros((3, 4), np.float32), np.zeros((3, 2)), TIMES)
