"""Stands in for a GPU's graphs on the processor: what was done is written down, and done again to the same tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["stand_in"]


class Graph:
    """Operations in the order in which they came, each with the very tensors that it read and wrote."""

    def __init__(self) -> None:
        self.steps: list[Callable[[], None]] = []
        self.replays = 0

    def replay(self) -> None:
        """Do all of it again: what is fresh memory the first time is overwritten from then on."""
        self.replays += 1
        with torch.no_grad():
            for step in self.steps:
                step()


class _Writer(TorchDispatchMode):
    """Writes down; what it does to tensors that were there before can be undone, since a GPU only writes down."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self.before: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def undo(self) -> None:
        for tensor, kept in self.before.values():
            tensor.copy_(kept)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.is_mutable:
            for tensor in tree_leaves((args, kwargs)):
                if isinstance(tensor, torch.Tensor) and id(tensor) not in self.before:
                    self.before[id(tensor)] = tensor, tensor.clone()
        out = func(*args, **(kwargs or {}))
        # a view shows what its memory holds, and what writes to its arguments does so again
        fresh = not func.is_view and not func._schema.is_mutable

        def again() -> None:
            made = func(*args, **(kwargs or {}))
            for old, new in zip(tree_leaves(out), tree_leaves(made), strict=True):
                if fresh and isinstance(old, torch.Tensor) and isinstance(new, torch.Tensor):
                    old.detach().copy_(new)

        self.graph.steps.append(again)
        return out


def stand_in(monkeypatch: pytest.MonkeyPatch) -> list[Graph]:
    """Have `torch.cuda` record on the processor; the graphs that will be."""
    made: list[Graph] = []

    @contextmanager
    def recording(graph: Graph, capture_error_mode: str) -> Iterator[None]:
        assert capture_error_mode == "thread_local"
        made.append(graph)
        state, writer = torch.get_rng_state(), _Writer(graph)
        with writer:
            yield
        with torch.no_grad():
            writer.undo()
        torch.set_rng_state(state)

    @contextmanager
    def on(stream: object) -> Iterator[None]:
        yield

    class Stream:
        def wait_stream(self, other: object) -> None:
            assert isinstance(other, Stream) and other is not self

    here = Stream()
    for name, value in {
        "CUDAGraph": Graph,
        "graph": recording,
        "Stream": Stream,
        "current_stream": lambda: here,
        "stream": on,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    return made
