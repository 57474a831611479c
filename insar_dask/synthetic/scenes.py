"""One call to a cube of any size with known truth; displacement is drawn when asked for, block by block."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import LONG_NAMES_AND_UNITS, describe, years_since
from insar_dask.synthetic.dates import acquisition_dates
from insar_dask.synthetic.drawing import Drawing
from insar_dask.synthetic.ground import Ground
from insar_dask.synthetic.kinds import KINDS, Kind
from insar_dask.synthetic.targets import HEADING, MAX_TILE, Targets, place_targets, point_names, scene_side
from insar_dask.synthetic.truth import true_variables
from insar_kernels.harmonic import MIN_DATES
from insar_kernels.noise import gaussians

__all__ = ["drawn", "scene"]

Columns = dict[str, npt.NDArray[Any]]

WAVELENGTH = 55.466
"""Sentinel-1, C band [mm]."""

LEFT_BY_FIT = 0.95
"""Share of the noise that the fit behind EGMS's rmse leaves: six terms take more of correlated noise than of white."""

LARGEST_CHUNK = 16_384
HEIGHT_STREAM, COHERENCE_STREAM = 23, 24
POSITIVE = {"los": "towards the satellite", "up": "up", "east": "east"}


def scene(
    kind: str = "l2b",
    n_points: int | None = None,
    n_dates: int | None = None,
    *,
    missing: float = 0.0,
    noise: float = 1.0,
    seed: int = 0,
    order: Literal["hilbert", "file"] = "hilbert",
) -> xr.Dataset:
    """Draw a point cube with known truth and noise like that of real products.

    Parameters
    ----------
    kind : {"l2b", "l3u", "l3e", "chumar", "bowls", "fronts", "slopes"}
        An EGMS burst, the up or east component of an EGMS tile, or a permafrost plateau with 72 thaw slumps like the
        one at Chumar (Ladakh), laid where EGMS has data so that it can be written as a burst. The last three are bursts
        where neighbours move together: mining bowls that grow, fronts of subsidence that cross the scene, and slopes
        that creep, surge and accelerate.
    n_points, n_dates : int, optional
        Size; by default 20,000 x 210 (l2b, bowls, fronts, slopes), 20,000 x 304 (l3u, l3e; at
        most a full tile of 1,000,000 cells) and 588,600 x 158 (chumar).
    missing : float
        Share of values missing at random, in [0, 1).
    noise : float
        Factor on the noise: 1 is that of real products, 0 leaves the signal, which is the truth at every date.
    seed : int
        Equal seeds give equal scenes, whatever their chunks and order. "l3u" and "l3e" share points, dates, and places.
    order : {"hilbert", "file"}
        Order of the points: that of the store, or that of EGMS's files.

    Returns
    -------
    xr.Dataset
        Point cube, lazy in ``displacement`` (mm, float32, multiples of 0.1), with the coordinates of its product and
        the truth over ``point``: ``true_velocity``, ``true_acceleration``, ``true_seasonality`` and ``true_phase`` in
        the terms of `insar_dask.motion`, ``true_step`` [mm], ``true_noise`` [mm] and ``true_regime``, whose
        ``flag_meanings`` name the kinds of motion.

    Raises
    ------
    ValueError
        For an unknown kind or order, or a size or share out of range.

    Examples
    --------
    >>> cube = scene("l3u", n_points=500, seed=7)
    >>> cube.sizes["time"], cube["true_regime"].attrs["flag_meanings"]
    (304, 'stable bowl seasonal accelerating coseismic slump')
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}, wanted one of {sorted(KINDS)}")
    return drawn(KINDS[kind], n_points, n_dates, missing, noise, seed, order)


def drawn(
    what: Kind,
    n_points: int | None,
    n_dates: int | None,
    missing: float,
    noise: float,
    seed: int,
    order: Literal["hilbert", "file"],
) -> xr.Dataset:
    """Draw a scene of figures that need not have a name: as `scene`."""
    n_points, n_dates = _checked(what, n_points, n_dates, missing, noise, seed, order)
    times = acquisition_dates(what, n_dates, seed)
    targets = place_targets(what, n_points, seed, order)
    ground = Ground.around(what, seed, scene_side(what, n_points), float(years_since(times)[-1]))
    drawing = Drawing(what, seed, ground, times, missing, noise)
    place = targets.ids, targets.easting, targets.northing
    return xr.Dataset(
        {
            "displacement": (
                ("point", "time"), _lazy(drawing, *place), {**describe("displacement"), "grid_mapping": "crs"}
            ),
            "observed": ("time", np.ones(n_dates, bool), describe("observed")),
            **true_variables(drawing, *place),
        },
        coords=_coordinates(drawing, targets),
        attrs=_attributes(what, times, seed),
    )  # fmt: skip


def _checked(
    what: Kind, n_points: int | None, n_dates: int | None, missing: float, noise: float, seed: int, order: str
) -> tuple[int, int]:
    n_points = what.n_points if n_points is None else n_points
    n_dates = what.n_dates if n_dates is None else n_dates
    if n_points < 1 or n_dates < MIN_DATES:
        raise ValueError(f"wanted at least 1 point and {MIN_DATES} dates, got n_points={n_points}, n_dates={n_dates}")
    if what.gridded and n_points > MAX_TILE:
        raise ValueError(f"a Level 3 tile has at most {MAX_TILE:,} cells, got n_points={n_points:,}")
    if not 0 <= missing < 1:
        raise ValueError(f"missing is a share in [0, 1), got {missing}")
    if noise < 0 or seed < 0:
        raise ValueError(f"noise and seed cannot be negative, got noise={noise}, seed={seed}")
    if order not in ("hilbert", "file"):
        raise ValueError(f"order is {order!r}, wanted 'hilbert' or 'file'")
    return n_points, n_dates


def _lazy(drawing: Drawing, *place: npt.NDArray[Any]) -> Any:
    import dask.array as da

    n_points = place[0].size
    chunk = min(LARGEST_CHUNK, max(256, 1 << (n_points // 16).bit_length() - 1)) if n_points > 256 else n_points
    columns = [da.from_array(column[:, None], chunks=(chunk, 1)) for column in place]
    shape = (columns[0].chunks[0], (drawing.times.size,))
    return da.map_blocks(drawing.displacement, *columns, dtype=np.float32, chunks=shape, meta=np.empty((0, 0), "f4"))


def _coordinates(drawing: Drawing, targets: Targets) -> dict[str, Any]:
    from pyproj import CRS

    kind = drawing.kind
    relief = 200 + 150 * np.sin(targets.easting / 700) * np.cos(targets.northing / 900)
    height = relief + 3 * gaussians(drawing.seed, HEIGHT_STREAM, targets.ids, 1)[:, 0]
    columns: Columns = {
        "point_id": point_names(targets.ids, drawing.seed),
        "easting": targets.easting,
        "northing": targets.northing,
        "height": height.round(1).astype(np.float32),
        **(_gnss(kind, targets) if kind.gridded else _radar_columns(drawing, targets, height)),
    }
    coords: dict[str, Any] = {
        name: ("point", values, describe(name) if name in LONG_NAMES_AND_UNITS else {})
        for name, values in columns.items()
    }
    coords["time"] = ("time", drawing.times)
    coords["crs"] = ((), np.int32(0), {"crs_wkt": CRS(3035).to_wkt(), "epsg": 3035})
    return coords


def _gnss(kind: Kind, targets: Targets) -> Columns:
    """Velocities of the GNSS model, as the columns that EGMS appends."""
    suffixes = ("_n", "_e", "_u") if kind.gridded else ("",)
    return {
        f"egms_gnss_velocity{suffix}": np.full(targets.ids.size, value, np.float32)
        for suffix, value in zip(suffixes, kind.gnss, strict=True)
    }


def _radar_columns(drawing: Drawing, targets: Targets, height: npt.NDArray[Any]) -> Columns:
    """Columns of a burst: place in the image, quality, geometry."""
    from pyproj import Transformer

    kind, ids = drawing.kind, targets.ids
    to_degrees = Transformer.from_crs(3035, 4326, always_xy=True)
    longitude, latitude = to_degrees.transform(targets.easting, targets.northing)
    coherence, dispersion = _quality(drawing, ids)
    incidence = np.radians(37.3 - 1.4e-5 * (targets.easting - kind.centre[0]))
    towards = np.radians(HEADING - 90)
    floats = {
        "mp_type": (np.zeros(ids.size), 0),
        "height_ellipse": (height.round(1) + 43.6, 1),
        "line": (targets.line, 0),
        "pixel": (targets.pixel, 0),
        "coherence": (coherence, 2),
        "amplitude_dispersion": (dispersion, 2),
        "incidence_angle": (np.degrees(incidence), 2),
        "track_angle": (np.full(ids.size, HEADING), 2),
        "los_east": (np.sin(incidence) * np.sin(towards), 3),
        "los_north": (np.sin(incidence) * np.cos(towards), 3),
        "los_up": (np.cos(incidence), 3),
    }
    return {
        "longitude": longitude.round(6),
        "latitude": latitude.round(6),
        **{name: values.round(decimals).astype(np.float32) for name, (values, decimals) in floats.items()},
        **_gnss(kind, targets),
    }


def _quality(drawing: Drawing, ids: npt.NDArray[np.int64]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Coherence and amplitude dispersion of points whose noise has this spread.

    Phase noise of s radians leaves a coherence of exp(-s^2 / 2) (Ferretti et al. 2001, doi:10.1109/36.898661); real
    bursts scatter by 0.04 about that of their rmse.
    """
    rmse = LEFT_BY_FIT * drawing.sigma(ids)
    scatter = gaussians(drawing.seed, COHERENCE_STREAM, ids, 2)
    coherence = np.exp(-0.5 * (4 * np.pi / WAVELENGTH * rmse) ** 2) + 0.025 * scatter[:, 0]
    dispersion = 0.26 + 0.062 * rmse + 0.05 * scatter[:, 1]
    return np.clip(coherence, 0.31, 1.0), np.clip(dispersion, 0.05, 0.9)


def _attributes(kind: Kind, times: npt.NDArray[np.datetime64], seed: int) -> dict[str, Any]:
    attrs: dict[str, Any] = {
        "product": kind.product,
        "component": kind.component,
        "positive": POSITIVE[kind.component],
        "reference_date": str(times[0].astype("datetime64[D]")),
        "reference": "none: a synthetic scene",
        "release": kind.release,
        "sees_future": 0,
        "Conventions": "CF-1.11",
        "source": f"{kind.file_name} (synthetic, seed {seed})",
    }
    if kind.component == "los":
        attrs |= {"track": kind.file_name.split("_")[2], "pass": "descending"}
    return attrs
