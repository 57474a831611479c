"""Stored series cut into windows, for any network and any number of points."""
