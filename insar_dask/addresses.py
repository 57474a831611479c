"""Where stores lie, in folders and buckets alike, and what lies above, below and beside them."""

from __future__ import annotations

from pathlib import Path

from zarr.abc.store import Store
from zarr.storage import LocalStore

from insar_dask.bucket_address import bucket_address, is_bucket
from insar_dask.buckets import Bucket

__all__ = ["address", "beside", "child_address", "parent_address"]


def address(path: str | Path | Store) -> str:
    """Where a store lies, as it can be shown, kept, and sent to a worker on another machine: without credentials.

    >>> address("s3://site/a.zarr/")
    's3://site/a.zarr'
    """
    if isinstance(path, Bucket):
        return path.address
    if isinstance(path, LocalStore):
        return str(path.root)
    if isinstance(path, Store):
        return str(path)
    return bucket_address(str(path)) if is_bucket(path) else str(Path(path).absolute())


def parent_address(path: str | Path) -> tuple[str, str]:
    """Address of what a folder or prefix lies in, and its name there.

    >>> parent_address("s3://site/a.zarr/raw?region=eu-west-1")
    ('s3://site/a.zarr?region=eu-west-1', 'raw')
    """
    place, mark, options = address(path).partition("?") if is_bucket(path) else (address(path), "", "")
    parent, _, name = place.rpartition("/")
    return f"{parent}{mark}{options}", name


def child_address(path: str | Path, name: str) -> str | Path:
    """What lies under a name in a folder or prefix.

    >>> child_address("s3://site/a.zarr?region=eu-west-1", "raw")
    's3://site/a.zarr/raw?region=eu-west-1'
    """
    if not is_bucket(path):
        return Path(path) / name
    place, mark, options = bucket_address(str(path)).partition("?")
    return f"{place}/{name}{mark}{options}"


def beside(path: str | Path, ending: str = "") -> Path:
    """File or folder beside a store, named after it, whose own ending ``.zarr`` is left out.

    What lies beside a bucket lies in the working directory, named after bucket and key: stores of one name in two
    places do not share it.

    >>> beside("/data/cube.zarr", "-config.toml").as_posix()
    '/data/cube-config.toml'
    >>> [beside(f"/data/{track}", "-config.toml").name for track in ("track.022", "track.095")]
    ['track.022-config.toml', 'track.095-config.toml']
    >>> beside("s3://maps/eu/cube.zarr?region=eu-west-1", "-config.toml").name
    'maps-eu-cube-config.toml'
    """
    if not is_bucket(path):
        store = Path(path).absolute()
        return store.with_name(f"{store.name.removesuffix('.zarr')}{ending}")
    place = bucket_address(str(path)).partition("?")[0].removeprefix("s3://").removesuffix(".zarr")
    return Path.cwd() / f"{place.replace('/', '-')}{ending}"
