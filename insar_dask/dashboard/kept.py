"""The page of a run that is over, or dead: all that a click may ask for is in it, as far as one megabyte goes.

Stages come first, those that went wrong before the others; then the map; then what went wrong with shards; and with
what room is left the receipts, the failed and retried shards' before the others'.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

from zarr.abc.store import Store

from insar_dask.addresses import beside
from insar_dask.dashboard.other_pages import other_pages, report_links
from insar_dask.dashboard.page import dead_page
from insar_dask.dashboard.product_pages import product_pages, within
from insar_dask.dashboard.snapshot import LETTERS, names, places, shard_details, snapshot
from insar_dask.jobs.progress.board import Board
from insar_dask.jobs.progress.live_view import latest_run
from insar_dask.jobs.progress.stage_board import DONE, SKIPPED, StageBoard
from insar_dask.jobs.receipts import Ledger
from insar_dask.objects import open_store

__all__ = ["kept_page", "kept_state", "write_page"]

STAGE_CHARACTERS = 420_000
PLACE_CHARACTERS = 160_000
FAULT_CHARACTERS = 120_000
RECEIPT_CHARACTERS = 120_000
"""With the page's own 44,000, all of it stays below a megabyte: a campaign, whose names and links take 200,000, has one
stage, and no receipts of a kilobyte."""

LONGEST_TRACE = 4_000


def write_page(path: str | Path, run: str | None = None) -> Path:
    """Write the page of a run of a store, by default of the last one, beside the store, or here where it is a bucket.

    Raises
    ------
    FileNotFoundError
        When the store has no history of runs, or not of that one.
    """
    store, where = open_store(path), beside(path, "-jobs.html")
    board = latest_run(store, run).read()
    # those of products lead no further, whatever their histories say that they are
    links, troubles = product_pages(board, path, where.parent, _write_own)
    leads = {"pages": links, "troubles": troubles, "others": other_pages(path, where.parent)}
    if board.leads:
        leads["reports"] = within(report_links(path, where.parent))
    where.write_text(kept_page(board, store, leads), encoding="utf-8")
    return where


def _write_own(path: str) -> None:
    store, where = open_store(path), beside(path, "-jobs.html")
    leads = {"others": other_pages(path, where.parent)}
    where.write_text(kept_page(latest_run(store).read(), store, leads), encoding="utf-8")


def kept_page(board: Board, store: Store, leads: Mapping[str, Any] | None = None) -> str:
    """A page of HTML that needs neither a network nor a scheduler; see `kept_state`."""
    return dead_page(kept_state(board, Ledger(store), leads=leads))


def kept_state(
    board: Board, ledger: Ledger, now: float | None = None, leads: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """All that the page of a run that is over shows.

    Of ``leads`` may be there: ``others``, to what else there is to see of the store; and of a campaign ``pages`` of its
    stores, ``troubles``, why some of these are not there, and ``reports``.
    """
    now = time.time() if now is None else now
    base = snapshot(board, now=board.ended or board.last)
    current = base.pop("stage")
    chosen = _chosen(board, None if current is None else current["name"])
    stages = {name: snapshot(board, name, now=board.ended or board.last)["stage"] for name in chosen}
    lengths = {name: _lengths(board.stages[name]) for name in chosen}
    stages, lengths = _within(stages, lengths)
    drawn, places_of = _places(board, stages)
    return {
        "base": {**base, "now": now},
        "version": version("insar-dask"),
        "current": None if current is None else current["name"],
        "stages": stages,
        "lengths": lengths,
        "places": drawn,
        "places_of": places_of,
        "names": {name: names(board.stages[name]) for name in stages if board.stages[name].stores},
        **{"pages": {}, "troubles": {}, "reports": {}, "others": []} | dict(leads or {}),
        "details": _details(board, stages),
        "receipts": _receipts(board, ledger, stages),
        "elsewhere": "It is not in this page, which has room for some only: see jobs/receipts/ in the store.",
    }


def _chosen(board: Board, current: str | None) -> list[str]:
    """Stages in the order in which they are to be kept: the one shown first, what went wrong, then the latest."""
    latest = list(reversed(board.stages.values()))
    first = [stage for stage in latest if stage.error or stage.faults or stage.ended is None]
    names = [current, *(stage.name for stage in first), *(stage.name for stage in latest)]
    return list(dict.fromkeys(name for name in names if name is not None))


def _within(
    stages: Mapping[str, dict[str, Any]], lengths: Mapping[str, list[Any]]
) -> tuple[dict[str, dict[str, Any]], dict[str, list[Any]]]:
    kept: dict[str, dict[str, Any]] = {}
    room = STAGE_CHARACTERS
    for name, stage in stages.items():
        room -= _size(stage) + _size(lengths[name])
        if kept and room < 0:
            break
        kept[name] = stage
    return kept, {name: lengths[name] for name in kept}


def _lengths(stage: StageBoard) -> list[tuple[str, int]]:
    """States of the shards as letters with how many of them follow one another."""
    return [(LETTERS[state], len(list(same))) for state, same in groupby(stage.states)]


def _places(board: Board, stages: Mapping[str, Any]) -> tuple[list[Any], dict[str, int]]:
    """Boxes of the cells, and which of them a stage has: those of one product's stages are the same."""
    drawn: list[Any] = []
    of: dict[str, int] = {}
    room = PLACE_CHARACTERS
    for name in stages:
        boxes = places(board.stages[name])
        if boxes is not None and boxes not in drawn:
            room -= _size(boxes)
            if room < 0:
                continue
            drawn.append(boxes)
        if boxes is not None:
            of[name] = drawn.index(boxes)
    return drawn, of


