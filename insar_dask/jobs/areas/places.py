"""Where areas lie: notes of a scene in its store, and its page in a folder named after both, which stores may share."""

from __future__ import annotations

from pathlib import Path

from zarr.abc.store import Store

from insar_dask.addresses import beside
from insar_dask.objects import list_names, open_store

__all__ = ["NOTES", "areas_folder", "scenes_of"]

NOTES = "areas"
"""Of a scene each vintage has a note under this name."""


def areas_folder(reports: Path, store: str | Path, scene: str) -> Path:
    """Folder of the page and the outlines of a scene.

    >>> areas_folder(Path("/reports"), "/data/site.zarr", "scene-up").as_posix()
    '/reports/site-areas-scene-up'
    """
    return reports / beside(store, f"-{NOTES}-{scene}").name


def scenes_of(path: str | Path | Store) -> list[str]:
    """Scenes whose areas a store keeps, sorted."""
    return list_names(open_store(path), f"jobs/{NOTES}")
