"""What is wanted of a stored pair cube before it is inverted, and the delays as they go with its tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.inversion.blocks import delays_to_state
from insar_dask.inversion.pairs import timeline

__all__ = ["Corrections", "delays_of"]

ROUGH = 5.0
"""Ground whose rough velocity [mm/yr] is below counts as stable."""

MOST_DELAYS = 1 << 28
"""Bytes of delays that go with the tasks."""


@dataclass(frozen=True, kw_only=True)
class Corrections:
    """Which pairs of a stored cube are used, what is taken off them, and what else is made of them."""

    kept: Sequence[int] | None = None
    """Places of the pairs that are used, such as ``choose_pairs(pairs).kept.nonzero()[0]``."""
    limits: Mapping[str, float | None] | None = None
    """``max_days``, ``max_bperp`` and ``min_coherence`` of `choose_pairs`; default: all pairs."""
    closure: bool = False
    """Correct whole cycles by loops."""
    delays: xr.DataArray | None = None
    """Delays over (date, y, x), `insar_dask.inversion.correct_delays`."""
    allow_missing: bool = False
    """Leave pairs uncorrected of which a date has no delay."""
    reject: bool = False
    """Leave out pairs whose residual after a first inversion is above three times the median, `reject_pairs`."""
    surface: Literal["plane", "quadratic", "height"] | None = None
    """Surfaces of the dates that are taken off, fitted on stable ground; needs ``reference``."""
    stable_below: float = ROUGH
    """Limit of the rough velocity of stable ground [mm/yr]."""
    reference: tuple[int, int] | Literal["auto"] | None = None
    """Centre of the reference area; "auto" looks for one after a first inversion, surfaces off, `find_reference`."""
    window: int = 5
    """Its pixels on a side."""
    disconnected: Literal["bridge", "refuse"] = "bridge"
    """What becomes of a network in several parts."""
    motion: Mapping[str, Any] | None = None
    """Options of `insar_dask.inversion.fit_motion`, whose results then go to ``PRODUCT/motion``."""
    temperature: xr.DataArray | None = None
    """Daily air temperature, `composite_index`: its season is one more column of "nsbas" and of the motion."""
    alpha: float | Literal["close", "fit"] = "close"
    """Weight of frost in it."""

    def __post_init__(self) -> None:
        """Refuse what does not go together."""
        if self.surface is not None and self.reference is None:
            raise CubeError("surfaces are fitted on stable ground, and only a reference says what is: pass reference=")
        if self.disconnected not in ("bridge", "refuse"):
            raise ValueError(f"disconnected is {self.disconnected!r}, wanted 'bridge' or 'refuse'")


def delays_of(delays: xr.DataArray, pairs: xr.Dataset) -> dict[str, npt.NDArray[Any]]:
    """Delays of the dates of the pairs, as they go with the tasks."""
    if not {"date", "y", "x"} == set(delays.dims) or delays.attrs.get("direction") not in ("zenith", "los"):
        raise CubeError(
            f"delays have dims {delays.dims} and the direction {delays.attrs.get('direction')!r}; of stored pairs "
            "wanted (date, y, x), and 'zenith' or 'los' in attrs['direction']"
        )
    days = delays["date"].values.astype("datetime64[D]")
    there = np.isin(days, timeline(pairs).dates.astype("datetime64[D]"))
    state = delays_to_state(delays.isel(date=np.flatnonzero(there)))
    if state["field"].nbytes > MOST_DELAYS:
        raise CubeError(
            f"the delays take {state['field'].nbytes / 1e6:,.0f} MB, and every task holds them: average them to a "
            f"coarser grid, of at most {MOST_DELAYS / 1e6:,.0f} MB"
        )
    return state
