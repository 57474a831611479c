"""MM-STT (arXiv 2509.25393) on six synthetic EGMS tiles: learned on one of them, forecast on all.

usage: mmstt.py [FOLDER [N_POINTS [MAX_STEPS [WORKERS]]]]      default: 100,000 points a tile, a worker process a core

The configuration beside this file says the rest. Kill it and run it again: it goes on where it was.
"""

import sys
from pathlib import Path

import insar_dask as insar
from insar_dask.synthetic import write_egms_tiles


def main(
    folder: str = "mmstt-output",
    n_points: int | str = 100_000,
    max_steps: int | str | None = None,
    workers: int | str | None = None,
) -> None:
    out = Path(folder)
    if not (out / "tiles").exists():
        write_egms_tiles(out / "tiles.partial", int(n_points))
        (out / "tiles.partial").rename(out / "tiles")
    config = insar.load_config(Path(__file__).with_suffix(".toml"))
    config = config.model_copy(
        update={
            "source": config.source.model_copy(update={"files": [str(out / "tiles")]}),
            "store": config.store.model_copy(update={"path": str(out / "maps.zarr")}),
            "cluster": config.cluster.model_copy(update={"workers": None if workers is None else int(workers)}),
            "maps": config.maps.model_copy(update={"steps": None if max_steps is None else int(max_steps)}),
        }
    )
    *products, maps = insar.run(config)
    print(f"{len(products)} tiles read; reports begin at {products[0].report}")
    print(*maps.summary, f"the page of the maps: {maps.report}", sep="\n")

    for name, tile in insar.open_tiles(maps.store).groupby("tile"):
        moved = tile["displacement"].where(tile["mask"]).isel(time=-1)
        print(f"{name}: cells have moved {float(moved.min()):+.0f} to {float(moved.max()):+.0f} mm")


if __name__ == "__main__":
    main(*sys.argv[1:])