def _details(board: Board, stages: Mapping[str, Any]) -> dict[str, dict[int, Any]]:
    """What is known of single shards, those with faults first."""

    def details(name: str, shard: int) -> dict[str, Any]:
        told = shard_details(board.stages[name], shard)
        if "fault" in told:
            told["fault"]["traceback"] = told["fault"]["traceback"][-LONGEST_TRACE:]
        del told["shard"], told["state"]
        return told

    return _as_far_as(FAULT_CHARACTERS, board, stages, details)


def _of_interest(board: Board, stages: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Shards of stages: what failed, what ran when the run ended, what was retried, then all others in turn."""
    seen: set[tuple[str, int]] = set()
    for kind in ("failed", "running", "retried", "others"):
        for name in stages:
            stage = board.stages[name]
            faults = [
                shard for shard, fault in stage.faults.items() if (fault.kind == "retried") == (kind == "retried")
            ]
            of_kind = {"running": list(stage.running), "others": range(stage.n_shards)}.get(kind, faults)
            for shard in of_kind:
                if (name, shard) not in seen:
                    seen.add((name, shard))
                    yield name, shard


def _receipts(board: Board, ledger: Ledger, stages: Mapping[str, Any]) -> dict[str, dict[int, Any]]:
    """Receipts by stage, shard and target; those of a target are read when the first of them is wanted."""
    done = cache(ledger.done)

    def receipts(name: str, shard: int) -> dict[str, Any]:
        stage = board.stages[name]
        if stage.states[shard] not in (DONE, SKIPPED):  # nobody is shown what is not done
            return {}
        return {target: done(target)[shard].to_dict() for target in stage.targets if shard in done(target)}

    return _as_far_as(RECEIPT_CHARACTERS, board, stages, receipts)


def _as_far_as(
    room: int, board: Board, stages: Mapping[str, Any], told: Callable[[str, int], dict[str, Any]]
) -> dict[str, dict[int, Any]]:
    """What is told of shards, by stage, until so many characters are used up; those of interest come first."""
    kept: dict[str, dict[int, Any]] = {name: {} for name in stages}
    for name, shard in _of_interest(board, stages):
        if not (found := told(name, shard)):
            continue
        room -= _size({shard: found})
        if room < 0:
            break
        kept[name][shard] = found
    return kept


def _size(content: Any) -> int:
    return len(json.dumps(content, separators=(",", ":")))
