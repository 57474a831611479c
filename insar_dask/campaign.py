"""Many products, each in a store of its own: one book says which are done, and several are worked on at a time.

A store of a country would be one folder of a thousand products that no two runs can share; stores of their own can be
moved, given away and lost one by one. A product's receipt in the campaign's book bears the hash of its own store's
receipts, so that going over a thousand finished products reads no data.
"""

from __future__ import annotations

import hashlib
import json
import socket
import time
from asyncio import CancelledError
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from insar_dask.addresses import address, beside, child_address
from insar_dask.bucket_address import bucket_address, is_bucket
from insar_dask.campaign_book import BOOK, TARGET, place_of, product_names
from insar_dask.config import PRODUCT, Config, to_toml
from insar_dask.crew import as_they_end
from insar_dask.jobs.devices import device_of
from insar_dask.jobs.engine import JobError
from insar_dask.jobs.holding.lock import owned
from insar_dask.jobs.progress.events import Event, Told, failure
from insar_dask.jobs.progress.journal import Journal
from insar_dask.jobs.progress.stage_board import packed_boxes, ranges
from insar_dask.jobs.progress.status import targets
from insar_dask.jobs.progress.watch import Progress, done, told_as
from insar_dask.jobs.receipts import Ledger, Receipt
from insar_dask.jobs.recipe import STEPS, canonical_key
from insar_dask.jobs.standing import is_whole
from insar_dask.jobs.steps.cube_ingest import files_read
from insar_dask.objects import keep_text, open_store
from insar_dask.outcomes import Outcome
from insar_dask.readers.area import area_files
from insar_dask.readers.bucket_file import BucketFile, SourceFile
from insar_dask.readers.recognise import reader_of
from insar_dask.shards import SMALL_CUBE_SHARDS
from insar_dask.sources import named_products
from insar_dask.tiles import extent_of_product
from insar_dask.viewer.documents import GROUP

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Campaign", "is_campaign"]

MOST_AT_ONCE = 32

RunOne = Callable[[Config], list[Outcome]]
"""Runs a configuration of one product and one store."""


def is_campaign(config: Config) -> bool:
    """Whether each product gets a store of its own."""
    return PRODUCT in config.store.path


