"""Where the page of a scene's areas lies: in a folder named after store and scene, for stores may share the folder."""

from __future__ import annotations

from pathlib import Path

from insar_dask.objects import beside

__all__ = ["areas_folder"]


def areas_folder(reports: Path, store: str | Path, scene: str) -> Path:
    """Folder of the page and the outlines of a scene.

    >>> areas_folder(Path("/reports"), "/data/site.zarr", "scene-up").as_posix()
    '/reports/site-areas-scene-up'
    """
    return reports / beside(store, f"-areas-{scene}").name
