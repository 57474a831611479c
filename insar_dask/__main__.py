"""`python -m insar_dask` is `insar-dask`."""

from insar_dask.cli import main

if __name__ == "__main__":
    main()
