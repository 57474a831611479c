"""What can be evaluated, by name: forecasters and protocols. Imports nothing, so that a configuration can read it."""

from __future__ import annotations

__all__ = [
    "AROUND",
    "COMPONENTS",
    "CORRECTED",
    "CORRECTING",
    "FORECASTERS",
    "LINEAR",
    "MAPPED",
    "METHODS",
    "PROTOCOLS",
    "RAW_DATES_ONLY",
    "RIDGE",
    "TRAINED",
    "TWO_YEARS",
]

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
    "spacetimeformer_components": ("insar_dask.forecast.components.network", "ComponentNetworks"),
    "mmstt": ("insar_dask.forecast.maps.map_network", "MapNetwork"),
    "cnn_lstm": ("insar_dask.forecast.maps.map_network", "MapNetwork"),
    "convlstm": ("insar_dask.forecast.maps.map_network", "MapNetwork"),
    "mm_stgcn": ("insar_dask.forecast.maps.map_network", "MapNetwork"),
    "mm_staeformer": ("insar_dask.forecast.maps.map_network", "MapNetwork"),
}

MAPPED = ("mmstt", "cnn_lstm", "convlstm", "mm_stgcn", "mm_staeformer")
"""Networks of maps, which take tile cubes: MM-STT and its rivals."""

CORRECTING, COMPONENTS = "spacetimeformer", "spacetimeformer_components"
"""The one that corrects linear forecasts; and the published system, a network for each component and pattern."""

TRAINED = (CORRECTING, COMPONENTS, *MAPPED)
"""Networks: trained once on dates before the first validation origin, then frozen; they need the extra ``train``."""

METHODS = tuple(name for name in FORECASTERS if name not in ("harmonic_semiannual", "holt_winters", *TRAINED))
"""What is evaluated by default; on real products the semi-annual signal costs 1 to 2 % of the harmonic's RMSE, and
Holt-Winters 9 to 17 %. A network takes minutes to hours to train, and has to be asked for."""

RAW_DATES_ONLY = ("gaussian_process", "kriging", *TRAINED)
"""Methods that live on the real dates: on a filled and smoothed grid they would be something else."""

RIDGE = "harmonic_ridge"
"""What a network of maps adds to."""

LINEAR = (RIDGE, "gaussian_process")
"""Linear forecasters that look at one point at a time; a network stands on them."""

CORRECTED = ("kriging", *LINEAR)
"""Forecasters that the correcting network corrects, those of them that are evaluated; the last one has to be."""

AROUND = ("kriging", CORRECTING)
"""Forecasters that look at neighbours; their deviation knows the noise of each point."""

TWO_YEARS = ("harmonic_ridge", "holt_winters", *TRAINED)
"""Methods that learn nothing from less than two years before the first validation origin."""

PROTOCOLS = ("honest", "as_published")
