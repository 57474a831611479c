"""What the scheduler's web server answers under ``/insar``: the page, its JSON, and the details behind a click."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import TYPE_CHECKING, Any

from distributed.http.utils import RequestHandler
from tornado.web import HTTPError

from insar_dask.dashboard.page import live_page
from insar_dask.dashboard.snapshot import cell_details, names, places, snapshot
from insar_dask.jobs.receipts import Ledger
from insar_dask.objects import open_store

if TYPE_CHECKING:
    from insar_dask.dashboard.plugin import JobsPlugin
    from insar_dask.jobs.progress.board import Board
    from insar_dask.jobs.progress.stage_board import StageBoard

__all__ = ["receipts_of", "routes"]

RECEIPT_SECONDS = 8.0
FEWEST_TO_COMPRESS = 4096


def routes(plugin: JobsPlugin) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """Addresses and who answers them."""
    told = {"plugin": plugin}
    return [
        (r"/insar/?", _Page, told),
        (r"/insar/state\.json", _State, told),
        (r"/insar/places\.json", _Places, told),
        (r"/insar/names\.json", _Names, told),
        (r"/insar/cell\.json", _Cell, told),
        (r"/insar/receipts\.json", _Receipts, told),
    ]


class _Answer(RequestHandler):
    def initialize(self, plugin: JobsPlugin) -> None:  # type: ignore[override]
        self.plugin = plugin

    def set_default_headers(self) -> None:
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    def write_json(self, content: Any) -> None:
        data = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
        self.set_header("Content-Type", "application/json; charset=utf-8")
        if len(data) > FEWEST_TO_COMPRESS and "gzip" in self.request.headers.get("Accept-Encoding", ""):
            self.set_header("Content-Encoding", "gzip")
            data = gzip.compress(data, 1)
        self.finish(data)

    @property
    def board(self) -> Board:
        return self.plugin.board(self.get_query_argument("run", None))

    @property
    def stage(self) -> StageBoard:
        name = self.get_query_argument("stage")
        if name not in self.board.stages:
            raise HTTPError(404, reason="there is no such stage")
        return self.board.stages[name]

    def number(self, name: str, below: int) -> int:
        text = self.get_query_argument(name)
        if not text.isdecimal() or len(text) > 12 or int(text) >= below:
            raise HTTPError(404, reason=f"there is no such {name}")
        return int(text)


class _Page(_Answer):
    def get(self) -> None:
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(live_page())


class _State(_Answer):
    def get(self) -> None:
        shown = snapshot(self.board, self.get_query_argument("stage", None), workers=self.plugin.workers())
        self.write_json({**shown, "runs": self.plugin.runs()})


class _Places(_Answer):
    def get(self) -> None:
        self.write_json(places(self.stage))


class _Names(_Answer):
    def get(self) -> None:
        self.write_json(names(self.stage))


class _Cell(_Answer):
    def get(self) -> None:
        stage = self.stage
        found = cell_details(stage, self.number("cell", max(stage.n_shards, 1)))
        self.write_json([{**one, "run": self.plugin.run_of(one["store"])} if "store" in one else one for one in found])


class _Receipts(_Answer):
    async def get(self) -> None:
        stage, store = self.stage, self.board.store
        shard = self.number("shard", stage.n_shards)
        try:
            reading = asyncio.to_thread(receipts_of, store, stage.targets, shard)
            found = await asyncio.wait_for(reading, RECEIPT_SECONDS)
        except Exception as error:  # the store may be out of the scheduler's reach
            found = {"unread": f"{store} cannot be read by the scheduler: {error or type(error).__name__}"}
        self.write_json(found)


def receipts_of(store: str, targets: tuple[str, ...], shard: int) -> dict[str, Any]:
    """Receipts of a shard by target; a target that has none is left out."""
    ledger = Ledger(open_store(store))
    found = {target: ledger.find(target, shard) for target in targets}
    return {target: receipt.to_dict() for target, receipt in found.items() if receipt is not None}
