"""Forecast a stored cube as a process of its own, so that tests can kill it.

usage: predict_run.py STORE MODEL
"""

import sys

import insar_dask as insar

if __name__ == "__main__":
    insar.predict_stored(*sys.argv[1:], threads=1, quiet=True)
