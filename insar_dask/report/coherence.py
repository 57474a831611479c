"""Which points are coherent enough to be shown, and how many are not."""

from __future__ import annotations

import xarray as xr

__all__ = ["coherent"]


def coherent(products: xr.Dataset, least: float) -> tuple[xr.Dataset, str]:
    """Products whose values are NaN at points that are not coherent enough, and a sentence on how many these are.

    The points stay in their places, so that they are those of the cube.

    Parameters
    ----------
    products : xr.Dataset
        Variables over ``point``; with the temporal ``coherence`` [1] of each point, or without (EGMS Level 3).
    least : float
        A point is shown where its coherence is above this; 0.30 in doi:10.3390/rs16111891.
    """
    if "coherence" not in products.variables:
        return products, "The product has no coherence, so no point is left out for it."
    enough = products["coherence"].values > least
    n_out, n_points = int((~enough).sum()), enough.size
    if n_out == 0:
        return products, f"Every point has a coherence above {least:g}."
    shown = products.copy()
    for name, variable in products.data_vars.items():
        if variable.dims == ("point",) and variable.dtype.kind == "f" and name != "coherence":
            shown[name] = variable.where(enough)
    share = n_out / max(n_points, 1)
    text = f"Points with a coherence of {least:g} or less are left out: {n_out:,} of {n_points:,} ({share:.1%})."
    if n_points and n_out == n_points:
        highest = float(products["coherence"].max())
        text += f" None is left to show: the highest coherence is {highest:.2f}, ask for a lower min_coherence."
    return shown, text
