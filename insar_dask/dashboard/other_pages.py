"""Pages of a store besides that of its chunk jobs: reports, moving areas, and exports of the explorer that show it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from zarr.abc.store import Store

from insar_dask.addresses import address, beside
from insar_dask.config import load_config
from insar_dask.jobs.areas.places import areas_folder, scenes_of
from insar_dask.jobs.receipts import Ledger
from insar_dask.objects import get_bytes, open_store
from insar_dask.store import products
from insar_dask.viewer.documents import GROUP, INDEX
from insar_dask.viewer.export import MARK
from insar_dask.viewer.page import STORE

__all__ = ["other_pages", "report_links"]

Lead = dict[str, str]
"""``label``, and ``href`` or the ``command`` that makes the page."""


def other_pages(path: str | Path, folder: Path) -> list[Lead]:
    """Leads from a folder to the pages of a store that are there.

    Parameters
    ----------
    path : str or Path
        A store; its reports lie where the configuration beside it says.
    folder : Path
        Where the page goes that leads to them.

    Returns
    -------
    list of dict
        ``label`` and ``href``, a path from the folder; of a store that can be explored and has no export beside it
        the ``command`` that shows it.
    """
    store, reports = open_store(path), _reports(path)
    names = products(store)
    found = [(f"Report of {name}", reports / name / "index.html") for name in names]
    found += [(f"Areas of {scene}", areas_folder(reports, path, scene) / "index.html") for scene in scenes_of(store)]
    exports = [("Explorer", page) for page in _exports(store, names, {reports, folder})]
    leads = [{"label": label, "href": _href(page, folder)} for label, page in [*found, *exports] if page.is_file()]
    if not exports and get_bytes(store, INDEX) is not None:
        leads.append({"label": "Explorer", "command": f"insar-dask explore {shlex.quote(address(path))}"})
    return leads


def report_links(book: str | Path, folder: Path) -> dict[str, str]:
    """Store of a campaign's product -> path from a folder to its report, of those that are there.

    A book may be somebody else's: it leads to no page outside of the folders that a run would write.
    """
    ledger, found = Ledger(open_store(book)), dict[str, str]()
    ours = {_reports(book).resolve(), beside(book).parent.resolve()}
    for name in _texts(ledger.read_note("catalogue"), "products"):
        store, report = (_texts(ledger.read_note(f"outcomes/{name}"), key) for key in ("store", "report"))
        if not store or not report:
            continue
        page = Path(report[0]).resolve()
        if ours & set(page.parents) and page.is_file():
            found[address(store[0])] = _href(page, folder.resolve())
    return found


def _texts(note: Any, key: str) -> list[str]:
    """Texts of a note; what is none of a book's is for `insar-dask status` to say, not for a link."""
    values = note.get(key) if isinstance(note, Mapping) else None
    return [one for one in (values if isinstance(values, list) else [values]) if isinstance(one, str)]


def _reports(path: str | Path) -> Path:
    """Folder of the reports: that of the configuration kept beside a store, or beside the store."""
    kept, named = beside(path, "-config.toml"), None
    with suppress(ValueError, OSError):  # of another version, or none
        named = load_config(kept).store.folder
    return Path(named).absolute() if named else kept.parent


def _exports(store: Store, names: Sequence[str], folders: set[Path]) -> Iterator[Path]:
    """Exported pages in some folders that hold just the overview that the store has now."""
    shown = {name: get_bytes(store, f"{name}/{GROUP}/zarr.json") for name in names}
    for folder in sorted(folders):
        for mark in sorted(folder.glob(f"*/{MARK}")):
            data, page = mark.parent / STORE, mark.parent / "index.html"
            for name, overview in shown.items():
                copies = [data / name, *data.glob(f"*/{name}")]
                if overview and page.is_file() and any(_holds(one / GROUP / "zarr.json", overview) for one in copies):
                    yield page
                    break


def _holds(path: Path, data: bytes) -> bool:
    return path.is_file() and path.read_bytes() == data


def _href(page: Path, folder: Path) -> str:
    return quote(os.path.relpath(page, folder))
