"""Score every forecaster on one product, honestly and as published, and print both tables.

usage: who_forecasts_best.py [PRODUCT.zip]      without a product: a synthetic tile
"""

import sys

import insar_dask as insar
from insar_dask.forecast.protocol import evaluate
from insar_dask.synthetic import scene


def main(product: str | None = None, n_points: int = 2000, n_dates: int = 304) -> None:
    cube = scene("l3u", n_points=n_points, n_dates=n_dates).compute() if product is None else insar.read_egms(product)
    scores = evaluate(cube, protocols=("honest", "as_published"))
    for protocol in scores.tables:
        print(scores.table(protocol), end="\n\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
