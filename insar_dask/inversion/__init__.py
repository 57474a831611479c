"""Interferograms to displacement: the network of pairs, its corrections, its inversion, and a season of frost and thaw.

One idea a module; a pair cube has dims ``(point, pair)``, its phase is in radians (`insar_dask.inversion.pairs`).
"""
