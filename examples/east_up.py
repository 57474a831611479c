"""Two tracks, one that looks from the west and one from the east, to motion to the east and up.

usage: east_up.py [FOLDER [STORE...]]      without stores: the tracks of a drawn slope
"""

import sys
from pathlib import Path

import numpy as np

import insar_dask as insar
from insar_dask.report import plot_map
from insar_dask.synthetic import slope_tracks


def main(folder: str = "east-up-output", *stores: str) -> None:
    out = Path(folder)
    out.mkdir(exist_ok=True)
    tracks = list(stores)
    if not tracks:
        for cube in slope_tracks():
            insar.save(cube, out / "tracks.zarr", quiet=True)
        tracks = [str(out / "tracks.zarr")]

    groups = insar.save_east_up(tracks, out / "site.zarr", every="12D", quiet=True)
    for group in groups:
        cube = insar.open_cube(out / "site.zarr", group)
        motion = insar.motion(cube).compute()
        plot_map(motion, "velocity").savefig(out / f"{cube.attrs['component']}.png")
        velocity, told = motion["velocity"].values, cube.attrs["component"]
        low, high = np.nanquantile(velocity, [0.02, 0.98])
        print(f"{told:<5} {cube.sizes['point']:,} cells x {cube.sizes['time']} dates, {low:+.1f} to {high:+.1f} mm/yr")

    # two tracks that fly nearly over the poles do not see the north: what a millimetre that way would add
    print(f"a millimetre to the north adds {cube.attrs['median_up_per_north']:+.2f} mm to up; see {out}")


if __name__ == "__main__":
    main(*sys.argv[1:])
