"""Memory that torch works in, counted as tensors come and go, on devices without numbers too."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["LiveTensors"]


class LiveTensors(TorchDispatchMode):
    """Counts every tensor that is made, until nothing refers to its memory any more: bytes now, and at most."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = 0
        self.counted: set[int] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor):
                self.count(leaf.untyped_storage())
        return out

    def count(self, storage: torch.UntypedStorage) -> None:
        """Count a storage, once."""
        key, size = storage._cdata, storage.nbytes()
        if key in self.counted:
            return
        self.counted.add(key)
        weakref.finalize(storage, self.forget, key, size).atexit = False
        self.live += size
        self.peak = max(self.peak, self.live)

    def forget(self, key: int, size: int) -> None:
        """A storage is gone."""
        self.counted.discard(key)
        self.live -= size
