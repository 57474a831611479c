"""Train a forecaster on a cube, keep it, and forecast with intervals; compare with what came.

usage: forecaster.py [PRODUCT.zip [FOLDER]]      without a product: a synthetic plateau of permafrost
"""

import sys
from pathlib import Path

import insar_dask as insar
from insar_dask.forecast import Forecaster
from insar_dask.synthetic import scene


def main(product: str | None = None, folder: str = "forecaster", method: str = "best", n_points: int = 2000) -> None:
    cube = scene("chumar", n_points=n_points).compute() if product is None else insar.read_egms(product)
    known = cube.isel(time=slice(0, -6))  # the last dates stand for what comes after the training

    # networks: "spacetimeformer", or "spacetimeformer_components" with one for each component and pattern of motion
    model = Forecaster(method, context=24, horizon=6).fit(known)
    model.save(Path(folder))  # weights, card.json, and a README.md for people
    print(model.scores_.table())

    forecast = Forecaster.load(folder).predict(known)
    print(f"{model.method_}: RMSE {-model.score(cube):.2f} mm on the dates that came after")
    first = forecast.isel(origin=0, point=0)
    for lead in range(first.sizes["lead"]):
        at = first.isel(lead=lead)
        low, middle, high = (float(at[name]) for name in ("lower", "displacement", "upper"))
        print(f"{str(at['time'].values)[:10]}  {middle:+.1f} mm, {low:+.1f} to {high:+.1f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
