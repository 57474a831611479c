"""A newer product onto a store that holds an older vintage of it: what came, what changed, what departs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from insar_dask.config import Config, load_config, parse_config
from insar_dask.cube import CubeError
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.holding.lock import owned
from insar_dask.jobs.lineage import is_current, is_of_other_data
from insar_dask.jobs.progress.status import existing_store
from insar_dask.jobs.steps.alarm_jobs import Rule, raise_alarms
from insar_dask.jobs.steps.cube_ingest import INTERFEROGRAMS, product_of
from insar_dask.jobs.steps.gathering import Stored
from insar_dask.jobs.steps.tile_jobs import is_stored, tile_sources
from insar_dask.jobs.steps.update_jobs import Meeting, compare_stored, join_stored
from insar_dask.objects import delete_below, get_bytes, open_store
from insar_dask.outcomes import OPTIONAL, departures_of, publish
from insar_dask.pipeline import kept_config
from insar_dask.readers.bucket_file import source_file
from insar_dask.readers.extents import extent_of
from insar_dask.readers.recognise import reader_of
from insar_dask.settings import known, positive
from insar_dask.sources import listed
from insar_dask.store import open_group
from insar_dask.updating.following import boxes_meet, check_newer, look_of
from insar_dask.updating.judging import Verdict
from insar_dask.updating.pairing import WITHIN
from insar_dask.workbench import Workbench

if TYPE_CHECKING:
    from distributed import Client

    from insar_dask.readers.bucket_file import SourceFile

__all__ = ["Updated", "update", "update_products"]

How = Literal["auto", "append", "vintage"]

INCOMING = "incoming"
"""Where a file that came is kept as it was read: no product of its own, it shall not be taken for one.

