"""The page of chunk jobs: on the Dask scheduler's own web server while a run goes on, and as a file when it is over."""
