"""What a run's history may hold: of bytes that anybody could have written, types and sizes that a page works with."""

from __future__ import annotations

import json
import math
from functools import cache
from typing import Annotated, Any, NotRequired

from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # the one that Pydantic reads on Python 3.11

from insar_dask.jobs.progress.board import Folded, Hand
from insar_dask.jobs.progress.events import Event
from insar_dask.jobs.progress.stage_board import Fault

__all__ = ["is_batch", "is_board"]

MOST_SHARDS = 10_000_000
"""Of a stage: a hundred times what is submitted at once; a byte and a float each are 50 MB."""

Count = Annotated[int, Field(ge=0, lt=1 << 63)]
Shard = Annotated[int, Field(ge=0, lt=MOST_SHARDS)]
Width = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Bins = Annotated[list[Count], Field(max_length=120)]
Loss = FiniteFloat | None


class _Course(TypedDict):
    began: FiniteFloat
    width: Width
    jobs: Bins
    points: Bins
    bytes: Bins


class _Stage(TypedDict):
    name: str
    n_shards: Annotated[int, Field(ge=0, le=MOST_SHARDS)]
    began: FiniteFloat
    targets: list[str]
    points_of: tuple[Count, Count]
    ended: FiniteFloat | None
    error: str
    points: Count
    bytes: Count
    busy: FiniteFloat
    retries: Count
    states: str
    seconds: str
    boxes: str | None
    stores: NotRequired[list[str]]
    running: list[tuple[Shard, FiniteFloat, str]]
    faults: list[Fault]
    course: _Course
    pace: list[tuple[FiniteFloat, Count, Count]]


class _Said(TypedDict):
    """Of a training; what else it says is shown as it is."""

    model: NotRequired[str]
    step: NotRequired[FiniteFloat]
    of: NotRequired[FiniteFloat]
    loss: NotRequired[float | None]
    validation: NotRequired[float | None]
    at: NotRequired[FiniteFloat]


class _Board(TypedDict):
    version: int
    run: str
    store: str
    began: FiniteFloat
    last: FiniteFloat
    ended: FiniteFloat | None
    error: str
    losses: dict[str, list[tuple[FiniteFloat, Loss, Loss]]]
    training: dict[str, _Said]
    stages: list[_Stage]
    folded: Folded
    hands: dict[str, Hand]


class _Batch(TypedDict):
    at: FiniteFloat
    events: list[Event]


class _Begun(TypedDict):
    """What the beginning of a stage says."""

    n_shards: NotRequired[Annotated[int, Field(ge=0, le=MOST_SHARDS)]]
    skipped: NotRequired[list[tuple[Shard, Annotated[int, Field(ge=0, le=MOST_SHARDS)]]]]
    points: NotRequired[tuple[Count, Count]]
    targets: NotRequired[list[str]]
    boxes: NotRequired[str | None]
    stores: NotRequired[list[str]]


def is_board(data: bytes) -> bool:
    """Whether JSON holds what `Board.to_dict` made plain, as far as types and sizes say."""
    try:
        board: _Board = _adapter(_Board).validate_json(data, strict=True)
    except ValidationError:
        return False
    faults = [fault for stage in board["stages"] for fault in stage["faults"]]
    sums: list[Folded | Hand | Fault] = [board["folded"], *board["hands"].values(), *faults]
    return all(_fits(stage) for stage in board["stages"]) and all(_is_finite(one) for one in sums)


def is_batch(data: bytes) -> bool:
    """Whether JSON holds a batch of events, of which each says what its kind does."""
    try:
        batch: _Batch = _adapter(_Batch).validate_json(data, strict=True)
        return all(_is_sound(event) for event in batch["events"])
    except ValidationError:
        return False


def _fits(stage: _Stage) -> bool:
    n_shards = stage["n_shards"]
    named = [shard for shard, _, _ in stage["running"]] + [fault.shard for fault in stage["faults"]]
    return all(0 <= shard < n_shards for shard in named)


def _is_sound(event: Event) -> bool:
    if not math.isfinite(event.at + event.seconds) or not 0 <= (event.shard or 0) < MOST_SHARDS:
        return False
    if event.kind == "stage":
        begun: _Begun = _adapter(_Begun).validate_json(json.dumps(event.extra), strict=True)
        n_shards = begun.get("n_shards", 0)
        return all(first <= stop <= n_shards for first, stop in begun.get("skipped", ()))
    if event.kind == "loss":
        _adapter(_Said).validate_json(json.dumps(event.extra), strict=True)
    return True


def _is_finite(sums: Folded | Hand | Fault) -> bool:
    return all(math.isfinite(value) for value in vars(sums).values() if isinstance(value, float))


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