It stays when the update is done: a call with another rule, and one that mends a damaged shard, compare both vintages
again, and would have to read a file of text anew for that. Of an EGMS product with all its stages it is 6 %, int16
beside float32. Where nothing was new it goes."""


@dataclass(frozen=True)
class Updated:
    """What an update came to."""

    product: str
    """The one that goes on; of a file with nothing new the one that was there."""
    before: str
    verdict: Verdict
    points: dict[str, Any]
    """How many were matched, by what, and how many are new and gone."""
    alarms: dict[str, Any]
    """The note of `insar_dask.jobs.steps.alarm_jobs.raise_alarms`, or ``absent``: why there are none."""
    stages: tuple[dict[str, Any], ...]
    """What was done again, and what was kept."""
    report: Path | None
    """Its page, or the table of its alarms where the older product had no motion parameters yet."""


def update(
    path: str | Path,
    new: str | Path,
    *,
    product: str | None = None,
    how: How = "auto",
    within: float = WITHIN,
    rule: Rule | None = None,
    client: Client | None = None,
    quiet: bool = False,
) -> list[Updated]:
    """Go on with a store's products: newer dates are put behind them, or a newer vintage beside them, and judged.

    The older product stays as it was. What a killed call finished is kept, and a call for what is done does nothing.

    Parameters
    ----------
    path : str or Path
        The store.
    new : str or Path
        What ``insar-dask ingest`` reads, or a store, or ``STORE/PRODUCT``.
    product : str, optional
        The product that it goes on with; default: the latest of the same component, track and ground.
    how : {"auto", "append", "vintage"}
        What it is taken for; "auto" finds out on the dates in common.
    within : float
        Metres that a point may have moved, where it is found by its place.
    rule : Rule, optional
        When a departure is an alarm; default: that of the configuration kept beside the store.
    client : distributed.Client, optional
        Where tasks run; default: in this process.
    quiet : bool
        No progress bars.

    Returns
    -------
    list of Updated
        One a file.

    Raises
    ------
    FileNotFoundError
        When there is no such store.
    CubeError
        When something came that goes on with none of the products; it says why and what to do.
    """
    kept = kept_config(existing_store(path))
    config = load_config(kept) if kept.exists() else parse_config({})
    wanted = rule or Rule(**config.alarms.model_dump())
    with owned(path), Engine(path, client, quiet=quiet) as engine:
        bench = Workbench(config, path, engine)
        return update_products(bench, [str(new)], product, how, within, wanted)


def update_products(
    bench: Workbench, new: Sequence[str], product: str | None, how: How, within: float, rule: Rule
) -> list[Updated]:
    """As `update`, of all that several names stand for, one after the other, where a bench is open already."""
    known("how", how, get_args(How))
    positive("within", within, of="metres")
    if product is not None and product not in bench.products:
        raise CubeError(f"{bench.store} has no product {product!r}, it has {bench.products}: name one of these")
    sources = [source for name in new for source in incoming_sources(bench.config, name)]
    return [update_product(bench, source, product, how, within, rule) for source in sources]


def incoming_sources(config: Config, new: str) -> list[str | SourceFile]:
    """Files, or stored products, behind what a user names."""
    if is_stored(new):
        return [f"{source.path}/{source.group.rpartition('/')[0]}" for source in tile_sources(new)]
    return list(listed(config.source.model_copy(update={"files": [new]})))


def update_product(
    bench: Workbench,
    source: str | SourceFile,
    product: str | None = None,
    how: How = "auto",
    within: float = WITHIN,
    rule: Rule | None = None,
) -> Updated:
    """As `update`, of one file, where a bench is open already."""
    begun = len(bench.engine.reports)
    name, newer = _bring_in(bench, source, product)
    older = product or _followed(bench, name) or _forerunner(bench, newer, name)
    names = f"{older} of {bench.store}", str(source)
    found = Stored.found(bench.store, f"{older}/raw")
    target = f"{INCOMING}/{name}/overlap"
    meeting = compare_stored(bench.engine, found, newer, target, how=how, within=within, names=names)
    if meeting.verdict.kind == "nothing_new":
        _let_go(bench, f"{INCOMING}/{name}")
        return _told(bench, older, older, meeting, {"absent": "no date is new"}, begun, None)
    after = join_stored(bench.engine, meeting, f"{name}/raw", bench.config.store.shard_points)
    _note_source(bench, name, newer, len(after))
    alarms = _alarms(bench, older, name, meeting, after, rule or Rule())
    note = {"before": older, "verdict": meeting.verdict.to_dict(), "points": meeting.pairing.counts()}
    bench.engine.ledger.write_note(f"updates/{name}", note)
    page = _renew(bench, older, name) or _list_alarms(bench, name)
    return _told(bench, name, older, meeting, alarms, begun, page)


def _bring_in(bench: Workbench, source: str | SourceFile, product: str | None) -> tuple[str, Stored]:
    """The product's name to be, and the stored cube of what came."""
    if is_stored(str(source)):
        (one,) = tile_sources(str(source))
        times = open_group(one.path, one.group)["time"].values
        name = _name(bench, one.group.rpartition("/")[0], times)
        return name, Stored.found(one.path, one.group)
    reader = bench.config.source.reader or reader_of(source)
    if reader in INTERFEROGRAMS:
        raise CubeError(
            f"{source} holds interferograms, whose newer pairs change older dates too: `insar-dask invert` them all in "
            "a store of its own, and update with that store"
        )
    times = extent_of(source, reader, bench.config.source.known(reader)).times
    name = _name(bench, product_of(source), times)
    known = product or _followed(bench, name)
    heads = [known] if known else _heads(bench, name)
    if len(heads) == 1:  # refused before it is read
        check_newer(open_group(bench.store, f"{heads[0]}/raw")["time"].values, times, (heads[0], str(source)))
    bench.ingest(source_file(source), f"{INCOMING}/{name}")
    return name, Stored.found(bench.store, f"{INCOMING}/{name}/raw")


def _let_go(bench: Workbench, kept: str) -> None:
    """Remove what came and brought nothing; receipts first: what a killed call leaves is not taken for whole."""
    for stage in ("raw", "overlap"):
        bench.engine.ledger.forget(f"{kept}/{stage}")
    delete_below(bench.engine.store, kept)


def _name(bench: Workbench, base: str, times: npt.NDArray[Any]) -> str:
    """Name of the product that will go on: that of the file, with its last date where another one has that name."""
    last = np.datetime_as_string(np.asarray(times)[-1], "D").replace("-", "")
    if base not in bench.products:
        return base
    kept = open_group(bench.store, f"{base}/raw")
    mine = "follows" in kept.attrs and str(kept["time"].values[-1])[:10].replace("-", "") == last
    return base if mine else f"{base.removesuffix(f'-{last}')}-{last}"


