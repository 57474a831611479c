"""Deformation patterns: k-means over cubes of any size."""
