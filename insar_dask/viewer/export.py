"""The page as a folder for any web server that answers byte ranges: with the data beside it, or elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from zarr.abc.store import Store

from insar_dask.bucket_address import is_bucket
from insar_dask.cube import CubeError
from insar_dask.jobs.seals import parsed
from insar_dask.objects import get_blocks, get_bytes, list_keys, open_store
from insar_dask.viewer.about import arrays_of
from insar_dask.viewer.campaign_page import joined_index
from insar_dask.viewer.documents import INDEX
from insar_dask.viewer.page import PAGE, STORE, page_folder, page_text

__all__ = ["export_page"]


def export_page(
    stores: str | Path | Mapping[str, str | Path], folder: Path, address: str | None = None, tiles: str | None = None
) -> Path:
    """Write the page of a store into a folder.

    Parameters
    ----------
    stores : str, Path or mapping
        Store that has an overview, a folder or ``s3://bucket/prefix``; or product -> store, of a campaign.
    folder : Path
        New, or an earlier export, which is replaced.
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
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if names and not set(PAGE[1:]) <= names:
        raise CubeError(f"{folder} holds something else than a page of the explorer; name a new folder")
    page = page_text(address, tiles)
    folder.mkdir(parents=True, exist_ok=True)
    for name in PAGE[1:]:
        shutil.copyfile(page_folder() / name, folder / name)
    shutil.rmtree(folder / STORE, ignore_errors=True)
    if address is None:
        for name, store in many.items():
            _copy(open_store(store), folder / STORE / _within(name) if name else folder / STORE)
        if isinstance(stores, Mapping):
            index = folder / STORE / INDEX
            index.parent.mkdir(parents=True, exist_ok=True)
            index.write_text(joined_index(stores), encoding="utf-8")
    (folder / "index.html").write_text(page, encoding="utf-8")
    return folder / "index.html"


def _check_apart(store: str | Path, folder: Path) -> None:
    """Raise where what an export replaces is the store that it is made of."""
    if is_bucket(store):
        return
    own, copy = Path(store).resolve(), (folder / STORE).resolve()
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
