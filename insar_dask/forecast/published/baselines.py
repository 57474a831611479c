"""Forecasters without a network, on the windows of the published system: what its tables leave out."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from insar_dask.cube import years_since
from insar_dask.decompose import PARTS
from insar_dask.forecast.catalogue import RAW_DATES_ONLY
from insar_dask.forecast.exponential import HoltWinters
from insar_dask.forecast.gaussian import PooledGaussianProcess
from insar_dask.forecast.kriging import Kriging
from insar_dask.forecast.naive import Drift, Harmonic, HarmonicAR1, Persistence, SeasonalNaive, SemiannualHarmonic
from insar_dask.forecast.published.linear import KINDS, WindowLinear
from insar_dask.forecast.published.protocols import STAGES, Material
from insar_dask.forecast.published.scores import Counted, count_stage
from insar_dask.forecast.registry import Forecaster
from insar_dask.forecast.ridge import HarmonicRidge
from insar_dask.forecast.windows import Context

__all__ = ["LONG_CONTEXT", "baselines"]

Float32 = npt.NDArray[np.float32]
Predict = Callable[[int], Float32]

LONG_CONTEXT = 48
"""Dates that hold a year: the published 24 do not, since 30 make one."""

FILTER = 11, 2

RIDGE_START = 61
"""First date that the harmonic ridge learns from: two years, as in `insar_dask.forecast.schedule`."""


def baselines(material: Material) -> dict[str, dict[str, Counted]]:
    """Sums of errors of every baseline by stage: method -> stage -> counted.

    What is learned over all points is learned on the training block; each point's own fits use all that lies before
    the origin, also where the published windows do not reach. Only maps that are trained have a training stage.
    """
    found: dict[str, dict[str, Counted]] = {}
    for name, stages, predict in _methods(material):
        found[name] = {
            stage: count_stage(
                np.stack([predict(int(origin)) for origin in material.scored(stage)]),
                material.targets("whole", stage),
                material.patterns,
            )
            for stage in stages
        }
    return found


def _methods(material: Material) -> Iterator[tuple[str, tuple[str, ...], Predict]]:
    later = STAGES[1:]
    for name, model in _forecasters(material):
        yield name, later, _of_history(model, material)
    for kind in KINDS:
        for context in (material.context, LONG_CONTEXT):
            yield f"{kind}_{context}", STAGES, _of_windows(kind, context, material, ("whole",))
    for kind in ("nlinear", "ridge"):
        yield f"{kind}_24_by_component", STAGES, _of_windows(kind, 24, material, PARTS)
    if not material.inside:
        yield "nlinear_24_filtered", STAGES, _of_windows("nlinear", 24, material, ("whole",), FILTER[0])


def _forecasters(material: Material) -> Iterator[tuple[str, Forecaster]]:
    known = _context(material, material.split.validation.start)
    models: list[Forecaster] = [
        Persistence(),
        Drift(),
        SeasonalNaive(),
        Harmonic(),
        SemiannualHarmonic(),
        HarmonicAR1(),
        HoltWinters(),
        HarmonicRidge(context=material.context, train_start=RIDGE_START),
        PooledGaussianProcess(),
        Kriging(),
    ]
    for model in models:
        if material.inside and model.name in RAW_DATES_ONLY:
            continue
        yield model.name, model.fit([model.partial(known)], known)


def _of_history(model: Forecaster, material: Material) -> Predict:
    fitted = _context(material, material.split.validation.start)

    def predict(origin: int) -> Float32:
        return model.predict(_context(material, origin, fitted))[0]

    return predict


def _of_windows(kind: str, context: int, material: Material, names: tuple[str, ...], window: int = 0) -> Predict:
    """Sum of one linear map for each of the series named."""
    horizon, train = material.horizon, material.origins("train").tolist()
    series = [np.where(material.observed, material.series(name), np.float32(np.nan)) for name in names]
    models = [WindowLinear(kind, context, horizon, window, FILTER[1]).fit(values, train) for values in series]

    def predict(origin: int) -> Float32:
        parts = [model.predict(one, origin) for model, one in zip(models, series, strict=True)]
        return np.asarray(np.sum(parts, axis=0), np.float32)

    return predict


def _context(material: Material, origin: int, fitted: Context | None = None) -> Context:
    """What lies before an origin, as forecasters of the default evaluation take it."""
    years = years_since(material.dates)
    before = np.flatnonzero(material.observed[:origin])
    return Context(
        values=np.ascontiguousarray(material.whole[:, before]),
        years=years[before],
        grid_values=np.ascontiguousarray(material.whole[:, :origin]),
        grid_years=years[:origin],
        target_years=years[origin : origin + material.horizon],
        fitted=fitted,
        places=material.places,
    )
