"""Points that a forecast says nothing of, or not how sure it is."""

from __future__ import annotations

import xarray as xr

__all__ = ["count_lacking"]


def count_lacking(forecast: xr.Dataset) -> tuple[int, int]:
    """Points of a forecast cube without a forecast at any lead; others that lack the interval of some forecast."""
    said, sure = (forecast[name].notnull() for name in ("displacement", "lower"))
    without = ~said.any(["origin", "lead"])
    unsure = (said & ~sure).any(["origin", "lead"])
    return int(without.sum()), int(unsure.sum())
