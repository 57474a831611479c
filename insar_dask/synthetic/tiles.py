"""Six made-up EGMS tiles with the names and regimes of the published map forecasts, and the files of them.

The names are those of MM-STT (arXiv 2509.25393). Nothing but place, dates, layout and noise comes from real
tiles. Its table counts four tiles as continuous and two as co-seismic; its authors' next paper (arXiv 2512.23906) names
periodic motion as a third regime. Which tiles show it is our choice, so that each regime has two: E32N34 (Dublin, where
the published network is trained) and E44N23 (Bologna and Ravenna, sinking for a century of pumping) are continuous,
E39N30 (Wallonia) and E32N35 (the bogs of Monaghan) periodic, E48N24 and E58N17 co-seismic.

The table has the two earthquakes the wrong way round. By its coordinates E48N24 is that of Petrinja (Mw 6.4, 29
December 2020) and E58N17 that of Samos (Mw 7.0, 30 October 2020): both come in the first year of the release 2020-2024,
before its 62nd and its 52nd date. The real faults lie a few kilometres beyond the tiles' north-western corners. Here
they are laid where the tile sees them: that of Petrinja whole (steps of -76 to 172 mm), that of Samos off the coast (up
to 83 mm), its sinking side under the sea but for a headland, 166 of 100,000 cells that drop by up to 276 mm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import xarray as xr

from insar_dask.synthetic.earthquake import Fault
from insar_dask.synthetic.egms_files import write_egms
from insar_dask.synthetic.kinds import L3_UP, Kind
from insar_dask.synthetic.scenes import drawn

__all__ = ["TILES", "egms_tile", "write_egms_tiles"]

PETRINJA = Fault(
    magnitude=6.4, easting=-15e3, northing=15e3, strike=130, dip=76, rake=170, length=18e3, width=10e3, top=1e3
)
SAMOS = Fault(
    magnitude=7.0, easting=-10e3, northing=21e3, strike=276, dip=37, rake=-90, length=40e3, width=16e3, top=1.5e3
)
"""Strike, dip and rake as moment tensors have them, rounded to a few degrees; the slip follows from the magnitude."""


def _tile(name: str, regime: str, velocity: float, sea: tuple[float, float] = (0.0, 0.0)) -> Kind:
    """Figures of a tile: those of Level 3, and noise that is shared over kilometres.

    Means over cells of 1.56 km of Ustica leave 0.24 to 0.33 mm about a cubic and an annual fit, where the noise of the
    cells alone would leave 0.13 to 0.20; the mean over the island has a lag-1 autocorrelation of 0.82. The island is
    5 km wide, and a tile has longer waves: 0.4 mm in all is assumed.
    """
    return replace(
        L3_UP,
        file_name=f"EGMS_L3_{name}_100km_U_2020_2024_1",
        centre=(int(name[1:3]) * 1e5 + 5e4, int(name[4:6]) * 1e5 + 5e4),
        n_points=100_000,
        velocity=velocity,
        shared=regime,
        response=0.1,
        region=60e3,
        whole=True,
        sea=sea,
        wander=0.4,
        wander_memory=0.82,
    )


TILES = {
    "E39N30": _tile("E39N30", "periodic", -0.6),
    "E44N23": _tile("E44N23", "continuous", -1.8, sea=(0.12, 60.0)),
    "E32N34": _tile("E32N34", "continuous", -0.8, sea=(0.25, 90.0)),
    "E32N35": _tile("E32N35", "periodic", -0.5, sea=(0.08, 120.0)),
    "E48N24": replace(_tile("E48N24", "coseismic", -1.0), fault=PETRINJA, event="2020-12-29"),
    "E58N17": replace(_tile("E58N17", "coseismic", -1.0, sea=(0.33, 0.0)), fault=SAMOS, event="2020-10-30"),
}
"""Figures of each tile; ``shared`` is its regime, ``event`` the day of its earthquake."""


def egms_tile(
    name: str,
    n_points: int | None = None,
    n_dates: int | None = None,
    *,
    missing: float = 0.0,
    noise: float = 1.0,
    seed: int = 0,
    order: Literal["hilbert", "file"] = "hilbert",
) -> xr.Dataset:
    """Draw the up component of a made-up EGMS tile, all over its square of 100 km.

    Parameters
    ----------
    name : {"E39N30", "E44N23", "E32N34", "E32N35", "E48N24", "E58N17"}
        Lower left corner in 100 km, EPSG:3035.
    n_points, n_dates : int, optional
        Cells of 100 m, by default 100,000 of a million, dense in towns; dates, by default 304. All tiles share them.
    missing, noise, seed, order
        As in `scene`.

    Returns
    -------
    xr.Dataset
        As `scene` returns it. ``true_regime`` tells the cells that the tile's motions move by more than 5 mm,
        ``true_step`` the step of its earthquake and, as ``date``, the first date after it. Noise that cells share over
        kilometres counts as noise.

    Raises
    ------
    ValueError
        For an unknown name, or a size or share out of range.

    Examples
    --------
    >>> cube = egms_tile("E58N17", n_points=200)
    >>> cube.attrs["source"], cube["true_step"].attrs["date"]
    ('EGMS_L3_E58N17_100km_U_2020_2024_1 (synthetic, seed 0)', '2020-11-04')
    """
    if name not in TILES:
        raise ValueError(f"name is {name!r}, wanted one of {sorted(TILES)}")
    kind = TILES[name]
    if seed < 0:
        raise ValueError(f"seed cannot be negative, got {seed}")
    own_seed = seed * 10_000 + int(name[1:3] + name[4:6])  # tiles of one seed share neither ground nor noise
    cube = drawn(kind, n_points, n_dates, missing, noise, own_seed, order)
    return cube.assign_attrs(source=f"{kind.file_name} (synthetic, seed {seed})")


def write_egms_tiles(
    folder: str | Path,
    n_points: int | None = None,
    *,
    seed: int = 0,
    progress: Callable[[str, int, int], object] | None = None,
) -> list[Path]:
    """Write all six tiles as EGMS files, ``EGMS_L3_ExxNyy_100km_U_2020_2024_1.zip``.

    Parameters
    ----------
    folder : str or Path
        Made if it is not there; files of these names are written anew.
    n_points, seed
        As in `egms_tile`.
    progress : callable, optional
        Called with (tile, points written, points in all).

    Returns
    -------
    list of Path
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, kind in TILES.items():
        cube = egms_tile(name, n_points, seed=seed, order="file")

        def tell(done: int, total: int, name: str = name) -> None:
            if progress is not None:
                progress(name, done, total)

        written.append(write_egms(folder / f"{kind.file_name}.zip", cube, progress=tell))
    return written
