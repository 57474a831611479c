"""A product file to a cube, motion parameters, smoothed series and one point's picture, on a cluster of this machine.

usage: quickstart.py [PRODUCT.zip [FOLDER]]      without a product: a synthetic burst
"""

import sys
from pathlib import Path

import insar_dask as insar
from insar_dask.synthetic import scene, write_egms


def main(product: str | None = None, folder: str = "quickstart-output") -> None:
    out = Path(folder)
    out.mkdir(exist_ok=True)
    if product is None:
        product = str(write_egms(out / "EGMS_L2b_022_0845_IW2_VV_2020_2024_1.zip", scene("l2b", n_points=5000)))

    with insar.session(workers=2) as client:
        insar.save(insar.read_egms(product), out / "site.zarr", "site/raw")
        cube = insar.open_cube(out / "site.zarr")  # lazy: nothing is read until it is needed
        smooth = insar.savgol(insar.regularise(cube, every="12D"), window=11, order=2)
        insar.save(smooth, out / "site.zarr", "site/smooth", client=client)

    motion = insar.motion(cube).compute()
    fastest = int(abs(motion["velocity"]).argmax("point"))
    insar.plot_point(cube, fastest).savefig(out / "fastest-point.png")
    insar.write_csv(cube.isel(point=[fastest]), out / "fastest-point.csv")
    print(
        f"{cube.sizes['point']:,} points; the fastest moves {float(motion['velocity'][fastest]):+.1f} mm/yr; see {out}"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
