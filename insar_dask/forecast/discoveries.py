"""Which of many p-values are discoveries: the expected share of false ones among them is held to a rate."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

__all__ = ["adjusted"]

Float64 = npt.NDArray[np.float64]


def adjusted(p_values: npt.NDArray[Any], control: Literal["bh", "by"] = "bh") -> Float64:
    """Smallest rate (n,) at which each hypothesis is a discovery; NaN stays NaN and is not counted.

    Parameters
    ----------
    p_values : (n,) array
    control : {"bh", "by"}
        "bh": Benjamini and Hochberg (1995), doi:10.1111/j.2517-6161.1995.tb02031.x, for p-values that are independent
        or depend positively on one another. "by": Benjamini and Yekutieli (2001), doi:10.1214/aos/1013699998, for any
        dependence; of a million points its rate is 14 times stricter.

    Examples
    --------
    >>> adjusted(np.array([0.01, 0.02, 0.9])).round(3).tolist()
    [0.03, 0.03, 0.9]
    """
    if control not in ("bh", "by"):
        raise ValueError(f"control is {control!r}; wanted bh or by")
    values = np.asarray(p_values, np.float64)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    count = len(order)
    ranks = np.arange(1, count + 1)
    factor = count / ranks * (np.sum(1 / ranks) if control == "by" else 1.0)
    out = np.full(values.shape, np.nan)
    # a smaller p-value is a discovery wherever a larger one is
    out[order] = np.minimum(np.minimum.accumulate((factor * values[order])[::-1])[::-1], 1.0)
    return out
