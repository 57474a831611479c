"""Moving areas: found on east and up of two vintages, named for good, with the evidence for each and how they grew.

usage: areas.py [FOLDER]
"""

import sys
from pathlib import Path

import insar_dask as insar
from insar_dask.detect import Areas, growth, inventory, write_areas
from insar_dask.synthetic import slope_tracks


def main(folder: str = "areas-output", n_points: int = 2000) -> None:
    out = Path(folder)
    out.mkdir(exist_ok=True)
    early = find(out, n_points, "early", n_dates=50)
    late = find(out, n_points, "late", n_dates=None)

    counted = inventory(late)
    print(f"{counted.n_areas} areas, {counted.area_km2:.2f} km2, {counted.over_10} beyond 10 mm/yr on average")
    print(f"since {early.attrs['vintage']}: {growth(early, late).said}")
    for k in range(len(late)):
        name, seen, quality = (late[column][k] for column in ("area_id", "first_seen", "quality"))
        since = f", rate changed on {late['onset'][k]}" if late["onset"][k] else ""
        print(
            f"{name} (first seen {seen}, quality {quality}): {late['velocity_mean'][k]:+.1f} ± "
            f"{late['velocity_std'][k]:.1f} mm/yr up, {late['east_rate'][k]:+.1f} to the east, "
            f"{late['slope_rate'][k]:+.1f} down its slope of {late['slope_deg'][k]:.0f} degrees{since}"
        )
    print(f"see {write_areas(late, out / 'areas.geojson')}")


def find(out: Path, n_points: int, name: str, n_dates: int | None) -> Areas:
    """Areas of a vintage, which is called by its last date: from tracks so far, east and up of them, their motion."""
    for cube in slope_tracks(n_points):
        insar.save(cube.isel(time=slice(n_dates)), out / f"tracks-{name}.zarr", quiet=True)
    store = out / "site.zarr"
    for group in insar.save_east_up(out / f"tracks-{name}.zarr", store, name, every="12D", quiet=True):
        motion = insar.motion(insar.open_cube(store, group))
        insar.save(motion, store, f"{group.removesuffix('/raw')}/products", quiet=True)
    return insar.save_areas(store, [f"{name}_U"], scene="slope", season=None, quiet=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
