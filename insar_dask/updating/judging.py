"""What the overlap of two vintages says: the same series with more dates, or another vintage of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError

__all__ = ["SAME", "Verdict", "judge_overlap"]

SAME = 0.15
"""Millimetres: two prints of one series to a tenth differ by 0.04 mm RMS, any re-processing by more than 0.5."""

SAME_SHARE = 0.99
"""Of the points; a few may have been masked or unwrapped anew."""

ALIKE = 0.9
"""Correlation of two series from which their sizes are compared: a unit or a sign that differs lets it be near 1."""

SIZES = (0.5, 2.0)
"""Factors between two vintages of one series; units differ by 10 at least."""

QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class Verdict:
    """Drift between two vintages; quantiles are those of 5, 50 and 95 % of the points [mm, mm/yr]."""

    kind: Literal["append", "vintage", "nothing_new"]
    n_compared: int
    n_shared_dates: int
    n_new_dates: int
    n_filled_in: int
    """Dates of the newer product before the last one of the older, which that has not."""
    share_same: float
    offset: tuple[float, ...]
    drift: tuple[float, ...]
    rms: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    def text(self) -> str:
        """In one line."""
        said = {
            "append": f"the same series, {self.n_new_dates} new dates",
            "nothing_new": "the same series, and no date of it is new",
            "vintage": f"another vintage, {self.n_new_dates} new dates",
        }[self.kind]
        if self.kind == "append" and self.n_filled_in:
            said += f" behind it and {self.n_filled_in} among or before those that were there"
        return (
            f"{said}: over {self.n_shared_dates} dates in common {self.n_compared:,} points differ by "
            f"{self.rms[1]:.2f} mm RMS (95 %: {self.rms[2]:.2f}), {self.share_same:.1%} by less than {SAME:g}; "
            f"shifted by {self.offset[1]:+.2f} mm in the middle ({self.offset[0]:+.2f} to {self.offset[2]:+.2f}), "
            f"drifting by {self.drift[1]:+.2f} mm/yr ({self.drift[0]:+.2f} to {self.drift[2]:+.2f})"
        )


def judge_overlap(
    overlap: Mapping[str, npt.NDArray[Any]],
    n_dates: tuple[int, int, int],
    how: Literal["auto", "append", "vintage"] = "auto",
    names: tuple[str, str] = ("the store", "the newer product"),
) -> Verdict:
    """Say what a newer product is, from the arrays (n,) that `compare_vintages` returned for all its points.

    Parameters
    ----------
    overlap : mapping of arrays
    n_dates : (int, int, int)
        Dates in common, new ones, and ones that only the newer product has among those of the older.
    how : {"auto", "append", "vintage"}
        What it is taken for; "auto": the same series where 99 % of the points differ by less than 0.15 mm RMS.
    names : (str, str)
        For messages.

    Raises
    ------
    CubeError
        When no point has a series in both, or the values are of other units or the other sign.
    ValueError
        For another ``how``.
    """
    if how not in ("auto", "append", "vintage"):
        raise ValueError(f"how is {how!r}; wanted auto, append or vintage")
    compared = overlap["n_shared"] > 0
    if not compared.any():
        raise CubeError(f"no point of {names[1]} has a value in common with {names[0]}: they do not overlap")
    _check_sizes(overlap, names)
    rms = overlap["difference_rms"][compared]
    same = float(np.mean(rms < SAME))
    kind: Any = "append" if same >= SAME_SHARE else "vintage"
    if how == "auto" and kind == "append" and n_dates[1] == n_dates[2] == 0:
        kind = "nothing_new"
    quantiles = (_quantiles(overlap[name][compared]) for name in ("offset", "drift", "difference_rms"))
    counts = int(compared.sum()), *n_dates, same
    return Verdict(kind if how == "auto" else how, *counts, *quantiles)


def _quantiles(values: npt.NDArray[Any]) -> tuple[float, ...]:
    finite = values[np.isfinite(values)]
    return tuple(float(q) for q in np.quantile(finite, QUANTILES)) if finite.size else (float("nan"),) * 3


def _check_sizes(overlap: Mapping[str, npt.NDArray[Any]], names: tuple[str, str]) -> None:
    """Refuse other units and the other sign: then series are alike, and of another size."""
    alike = np.abs(overlap["likeness"]) > ALIKE
    if not alike.any():
        return
    gain = float(np.median(overlap["gain"][alike]))
    if gain < 0:
        raise CubeError(
            f"{names[1]} has the sign of {names[0]} the other way round: say which way is positive (positive= of its "
            "reader, under [source] options)"
        )
    if not SIZES[0] <= gain <= SIZES[1]:
        raise CubeError(
            f"values of {names[1]} are {gain:.3g} times those of {names[0]} on the same dates: their units differ; "
            "say which they are (units= of its reader, under [source] options)"
        )