def _followed(bench: Workbench, name: str) -> str | None:
    """The product that one goes on with that is there already, done or begun."""
    if name not in bench.products:
        return None
    before = open_group(bench.store, f"{name}/raw").attrs.get("follows")
    return None if before is None else str(before)


def _heads(bench: Workbench, name: str) -> list[str]:
    """Products that none other goes on with, but for the one that is being made."""
    follows = {one: open_group(bench.store, f"{one}/raw").attrs.get("follows") for one in bench.products}
    followed = {before for one, before in follows.items() if one != name}
    return [one for one in follows if one != name and one not in followed]


def _forerunner(bench: Workbench, newer: Stored, name: str) -> str:
    """The one product that what came goes on with."""
    cube = open_group(newer.path, newer.group)
    heads = {one: open_group(bench.store, f"{one}/raw") for one in _heads(bench, name)}
    alike = [one for one, other in heads.items() if look_of(other.attrs) == look_of(cube.attrs)]
    near = [one for one in alike if boxes_meet(heads[one], cube)]
    found = near if len(alike) > 1 else alike or (list(heads) if len(heads) == 1 else [])
    if len(found) == 1:
        return found[0]
    looks = "; ".join(f"{one} is {' '.join(look_of(other.attrs))}" for one, other in heads.items())
    raise CubeError(
        f"what came is {' '.join(look_of(cube.attrs))}, and {len(found) or 'none'} of the products of {bench.store} "
        f"look so ({looks}): name the one that it goes on with by --product, or `insar-dask ingest` it as a product of "
        "its own"
    )


def _note_source(bench: Workbench, name: str, newer: Stored, n_points: int) -> None:
    """What reports tell of where a product comes from."""
    cube, ledger = open_group(newer.path, newer.group), bench.engine.ledger
    read = ledger.read_note(f"ingest/{INCOMING}/{name}") or {
        "source": str(cube.attrs.get("source", newer.group)),
        "source_blake3": str(cube.attrs.get("source_blake3", "")),
        "n_rejected": 0,
        "rejected": None,
        "options": {},
    }
    ledger.write_note(f"ingest/{name}", {**read, "n_points": n_points, "key": ""})


def _alarms(
    bench: Workbench, older: str, name: str, meeting: Meeting, after: npt.NDArray[np.int64], rule: Rule
) -> dict[str, Any]:
    """Alarms against what was forecast; where nothing was, the older record is forecast first: it has seen no more."""
    scored = bench.engine.ledger.read_note(f"scores/{older}") or {}
    if not is_current(bench.engine, f"{older}/forecast") or is_of_other_data(bench.engine, scored, older):
        bench.foresee(older)
    scores, absent = bench.scores(older)
    if scores is None:
        note = {"absent": f"{older} has no forecast: {absent}"}
        bench.engine.ledger.write_note(f"alarms/{name}", note)
        return note
    return raise_alarms(bench.engine, name, meeting, after, rule)


def _list_alarms(bench: Workbench, name: str) -> Path | None:
    """Write the alarms where there is no page; returns the table."""
    departures, folder = departures_of(bench, name), bench.folder / name
    if departures is None or departures.alarms is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    return Path(departures.write(folder)["alarms"])


def _renew(bench: Workbench, older: str, name: str) -> Path | None:
    """Make for the newer product what the older one has; returns its page, if there is one."""
    if not _has(bench, f"{older}/products"):
        return None
    bench.prepare(name)
    if _has(bench, f"{older}/patterns"):
        bench.find_patterns(name)
    if _has(bench, f"{older}/parts"):
        bench.decompose(name)
    if bench.scores(older)[0]:
        bench.foresee(name)
    lacking = [
        part for part, why in OPTIONAL.items() if why not in bench.reasons(name) and not _has(bench, f"{name}/{part}")
    ]
    return None if lacking else publish(bench, name)


def _has(bench: Workbench, group: str) -> bool:
    return get_bytes(open_store(bench.store), f"{group}/zarr.json") is not None


def _told(
    bench: Workbench, product: str, before: str, meeting: Meeting, alarms: dict[str, Any], begun: int, page: Path | None
) -> Updated:
    stages = tuple(report.to_dict() for report in bench.engine.reports[begun:])
    return Updated(product, before, meeting.verdict, meeting.pairing.counts(), alarms, stages, page)
