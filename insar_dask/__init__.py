"""Satellite-radar ground-motion time series on Dask: from EGMS files to honest forecasts and maps."""
