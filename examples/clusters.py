"""Patterns of motion: how many, which ones, how many points follow each, and which points they are.

usage: clusters.py [PRODUCT.zip [FOLDER]]      without a product: a synthetic burst
"""

import sys
from pathlib import Path

import insar_dask as insar
from insar_dask.synthetic import scene


def main(product: str | None = None, folder: str = "clusters-output", n_points: int = 20_000) -> None:
    out = Path(folder)
    out.mkdir(exist_ok=True)
    cube = scene("l2b", n_points=n_points) if product is None else insar.read_egms(product)
    smooth = insar.savgol(insar.regularise(cube, every="12D"), window=11, order=2)

    table = insar.choose_n_clusters(smooth, range(2, 11))
    print(table.to_dataframe().round(2).to_string())
    model = insar.Clusters(n_clusters=table.attrs["elbow"], random_state=0).fit(smooth)
    model.save(out / "clusters.npz")

    labels = insar.Clusters.load(out / "clusters.npz").predict(smooth).compute()
    for number, velocity in enumerate(model.velocities_):
        share = float((labels["cluster"] == number).mean())
        print(f"pattern {number}: {velocity:+6.1f} mm/yr, {share:6.1%} of the points")
    labels["cluster"].to_series().to_csv(out / "clusters.csv")


if __name__ == "__main__":
    main(*sys.argv[1:])
