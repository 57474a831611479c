"""Newer dates come: they go behind the stored series, and what has left its forecast is an alarm.

usage: update.py [STORE NEW [FOLDER]]      without a store: a synthetic burst, and the same with six dates more
"""

import sys
from pathlib import Path

import numpy as np

import insar_dask as insar
from insar_dask.synthetic import scene

SETTINGS = '[store]\nshard_points = 1024\n[forecast]\nmethods = ["persistence", "harmonic"]\nas_published = false\n'


def made_up(folder: Path, n_points: int) -> tuple[Path, Path]:
    """A store of a burst without its last six dates, and one with all of them, in which 25 points have dropped."""
    cube = scene("l2b", n_points=n_points).compute()
    centre = [cube[name] - cube[name][n_points // 2] for name in ("easting", "northing")]
    near = np.argsort(np.hypot(*centre).values)[:25]
    cube["displacement"][near, -6:] = (cube["displacement"][near, -6:] - 30).round(1)
    insar.save(cube.isel(time=slice(0, -6)), folder / "site.zarr", "site/raw", quiet=True)
    insar.save(cube, folder / "newer.zarr", "newer/raw", quiet=True)
    (folder / "site-config.toml").write_text(SETTINGS)
    return folder / "site.zarr", folder / "newer.zarr"


def main(store: str | None = None, new: str | None = None, folder: str = "update-output", n_points: int = 3000) -> None:
    out = Path(folder)
    out.mkdir(exist_ok=True)
    place, came = made_up(out, n_points) if store is None or new is None else (Path(store), Path(new))

    for made in insar.update(place, came, quiet=True):
        print(f"{made.product}: {made.verdict.text()}")
        if "absent" in made.alarms:
            print(f"no alarms: {made.alarms['absent']}")
            continue
        alarms = insar.open_cube(place, f"{made.product}/alarms").compute()
        raised = alarms.isel(point=np.flatnonzero(alarms["alarm"].values == 1)).sortby("q_value")
        print(f"{raised.sizes['point']} of {made.alarms['n_judged']:,} points are alarms; the most certain ones:")
        for number in range(min(raised.sizes["point"], 5)):
            point = raised.isel(point=number)
            print(
                f"  {point['point_id'].item()}  {point['departure'].item():+6.1f} mm  q = {point['q_value'].item():.1g}"
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
