"""Scores of maps against the libraries a user would reach for; bars are CPU seconds of one thread.

Run as ``python tests/benchmarks/run.py similarity``; half a minute.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from insar_kernels.similarity import map_correlation, map_similarity
from tests.benchmarks.measure import QUICK, Row, absent, gate, paired, row, worst

N_MAPS = 16 if QUICK else 500
RANGE = 60.0


def rows() -> list[Row]:
    predicted, observed = maps()
    return [similarity_row(predicted, observed), masked_row(predicted, observed), correlation_row(predicted, observed)]


def similarity_row(predicted: Any, observed: Any) -> Row:
    what = f"SSIM of {N_MAPS} maps of 64 x 64"
    if reason := absent("skimage"):
        return {"what": what, "missing": reason}
    from skimage.metrics import structural_similarity

    def rival() -> Any:
        return [structural_similarity(p, o, data_range=RANGE) for p, o in zip(predicted, observed, strict=True)]

    exact = [
        structural_similarity(p, o, data_range=RANGE)
        for p, o in zip(predicted.astype(float), observed.astype(float), strict=True)
    ]
    gates = [gate("from scikit-image's float64", worst(map_similarity(predicted, observed, RANGE), exact), 1e-6)]
    timed = paired(lambda: map_similarity(predicted, observed, RANGE), rival)
    return row(what, timed[0], "scikit-image", timed[1], bar=">= 20", gates=gates)


def masked_row(predicted: Any, observed: Any) -> Row:
    """No rival knows masks."""
    mask = np.random.default_rng(1).random(observed.shape) < 0.7
    timed = paired(
        lambda: map_similarity(predicted, observed, RANGE, mask), lambda: map_similarity(predicted, observed, RANGE)
    )
    return row("the same with 30 % masked", timed[0], "ours without a mask", timed[1])


def correlation_row(predicted: Any, observed: Any) -> Row:
    def rival() -> Any:
        return [np.corrcoef(p.ravel(), o.ravel())[0, 1] for p, o in zip(predicted, observed, strict=True)]

    gates = [gate("from NumPy", worst(map_correlation(predicted, observed), rival()), 1e-6)]
    timed = paired(lambda: map_correlation(predicted, observed), rival)
    return row(f"correlation of {N_MAPS} maps of 64 x 64", timed[0], "NumPy corrcoef", timed[1], gates=gates)


def maps() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    observed = rng.normal(0, 2, (N_MAPS, 64, 64)).cumsum(axis=-1).astype(np.float32)
    return (observed + rng.normal(0, 2, observed.shape)).astype(np.float32), observed