@dataclass(frozen=True)
class Campaign:
    """A configuration whose ``[store] path`` holds ``{product}``.

    Parameters
    ----------
    config : Config
    quiet : bool
        No bar of products.
    """

    config: Config
    quiet: bool = False

    @property
    def book(self) -> Path | str:
        """Store that holds the book: beside the products' stores."""
        store = self.config.store
        if is_bucket(store.path):
            before = store.path.partition(PRODUCT)[0].rpartition("/")[0]
            return child_address(bucket_address(before, store.options), BOOK)
        above = Path(store.path).absolute().parents
        return next(folder for folder in above if PRODUCT not in str(folder)) / BOOK

    @property
    def ledger(self) -> Ledger:
        """Of the book."""
        return Ledger(open_store(self.book))

    def run(self, one: RunOne, client: Client | None) -> list[Outcome]:
        """Bring every product up to date, several at a time where there is a cluster.

        Parameters
        ----------
        one : callable
            Runs one product.
        client : distributed.Client or None
            Cluster that the products share.

        Returns
        -------
        list of Outcome
            In the order of the products' names.

        Raises
        ------
        JobError
            When products failed, after all others are done; it names them.
        """
        sources = named_products(self.config.source)
        kept = beside(self.book, "-config.toml")
        kept.parent.mkdir(parents=True, exist_ok=True)
        with owned(self.book):
            keep_text(kept, to_toml(self.config.lasting))
            numbers = self._numbered(sources)
            journal = Journal(self.ledger.store, client, address(self.book), quiet=self.quiet)
            bar = Progress("products", len(sources), quiet=self.quiet)
            with journal, told_as(journal, TARGET, self._outset(numbers, sources)), bar as progress:
                errors = self._run_all(one, client, sources, numbers, progress, journal)
                self.ledger.compact(TARGET)
                self.ledger.write_note("failures", errors)
                if errors:
                    told = "\n".join(f"  {name}: {error.splitlines()[0]}" for name, error in sorted(errors.items()))
                    raise JobError(f"{len(errors)} of {len(sources)} products failed, the others are done:\n{told}")
        return [self._told(name) for name in sorted(sources)]

    def _run_all(
        self,
        one: RunOne,
        client: Client | None,
        sources: Mapping[str, SourceFile],
        numbers: Mapping[str, int],
        bar: Progress,
        told: Told,
    ) -> dict[str, str]:
        """Errors of the products that failed, by name."""
        before, errors, device = self.ledger.done(TARGET), {}, device_of(client)

        def work(name: str) -> int:
            config = self.of(name, sources[name])
            key = _key(config, sources[name], device)
            try:
                return self._bring_up(one, name, config, key, numbers[name], before.get(numbers[name]), told)
            except CancelledError as error:  # of what is asked of a client that goes; it is no Exception
                raise JobError("it was cancelled, or its cluster went; run again") from error

        with closing(as_they_end(work, sorted(sources), self.at_once(client))) as ended:
            for name, outcome in ended:
                if isinstance(outcome, Exception):
                    if client is not None and client.status != "running":
                        raise JobError(f"the cluster is gone while {name} was worked on; run again") from outcome
                    errors[name] = str(outcome) or repr(outcome)
                    told(Event("failed", TARGET, numbers[name], **failure(outcome)))
                bar.advance(outcome if isinstance(outcome, int) else 0)
        return errors

    def at_once(self, client: Client | None) -> int:
        """Products worked on at a time: unless it is said, so many that two shards a thread are at hand, and one more.

        That one covers what of a product is no chunk job, such as its page.
        """
        if self.config.store.at_once is not None or client is None:
            return self.config.store.at_once or 1
        threads: int = sum(client.nthreads().values())
        return min(MOST_AT_ONCE, 1 + -(-2 * threads // SMALL_CUBE_SHARDS))

    def store_of(self, name: str) -> str:
        """Path of a product's store, as the configuration has it."""
        return self.config.store.path.replace(PRODUCT, name)

    def of(self, name: str, source: SourceFile) -> Config:
        """Configuration of one product."""
        path = self.store_of(name)
        return self.config.model_copy(
            update={
                "source": self.config.source.model_copy(update={"files": [str(source)]}),
                "store": self.config.store.model_copy(update={"path": path}),
            }
        )

    def _outset(self, numbers: Mapping[str, int], sources: Mapping[str, SourceFile]) -> dict[str, Any]:
        """What is said of the products as they set out: which stores they are, and where on the ground tiles lie.

        Those that are done and that this run has no files of are told of as done.
        """
        receipts = self.ledger.done(TARGET)
        left_out = (number for name, number in numbers.items() if name not in sources and number in receipts)
        options = self.config.store.options
        stores = [
            bucket_address(path, options) if is_bucket(path) else address(path)
            for path in (self.store_of(name) for name in numbers)
        ]
        boxes = np.array([extent_of_product(name) or (np.nan,) * 4 for name in numbers]).reshape(-1, 4)
        known = {"boxes": packed_boxes(boxes)} if np.isfinite(boxes).any() else {}
        about = {"n_shards": len(numbers), "skipped": ranges(left_out), "targets": [TARGET]}
        return {**about, "stores": stores, **known}

    def _bring_up(
        self, one: RunOne, name: str, config: Config, key: str, number: int, receipt: Receipt | None, told: Told
    ) -> int:
        """Run a product unless it is done; returns its points."""
        began = time.perf_counter()
        if receipt is not None and receipt.key == key and self._stands(name, receipt):
            told(Event("skipped", TARGET, number))
            return receipt.points
        told(Event("running", TARGET, number, worker=socket.gethostname()))
        if receipt is not None:
            self.ledger.revoke(TARGET, [number])
        outcome, *others = one(config)  # of areas too, which tell of the same product
        lines = [*outcome.summary, *(line for other in others for line in other.summary)]
        note = {"store": str(outcome.store), "report": str(outcome.report), "summary": lines}
        self.ledger.write_note(f"outcomes/{name}", note)
        stored, points = _signature(_receipts(Ledger(open_store(outcome.store)))), self._points(outcome)
        signed = Receipt.sign(number, key, stored, points, began)
        self.ledger.write(TARGET, signed)
        told(done(TARGET, signed))
        return points

    def _stands(self, name: str, receipt: Receipt) -> bool:
        """Whether a product's store has the receipts it was signed with, and what they are for, and its page."""
        note = self.ledger.read_note(f"outcomes/{name}")
        if note is None or not Path(note["report"]).exists():
            return False
        ledger = Ledger(open_store(note["store"]))
        done = _receipts(ledger)
        return _signature(done) == (receipt.checksum, receipt.size) and is_whole(ledger, done)

    def _points(self, outcome: Outcome) -> int:
        note = Ledger(open_store(outcome.store)).read_note(f"ingest/{outcome.product}") or {}
        return int(note.get("n_points", 0))

    def _told(self, name: str) -> Outcome:
        note = self.ledger.read_note(f"outcomes/{name}")
        if note is None:
            raise JobError(f"{address(self.book)} has lost its note of {name}; run again")
        return Outcome(name, place_of(note["store"]), Path(note["report"]), tuple(note["summary"]))

    def _numbered(self, sources: Mapping[str, SourceFile]) -> dict[str, int]:
        """A number for each product, for good: the book's receipts bear it. New products follow those known."""
        known = product_names(self.ledger, self.book)
        names = [*known, *sorted(set(sources) - set(known))]
        if names != known:
            self.ledger.write_note("catalogue", {"products": names})
        return {name: number for number, name in enumerate(names)}


def _key(config: Config, source: SourceFile, device: str = "cpu") -> str:
    """Of what a product's results follow from: its files as they lie there, the configuration, the steps' versions.

    GPUs make others than processors do.
    """
    files = [*_read_for(config, source), *_beside(config)]
    looks = [[file.name, (found := file.stat()).st_size, found.st_mtime_ns] for file in sorted(files, key=str)]
    wanted = config.model_dump(
        mode="json", exclude={"source": {"files"}, "cluster": True, "cost": True, "store": {"path", "at_once"}}
    )
    where = {} if device == "cpu" else {"device": device}
    return canonical_key({"files": looks, "config": wanted, "steps": {name: STEPS[name][1] for name in STEPS}, **where})


def _read_for(config: Config, source: SourceFile) -> list[SourceFile]:
    if isinstance(source, BucketFile):
        return [source]
    reader = config.source.reader or reader_of(source)
    return [source] if reader == "egms" else [*files_read(source, reader, config.source.known(reader))]


def _beside(config: Config) -> list[Path]:
    """Files that a configuration names besides its sources, such as that of an area, or delays."""
    areas = config.areas
    named = [config.source.area, config.pairs.delays, config.inversion.temperature]
    named += [areas.inventory, areas.before, areas.dem]
    paths = [path for name in named if isinstance(name, str) and (path := Path(name)).is_file()]
    return [file for path in paths for file in area_files(path)]


def _receipts(ledger: Ledger) -> dict[str, list[Receipt]]:
    """All receipts of a store, by target, but for those of overviews, which whoever explores it makes."""
    made = (target for target in targets(ledger) if target.split("/")[1:2] != [GROUP])
    return {target: list(ledger.done(target).values()) for target in made}


def _signature(done: Mapping[str, list[Receipt]]) -> tuple[str, int]:
    """Hash over all receipts of a store, and the bytes that they vouch for."""
    rows: list[Any] = [[target, [[r.index, r.key, r.checksum] for r in receipts]] for target, receipts in done.items()]
    return (
        hashlib.sha256(json.dumps(rows).encode()).hexdigest(),
        sum(r.size for receipts in done.values() for r in receipts),
    )
