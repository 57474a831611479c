"""What a setting may be: looked at once, at the door, by an error that names it, what was wanted, and what came."""

from __future__ import annotations

import math
from collections.abc import Collection
from numbers import Real
from typing import Any

import numpy as np

__all__ = ["known", "plain", "positive", "share", "whole"]


def whole(name: str, value: Any, least: int = 1, most: float = math.inf, *, of: str = "") -> int:
    """A whole number within bounds; ``of`` says what it counts.

    >>> whole("horizon", 2.5, of="steps")
    Traceback (most recent call last):
    ...
    ValueError: horizon is 2.5; wanted a whole number of steps, at least 1
    """
    if np.issubdtype(type(value), np.integer) and least <= value <= most:
        return int(value)
    counted, limit = f" of {of}" if of else "", f", at most {most:.0f}" if most < math.inf else ""
    raise ValueError(f"{name} is {value!r}; wanted a whole number{counted}, at least {least}{limit}")


def share(name: str, value: Any, *, zero: bool = False, one: bool = False) -> float:
    """A number between 0 and 1, which may be 0 or 1 where that is said."""
    if _is_number(value) and (0 < value < 1 or (zero and value == 0) or (one and value == 1)):
        return float(value)
    ends = ", or 0" * zero + ", or 1" * one
    raise ValueError(f"{name} is {value!r}; wanted a share between 0 and 1{ends}")


def positive(name: str, value: Any, *, zero: bool = False, of: str = "") -> float:
    """A finite number above 0, which may be 0 where that is said; ``of`` is its unit."""
    if _is_number(value) and (0 < value < math.inf or (zero and value == 0)):
        return float(value)
    counted = f" of {of}" if of else ""
    raise ValueError(f"{name} is {value!r}; wanted a positive number{counted}{', or 0' * zero}")


def known(name: str, value: Any, among: Collection[Any]) -> Any:
    """One of some values."""
    if isinstance(value, str) and value in among:
        return value
    raise ValueError(f"{name} is {value!r}; wanted {' or '.join(map(repr, among))}")


def plain(value: Any) -> Any:
    """The same without NumPy's kinds of numbers, which JSON does not know."""
    return value.item() if isinstance(value, np.generic) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)
