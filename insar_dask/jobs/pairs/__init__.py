"""Interferograms as chunk jobs: chosen, corrected in passes of small sums, inverted a shard at a time."""
