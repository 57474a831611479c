"""How each quantity is coloured: map, name, unit, and limits that a few wild points cannot stretch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["QUANTITIES", "Quantity", "colour_limits", "pattern_colours", "ways"]


@dataclass(frozen=True)
class Quantity:
    """A product variable as it is shown."""

    name: str
    title: str
    unit: str
    colours: str
    signed: bool
    reading: str
    """What high and low mean, for a reader who is new to it."""


QUANTITIES: dict[str, Quantity] = {
    quantity.name: quantity
    for quantity in (
        Quantity("velocity", "Velocity", "mm yr⁻¹", "RdYlBu", True, "red: {away}, blue: {towards}"),
        Quantity("seasonality", "Seasonality", "mm", "viridis", False, "amplitude of the yearly cycle"),
        Quantity("cumulative", "Cumulative displacement", "mm", "RdYlBu", True, "red: {away}, blue: {towards}"),
        Quantity("acceleration", "Acceleration", "mm yr⁻²", "PuOr", True, "purple: speeding {towards}, brown: {away}"),
        Quantity("rmse", "RMSE", "mm", "plasma", False, "scatter about the cubic and yearly model"),
    )
}

PATTERNS = ("#8b2f2f", "#c05a3e", "#eb8f50", "#fcd028", "#c7fed7", "#4ebedd", "#0873c0", "#29318b")
"""From what moves away fastest to what comes nearer, in the order of the velocity map's colours.

Told apart in all three kinds of colour-blindness: in Oklab no two are nearer than 0.145 (of RdYlBu's eight, 0.085)."""


def pattern_colours(n: int) -> list[str]:
    """Colours of ``n`` patterns in the order of their velocity; beyond eight they lie between those of eight.

    >>> pattern_colours(2)
    ['#8b2f2f', '#29318b']
    """
    if n == 1:
        return [PATTERNS[-2]]
    if n <= len(PATTERNS):
        return [PATTERNS[place] for place in np.linspace(0, len(PATTERNS) - 1, n).round().astype(int)]
    from matplotlib.colors import LinearSegmentedColormap, to_hex

    between = LinearSegmentedColormap.from_list("patterns", PATTERNS)
    return [str(to_hex(between(share))) for share in np.linspace(0, 1, n)]


def colour_limits(
    values: npt.ArrayLike, *, signed: bool, percentiles: tuple[float, float] = (2, 98)
) -> tuple[float, float]:
    """Lower and upper limit of a colour scale from two percentiles of the finite values.

    Parameters
    ----------
    values : array_like
        Any shape, NaN ignored.
    signed : bool
        Make the limits symmetric about zero, so that the middle colour means no change.
    percentiles : (float, float)
        Robust lower and upper percentile.

    Returns
    -------
    (float, float)
        Finite and increasing, for any input.

    Examples
    --------
    >>> colour_limits([-3.0, 0.0, 1.0], signed=True, percentiles=(0, 100))
    (-3.0, 3.0)
    """
    array = np.asarray(values, dtype=np.float64)
    finite = array[np.isfinite(array)]
    if finite.size == 0:
        return (-1.0, 1.0) if signed else (0.0, 1.0)
    low, high = (float(limit) for limit in np.percentile(finite, percentiles))
    if signed:
        high = max(abs(low), abs(high)) or 1.0
        return -high, high
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def ways(component: object) -> tuple[str, str]:
    """What a negative and a positive velocity mean."""
    return {"los": ("away from the satellite", "towards it"), "east": ("west", "east")}.get(
        str(component), ("down", "up")
    )
