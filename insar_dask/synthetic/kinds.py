"""What each kind of scene looks like: figures measured on real EGMS products, and where the scene lies."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["KINDS", "Kind"]

RMSE_LEVELS = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True)
class Kind:
    """Figures of one kind of product.

    Parameters
    ----------
    component, product, name : str
        Component of the displacement, EGMS product, and stem of the file's name.
    centre : tuple of float
        Easting and northing (EPSG:3035) of the middle of the scene [m].
    gridded : bool
        One point per 100 m cell (Level 3), else scattered radar targets.
    n_points, n_dates : int
        Default size.
    sigma : tuple of float
        Noise [mm] at the quantiles ``RMSE_LEVELS``.
    lag1, memory : float
        Autocorrelation of the noise at lag 1, and the ratio by which it falls from lag to lag.
    kurtosis : float
        Excess kurtosis of the noise.
    cell_sizes, cell_shares : tuple of float
        Ground cells [m] within which points share noise, and the share of its variance.
    velocity, nugget : float
        Mean velocity of stable ground and its scatter from point to point [mm/yr].
    season : float
        Median annual amplitude away from seasonal areas [mm].
    frozen : bool
        Permafrost with thaw slumps, instead of basins, slopes and an earthquake.
    """

    component: str
    product: str
    name: str
    centre: tuple[float, float]
    gridded: bool
    n_points: int
    n_dates: int
    sigma: tuple[float, ...]
    lag1: float
    memory: float
    kurtosis: float
    cell_sizes: tuple[float, ...]
    cell_shares: tuple[float, ...]
    velocity: float
    nugget: float
    season: float
    frozen: bool = False


L2B = Kind(
    component="los",
    product="L2b",
    name="EGMS_L2b_022_0845_IW2_VV_2020_2024_1",
    centre=(4_410_000.0, 2_360_000.0),
    gridded=False,
    n_points=20_000,
    n_dates=210,
    sigma=(0.9, 1.4, 2.4, 3.3, 4.0, 4.55, 5.0),
    lag1=0.36,
    memory=0.62,
    kurtosis=2.6,
    cell_sizes=(30.0, 150.0),
    cell_shares=(0.28, 0.05),
    velocity=-1.6,
    nugget=0.6,
    season=0.9,
)
L3U = Kind(
    component="up",
    product="L3",
    name="EGMS_L3_E44N23_100km_U_2020_2024_1",
    centre=(4_450_000.0, 2_350_000.0),
    gridded=True,
    n_points=20_000,
    n_dates=304,
    sigma=(0.4, 0.7, 1.1, 1.6, 2.2, 3.1, 4.6),
    lag1=0.66,
    memory=0.64,
    kurtosis=1.0,
    cell_sizes=(300.0, 1000.0),
    cell_shares=(0.12, 0.02),
    velocity=-1.6,
    nugget=0.5,
    season=0.9,
)
KINDS = {
    "l2b": L2B,
    "l3u": L3U,
    "l3e": Kind(
        **{
            **L3U.__dict__,
            "component": "east",
            "name": "EGMS_L3_E44N23_100km_E_2020_2024_1",
            "sigma": (0.5, 0.9, 1.4, 2.0, 2.8, 4.0, 5.5),
            "velocity": -0.8,
            "season": 0.6,
        }
    ),
    "chumar": Kind(
        **{
            **L2B.__dict__,
            "name": "EGMS_L2b_066_0409_IW1_VV_2020_2024_1",
            "centre": (4_880_000.0, 5_150_000.0),
            "n_points": 588_600,
            "n_dates": 158,
            "velocity": -1.0,
            "season": 3.0,
            "frozen": True,
        }
    ),
}
