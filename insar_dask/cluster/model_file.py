"""Clusters as one .npz file: a header of JSON and the arrays learned, nothing pickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.array_files import read_arrays

__all__ = ["read_model", "write_model"]

FORMAT = 1


def write_model(path: Path, header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write a header of plain values and arrays."""
    text = json.dumps({"format": FORMAT, **header})
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, header=np.array(text), **arrays)


def read_model(path: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Read what `write_model` wrote.

    Raises
    ------
    ValueError
        When the file is none of these, or damaged.
    """
    try:
        with path.open("rb") as file:
            arrays = read_arrays(file)
        header = dict(json.loads(str(arrays.pop("header"))))
        written, _ = header["format"], (header["parameters"], header["until"], arrays["centroids"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} holds no Clusters, or is damaged; they are written by Clusters.save") from error
    if written != FORMAT:
        raise ValueError(f"{path} has format {written}, this version reads {FORMAT}: fit anew")
    return header, arrays
