"""Training: the loop, checkpoints, and one rank a Dask worker."""
