"""What each kind of scene looks like: figures measured on four real EGMS products of 2020-2024, and where it lies.

The real products: two Level 2b bursts and both Level 3 components of Ustica, a quiet island (23,349 targets and 522
cells). The noise is what their series leave beside a cubic and an annual signal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from insar_dask.synthetic.earthquake import Fault

__all__ = ["KINDS", "SIGMA_LEVELS", "Kind"]

SIGMA_LEVELS = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""Quantiles at which `Kind.sigma` is given."""


@dataclass(frozen=True)
class Kind:
    """Figures of one kind of product.

    Parameters
    ----------
    component : {"los", "up", "east"}
        Component of the displacement.
    product, file_name : str
        EGMS product, and the stem of a file's name.
    release, first_date : str
        Period of the product, and its first acquisition.
    centre : tuple of float
        Easting and northing of the middle of the scene [m], EPSG:3035.
    n_points, n_dates : int
        Default size.
    sigma : tuple of float
        Standard deviation of a point's noise [mm] at the quantiles ``SIGMA_LEVELS``.
    lag1, memory : float
        Autocorrelation of the noise at lag 1, and the ratio by which it falls from each lag to the next. Lags count
        acquisitions, not days: on real bursts 12 days apart means 0.39 where the satellite comes every 12 days and
        0.17 where it comes every 6.
    kurtosis : float
        Excess kurtosis of the noise.
    cell_sizes, cell_shares : tuple of float
        Ground cells [m] within which points share noise, and the share of its variance.
    velocity, scatter, season : float
        Stable ground: mean velocity and its scatter between points [mm/yr], median annual amplitude [mm].
    peak : float
        When the annual signal peaks, as a share of the year from the first date: in August where the sun expands and
        aquifers fill late, in April where frost has heaved the ground all winter.
    gnss : tuple of float
        What the GNSS model gives, as in the last columns before the dates [mm/yr].
    frozen : bool
        Permafrost with thaw slumps, seen every 12 days, instead of basins, slopes and an earthquake.
    shared : str
        Instead of all these, one kind of motion that neighbours share: "bowls", "fronts" or "slopes"; on a whole tile
        what prevails there: "continuous", "periodic" or "coseismic".
    response : float
        How much one point's answer to a shared motion differs from its neighbours' (standard deviation of a factor).
    region : float
        Longest stretch of ground that the regional motion is drawn for [m].
    whole : bool
        Cells lie all over a tile of 100 km, dense in towns, none in the sea, rather than in one compact scene.
    sea : tuple of float
        Share of a whole tile that the sea takes, and the direction in which it lies (degrees from north).
    wander, wander_memory : float
        Noise that cells share over kilometres: standard deviation [mm], and correlation from date to date.
    fault : Fault, optional
        The earthquake of a whole tile.
    event : str
        Its day.
    """

    component: str
    product: str
    file_name: str
    release: str
    first_date: str
    centre: tuple[float, float]
    n_points: int
    n_dates: int
    sigma: tuple[float, ...]
    lag1: float
    memory: float
    kurtosis: float
    cell_sizes: tuple[float, ...]
    cell_shares: tuple[float, ...]
    velocity: float
    scatter: float
    season: float
    peak: float
    gnss: tuple[float, ...]
    frozen: bool = False
    shared: str = ""
    response: float = 0.0
    region: float = 5000.0
    whole: bool = False
    sea: tuple[float, float] = (0.0, 0.0)
    wander: float = 0.0
    wander_memory: float = 0.0
    fault: Fault | None = None
    event: str = ""

    @property
    def gridded(self) -> bool:
        """Whether points are cells of 100 m (Level 3) rather than radar targets."""
        return self.product == "L3"

    @property
    def streams(self) -> int:
        """First of the random streams of this component: the up and east of a place have noise of their own."""
        return 100 * ("los", "up", "east").index(self.component)


L2B = Kind(
    component="los",
    product="L2b",
    file_name="EGMS_L2b_000_0000_IW1_VV_2020_2024_1",
    release="2020-2024",
    first_date="2020-01-03",
    centre=(4_410_000.0, 2_360_000.0),
    n_points=20_000,
    n_dates=210,
    sigma=(0.95, 1.5, 2.6, 3.6, 4.3, 4.75, 5.0),
    lag1=0.39,
    memory=0.71,
    kurtosis=3.3,
    cell_sizes=(30.0, 200.0),
    cell_shares=(0.32, 0.05),
    velocity=-1.6,
    scatter=0.6,
    season=0.9,
    peak=0.6,
    gnss=(-1.6,),
)
L3_UP = replace(
    L2B,
    component="up",
    product="L3",
    file_name="EGMS_L3_E44N23_100km_U_2020_2024_1",
    centre=(4_450_000.0, 2_350_000.0),
    n_dates=304,
    sigma=(0.4, 0.75, 1.17, 1.69, 2.3, 3.2, 4.6),
    lag1=0.675,
    memory=0.67,
    kurtosis=1.2,
    cell_sizes=(300.0, 1000.0),
    cell_shares=(0.12, 0.02),
    scatter=0.5,
    gnss=(2.1, -0.7, -1.5),
)
L3_EAST = replace(
    L3_UP,
    component="east",
    file_name="EGMS_L3_E44N23_100km_E_2020_2024_1",
    sigma=(0.5, 0.97, 1.46, 2.1, 2.9, 4.1, 5.5),
    velocity=-0.8,
    season=0.6,
)
CHUMAR = replace(
    L2B,
    file_name="EGMS_L2b_066_0409_IW1_VV_2018_2023_1",
    release="2018-2023",
    first_date="2018-01-07",
    centre=(4_880_000.0, 5_150_000.0),
    n_points=588_600,
    n_dates=158,
    velocity=-1.0,
    season=3.0,
    peak=0.3,
    frozen=True,
)
TOGETHER = replace(
    L2B, centre=(4_430_000.0, 2_330_000.0), velocity=-1.0, scatter=0.15, season=0.6, gnss=(-1.0,), response=0.03
)
"""Noise of a burst, and little else that differs between neighbours."""

KINDS = {
    "l2b": L2B,
    "l3u": L3_UP,
    "l3e": L3_EAST,
    "chumar": CHUMAR,
    **{shared: replace(TOGETHER, shared=shared) for shared in ("bowls", "fronts", "slopes")},
}
