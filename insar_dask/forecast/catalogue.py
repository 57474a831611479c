"""What can be evaluated, by name: forecasters and protocols. Imports nothing, so that a configuration can read it."""

from __future__ import annotations

__all__ = ["CORRECTED", "FORECASTERS", "LINEAR", "METHODS", "PROTOCOLS", "RAW_DATES_ONLY", "TRAINED", "TWO_YEARS"]

FORECASTERS = {
    "persistence": ("insar_dask.forecast.naive", "Persistence"),
    "drift": ("insar_dask.forecast.naive", "Drift"),
    "seasonal_naive": ("insar_dask.forecast.naive", "SeasonalNaive"),
    "harmonic": ("insar_dask.forecast.naive", "Harmonic"),
    "harmonic_semiannual": ("insar_dask.forecast.naive", "SemiannualHarmonic"),
    "harmonic_ar1": ("insar_dask.forecast.naive", "HarmonicAR1"),
    "harmonic_ridge": ("insar_dask.forecast.ridge", "HarmonicRidge"),
    "holt_winters": ("insar_dask.forecast.exponential", "HoltWinters"),
    "gaussian_process": ("insar_dask.forecast.gaussian", "PooledGaussianProcess"),
    "kriging": ("insar_dask.forecast.kriging", "Kriging"),
    "spacetimeformer": ("insar_dask.forecast.correction.network", "CorrectingNetwork"),
}

METHODS = tuple(name for name in FORECASTERS if name not in ("harmonic_semiannual", "holt_winters", "spacetimeformer"))
"""What is evaluated by default; on real products the semi-annual signal costs 1 to 2 % of the harmonic's RMSE, and
Holt-Winters 9 to 17 %. A network takes minutes to train, and has to be asked for."""

RAW_DATES_ONLY = ("gaussian_process", "kriging", "spacetimeformer")
"""Methods that live on the real dates: on a filled and smoothed grid they would be something else."""

LINEAR = ("harmonic_ridge", "gaussian_process")
"""Linear forecasters that look at one point at a time; a network stands on them."""

CORRECTED = ("kriging", *LINEAR)
"""Forecasters that a trained network corrects, those of them that are evaluated; the last one has to be."""

TRAINED = ("spacetimeformer",)
"""Networks: trained once on dates before the first validation origin, then frozen; they need the extra ``train``."""

TWO_YEARS = ("harmonic_ridge", "holt_winters", "spacetimeformer")
"""Methods that learn nothing from less than two years before the first validation origin."""

PROTOCOLS = ("honest", "as_published")
