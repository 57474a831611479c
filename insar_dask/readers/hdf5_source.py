"""An HDF5 file, opened with errors that say what is wrong with it; h5py is imported only here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from insar_dask.cube import CubeError

__all__ = ["dataset", "open_hdf5"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """Hold an HDF5 file open for reading; what goes wrong while it is read is said of it too.

    Raises
    ------
    ImportError
        Without h5py.
    FileNotFoundError, CubeError
        No such file; empty; not HDF5; cut off or damaged.
    """
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f"reading {path.name} needs h5py: pip install 'insar-dask[geo]'") from error
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    with path.open("rb") as file:
        begin = file.read(len(SIGNATURE))
    if not begin:
        raise CubeError(f"{path.name} is empty (0 bytes): copy it again")
    if begin != SIGNATURE:
        raise CubeError(f"{path.name} is not an HDF5 file (it begins with {begin!r}): is it compressed, or another's?")
    try:
        with h5py.File(path, "r") as opened:
            yield opened
    except (OSError, RuntimeError, KeyError) as error:
        # h5py raises any of these for a damaged file; a KeyError of ours does not say that it was unable
        if isinstance(error, KeyError) and "Unable to" not in str(error):
            raise
        raise CubeError(f"{path.name} is damaged or cut off ({error}): copy it again") from None


def dataset(file: Any, name: str, path: Path, n_dims: int) -> Any:
    """A dataset by name; raises CubeError when it is not there, or has another number of dimensions."""
    import h5py

    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        raise CubeError(f"{path.name} has no dataset {name!r}, it has {sorted(file)[:12]}: is it the file you mean?")
    if found.ndim != n_dims:
        raise CubeError(f"{path.name}: {name!r} has shape {found.shape}, wanted {n_dims} dimensions")
    return found
