"""The page as a folder for any web server that answers byte ranges: with the data beside it, or elsewhere.

The folder is marked before anything else is written, so that an export that was killed is known for what it is; data
are copied beside their place and take it when they are whole, and ``index.html`` comes last.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from zarr.abc.store import Store

from insar_dask.bucket_address import is_bucket
from insar_dask.cube import CubeError
from insar_dask.jobs.seals import parsed
from insar_dask.objects import get_blocks, get_bytes, keep_bytes, list_keys, open_store
from insar_dask.viewer.about import arrays_of
from insar_dask.viewer.campaign_page import joined_index
from insar_dask.viewer.documents import INDEX
from insar_dask.viewer.page import PAGE, STORE, page_folder, page_text

__all__ = ["export_page"]

MARK = ".insar-dask-page"
"""File by which an export knows a folder as its own."""

DRAFT = f"{STORE}.part"

TOLD = "A page of `insar-dask explore`: the next export into this folder replaces it.\n"

TITLE = "<title>Ground motion</title>"
"""In the page of exports that left no mark yet."""


def export_page(
    stores: str | Path | Mapping[str, str | Path], folder: Path, address: str | None = None, tiles: str | None = None
) -> Path:
    """Write the page of a store into a folder.

    Parameters
    ----------
    stores : str, Path or mapping
        Store that has an overview, a folder or ``s3://bucket/prefix``; or product -> store, of a campaign.
    folder : Path
        New, or an earlier export, whole or cut off, which is replaced; what else lies there stays.
    address : str, optional
        Where the store can be read over HTTP: nothing is copied, and the page's policy names that place alone.
        Default: what the page reads is copied into ``FOLDER/data.zarr``.
    tiles : str, optional
        Address of background images with ``{z}``, ``{x}`` and ``{y}``, which the policy names too.

    Returns
    -------
    Path
        ``FOLDER/index.html``.

    Raises
    ------
    CubeError
        When the folder holds something else, or the store itself.
    ValueError
        When an address is none of a web server.
    """
    many = stores if isinstance(stores, Mapping) else {"": stores}
    for store in many.values():
        _check_apart(store, folder)
    if folder.exists() and any(folder.iterdir()) and not _is_ours(folder):
        raise CubeError(f"{folder} holds something else than a page of the explorer; name a new folder")
    page, data, draft = page_text(address, tiles), folder / STORE, folder / DRAFT
    folder.mkdir(parents=True, exist_ok=True)
    keep_bytes(folder / MARK, TOLD.encode())
    _clear(draft)
    if address is None:
        for name, store in many.items():
            _copy(open_store(store), draft / _within(name) if name else draft)
        if isinstance(stores, Mapping):
            (draft / INDEX).parent.mkdir(parents=True, exist_ok=True)
            (draft / INDEX).write_text(joined_index(stores), encoding="utf-8")
    for name in PAGE[1:]:
        keep_bytes(folder / name, (page_folder() / name).read_bytes())
    _clear(data)
    if address is None:
        draft.rename(data)
    keep_bytes(folder / "index.html", page.encode())
    return folder / "index.html"


def _is_ours(folder: Path) -> bool:
    if (folder / MARK).is_file() or {path.name for path in folder.iterdir()} == {f"{MARK}.part"}:
        return True
    page = folder / "index.html"
    return page.is_file() and TITLE in page.read_text(encoding="utf-8", errors="replace")


def _clear(folder: Path) -> None:
    """Remove a folder of an earlier export; what a link leads to is somebody else's."""
    if folder.is_symlink():
        raise CubeError(f"{folder} is a link, and nothing is written behind it; remove it, or name a new folder")
    if folder.exists():
        shutil.rmtree(folder)


def _check_apart(store: str | Path, folder: Path) -> None:
    """Raise where what an export replaces is the store that it is made of."""
    if is_bucket(store):
        return
    own = Path(store).resolve()
    for copy in ((folder / STORE).resolve(), (folder / DRAFT).resolve()):
        if copy == own or copy in own.parents or own in copy.parents:
            raise CubeError(f"{store} and the page in {folder} would lie in each other; name another folder")


def _copy(store: Store, folder: Path) -> None:
    """Copy what the page reads: overviews, series, motion parameters, names; not what the other stages need."""
    index = get_bytes(store, INDEX)
    if index is None:
        raise CubeError("the store has no overview; `insar-dask explore` makes it")
    groups = [_within(str(one["group"])) for one in parsed(index)["attributes"]["products"]]
    wanted = ["zarr.json", INDEX]
    for group in groups:
        wanted += list_keys(store, f"{group}/")
        for array in arrays_of(parsed(get_bytes(store, f"{group}/zarr.json") or b"{}")["attributes"]):
            wanted += [*list_keys(store, f"{_within(array)}/"), f"{array.rpartition('/')[0]}/zarr.json"]
        wanted.append(f"{group.rpartition('/')[0]}/zarr.json")
    for key in sorted(set(wanted)):
        size_and_blocks = get_blocks(store, key)
        if size_and_blocks is None:
            raise CubeError(f"{key} is gone from the store; run again what makes it")
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.writelines(size_and_blocks[1])


def _within(name: str) -> str:
    """A name that a document of the store gives, which may be somebody else's: it leads nowhere out of the store."""
    if not {"", ".", ".."}.isdisjoint(name.split("/")) or "\\" in name:
        raise CubeError(
            f"the store's overview names {name!r}, which is no place in it; `insar-dask explore` makes it anew"
        )
    return name
