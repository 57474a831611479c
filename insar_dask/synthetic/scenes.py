"""One call to a cube of any size whose truth is known; displacement is drawn when asked for, block by block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from insar_kernels.noise import correlated_noise, gaussians, uniforms

from insar_dask.cube import DAYS_PER_YEAR, describe, years_since
from insar_dask.synthetic.dates import acquisition_dates
from insar_dask.synthetic.ground import BEGINS_AT, REGIMES, Ground, signal_basis
from insar_dask.synthetic.kinds import KINDS, RMSE_LEVELS, Kind
from insar_dask.synthetic.targets import place_points, point_ids, scene_side

__all__ = ["scene"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
NOISE_STREAM, MISSING_STREAM, COHERENCE_STREAM = 8, 6, 5
WAVELENGTH = 55.466
"""Sentinel-1, C band [mm]."""


@dataclass(frozen=True)
class Scene:
    """Everything a block of points needs in order to draw itself."""

    kind: Kind
    seed: int
    ground: Ground
    times: npt.NDArray[np.datetime64]
    missing: float
    noise: float

    def displacement(self, ids: npt.NDArray[np.int64], easting: Float64, northing: Float64) -> Float32:
        """Displacement [mm] of some points, (N, T) float32, multiples of 0.1."""
        ids, easting, northing = ids.ravel(), easting.ravel(), northing.ravel()
        coefficients, _ = self.ground.coefficients(ids, easting, northing)
        series = self._noise(ids, easting, northing)
        for coefficient, function in zip(coefficients.T, signal_basis(years_since(self.times)), strict=True):
            series += coefficient[:, None] * function
        tenths = np.clip(np.rint(series * 10), -32767, 32767).astype(np.float32)
        if self.missing > 0:
            tenths[uniforms(self.seed, MISSING_STREAM, ids, self.times.size) < self.missing] = np.nan
        return tenths / np.float32(10)

    def _noise(self, ids: npt.NDArray[np.int64], easting: Float64, northing: Float64) -> Float64:
        kind = self.kind
        cells = np.stack([_cell(easting, northing, size) for size in kind.cell_sizes], axis=1)
        drawn = correlated_noise(
            self.seed, NOISE_STREAM, ids, cells, np.array(kind.cell_shares),
            (kind.memory, _theta(kind.lag1, kind.memory)), self.times.size,
        ).astype(np.float64)  # fmt: skip
        cubic, scale = _heavy_tails(kind.kurtosis)
        sigma = self.noise * self.ground.sigma(ids, RMSE_LEVELS)
        return np.asarray(drawn * (1 + cubic * drawn**2) * (sigma / scale)[:, None])


def scene(
    kind: str = "l2b",
    n_points: int | None = None,
    n_dates: int | None = None,
    *,
    missing: float = 0.0,
    noise: float = 1.0,
    seed: int = 0,
) -> xr.Dataset:
    """Draw a cube with known truth.

    Parameters
    ----------
    kind : {"l2b", "l3u", "l3e", "chumar"}
        An EGMS burst, the up or east component of an EGMS tile, or a permafrost plateau with thaw slumps.
    n_points, n_dates : int, optional
        Size; by default 20,000 x 210 (l2b), 20,000 x 304 (l3), 588,600 x 158 (chumar).
    missing : float
        Share of values that are missing at random.
    noise : float
        Factor on the noise; 1 is that of real products.
    seed : int
        Equal seeds give equal scenes, whatever the chunks.

    Returns
    -------
    xr.Dataset
        Point cube in Hilbert order, lazy in ``displacement``; with the truth in ``true_*`` over ``point``.

    Raises
    ------
    ValueError
        For an unknown kind or a size out of range.
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}, wanted one of {sorted(KINDS)}")
    what = KINDS[kind]
    n_points = what.n_points if n_points is None else n_points
    n_dates = what.n_dates if n_dates is None else n_dates
    times = acquisition_dates(what.product, n_dates, seed, regular_holes=what.frozen)
    easting, northing = place_points(what, n_points, seed)
    ground = Ground.around(what, seed, scene_side(what, n_points))
    drawing = Scene(what, seed, ground, times, missing, noise)
    ids = np.arange(n_points, dtype=np.int64)
    cube = xr.Dataset(
        {
            "displacement": (("point", "time"), _lazy(drawing, ids, easting, northing), _displacement_attrs()),
            "observed": ("time", np.ones(n_dates, bool), describe("observed")),
            **_truth(drawing, ids, easting, northing),
        },
        coords=_coordinates(drawing, ids, easting, northing),
        attrs=_attributes(what, times, seed),
    )
    return cube


def _displacement_attrs() -> dict[str, str]:
    return {**describe("displacement"), "grid_mapping": "crs"}


def _lazy(drawing: Scene, ids: npt.NDArray[np.int64], easting: Float64, northing: Float64) -> Any:
    import dask.array as da

    chunk = 256
    while chunk < 16_384 and chunk * 32 <= ids.size:
        chunk *= 2
    columns = [da.from_array(column[:, None], chunks=(chunk, 1)) for column in (ids, easting, northing)]
    return da.map_blocks(
        drawing.displacement, *columns, dtype=np.float32, chunks=(columns[0].chunks[0], (drawing.times.size,))
    )


def _cell(easting: Float64, northing: Float64, size: float) -> npt.NDArray[np.int64]:
    column, row = np.floor(easting / size).astype(np.int64), np.floor(northing / size).astype(np.int64)
    return (column << 32) + row


def _theta(lag1: float, memory: float) -> float:
    """Moving-average term that gives an ARMA(1, 1) of AR term ``memory`` the autocorrelation ``lag1``."""
    roots = np.roots([lag1 - memory, 2 * lag1 * memory - 1 - memory**2, lag1 - memory])
    return float(roots[np.abs(roots) < 1][0].real) if lag1 != memory else 0.0


def _heavy_tails(kurtosis: float) -> tuple[float, float]:
    """Factor c and standard deviation of z + c z^3, z Gaussian, that has this excess kurtosis."""
    cubic = np.linspace(0, 0.3, 30_001)
    variance = 1 + 6 * cubic + 15 * cubic**2
    fourth = 3 + 60 * cubic + 630 * cubic**2 + 3780 * cubic**3 + 10395 * cubic**4
    best = int(np.argmin(np.abs(fourth / variance**2 - 3 - kurtosis)))
    return float(cubic[best]), float(np.sqrt(variance[best]))


def _truth(drawing: Scene, ids: npt.NDArray[np.int64], easting: Float64, northing: Float64) -> dict[str, Any]:
    coefficients, weights = drawing.ground.coefficients(ids, easting, northing)
    years = years_since(drawing.times)
    basis = signal_basis(years)
    c, s, one = np.cos(2 * np.pi * years), np.sin(2 * np.pi * years), np.ones_like(years)

    def fitted(*columns: Float64) -> Float64:
        return np.asarray(coefficients @ (np.linalg.pinv(np.stack(columns, axis=1)) @ basis.T).T)

    cubic = fitted(c, s, one, years, years**2, years**3)
    start = drawing.times[0].astype("datetime64[D]")
    first_day = int((start - start.astype("datetime64[Y]")) / np.timedelta64(1, "D"))
    peak = np.arctan2(cubic[:, 1], cubic[:, 0]) / (2 * np.pi) * DAYS_PER_YEAR
    regime = np.where(weights.max(axis=1) > BEGINS_AT, weights.argmax(axis=1), 0).astype(np.int8)
    found = {
        "velocity": fitted(years, one, c, s)[:, 0],
        "acceleration": fitted(years**2 / 2, years, one, c, s)[:, 0],
        "seasonality": np.hypot(cubic[:, 0], cubic[:, 1]),
        "phase": (peak + first_day) % DAYS_PER_YEAR + 1,
    }
    truth = {f"true_{name}": ("point", values.astype(np.float32), describe(name)) for name, values in found.items()}
    truth["true_step"] = (
        "point", coefficients[:, 4].astype(np.float32), {"long_name": "co-seismic step", "units": "mm"}
    )  # fmt: skip
    truth["true_noise"] = (
        "point", (drawing.noise * drawing.ground.sigma(ids, RMSE_LEVELS)).astype(np.float32),
        {"long_name": "standard deviation of the noise", "units": "mm"},
    )  # fmt: skip
    flags = {"flag_values": np.arange(len(REGIMES), dtype=np.int8), "flag_meanings": " ".join(REGIMES)}
    truth["true_regime"] = ("point", regime, {"long_name": "kind of motion", **flags})
    return truth


def _coordinates(drawing: Scene, ids: npt.NDArray[np.int64], easting: Float64, northing: Float64) -> dict[str, Any]:
    from pyproj import CRS, Transformer

    kind = drawing.kind
    columns: dict[str, Any] = {
        "point_id": point_ids(ids.size, drawing.seed),
        "easting": easting,
        "northing": northing,
    }
    relief = 200 + 150 * np.sin(easting / 700) * np.cos(northing / 900)
    columns["height"] = np.round(relief + 3 * gaussians(drawing.seed, 7, ids, 1)[:, 0], 1).astype(np.float32)
    if not kind.gridded:
        longitude, latitude = Transformer.from_crs(3035, 4326, always_xy=True).transform(easting, northing)
        columns |= {"longitude": np.round(longitude, 6), "latitude": np.round(latitude, 6)}
        columns |= _radar_columns(drawing, ids, easting, northing, columns["height"])
    coords: dict[str, Any] = {name: ("point", values, _described(name)) for name, values in columns.items()}
    coords["time"] = ("time", drawing.times)
    coords["crs"] = ((), np.int32(0), {"crs_wkt": CRS(3035).to_wkt(), "epsg": 3035})
    return coords


def _described(name: str) -> dict[str, str]:
    from insar_dask.cube import LONG_NAMES_AND_UNITS

    return describe(name) if name in LONG_NAMES_AND_UNITS else {}


def _radar_columns(
    drawing: Scene, ids: npt.NDArray[np.int64], easting: Float64, northing: Float64, height: Float32
) -> dict[str, Any]:
    sigma = drawing.noise * drawing.ground.sigma(ids, RMSE_LEVELS)
    draws = gaussians(drawing.seed, COHERENCE_STREAM, ids, 2)
    coherence = np.exp(-0.5 * (4 * np.pi / WAVELENGTH * sigma) ** 2) + 0.03 * draws[:, 0]
    dispersion = 0.26 + 0.06 * sigma + 0.06 * draws[:, 1]
    east, north = easting - easting.min(), northing - northing.min()
    heading = 191.42
    incidence = 37.3 + 1.4e-5 * east
    up, side = np.cos(np.radians(incidence)), np.sin(np.radians(incidence))
    towards = np.radians(heading - 90)
    return {
        "mp_type": np.zeros(ids.size, np.float32),
        "line": (north / 13.9).astype(np.float32) // 1,
        "pixel": ((east.max() - east) / 3.7).astype(np.float32) // 1,
        "height_ellipse": (height + np.float32(43.6)).round(1).astype(np.float32),
        "coherence": np.clip(coherence, 0.31, 1).round(2).astype(np.float32),
        "amplitude_dispersion": np.clip(dispersion, 0.05, 0.9).round(2).astype(np.float32),
        "incidence_angle": incidence.round(2).astype(np.float32),
        "track_angle": np.full(ids.size, heading, np.float32),
        "los_east": (side * np.sin(towards)).round(3).astype(np.float32),
        "los_north": (side * np.cos(towards)).round(3).astype(np.float32),
        "los_up": up.round(3).astype(np.float32),
    }


def _attributes(kind: Kind, times: npt.NDArray[np.datetime64], seed: int) -> dict[str, Any]:
    attrs: dict[str, Any] = {
        "product": kind.product,
        "component": kind.component,
        "positive": {"los": "towards the satellite", "up": "up", "east": "east"}[kind.component],
        "reference_date": str(times[0].astype("datetime64[D]")),
        "reference": "none: synthetic scene",
        "release": "2020-2024",
        "sees_future": 0,
        "Conventions": "CF-1.11",
        "source": f"{kind.name} (synthetic, seed {seed})",
    }
    if kind.component == "los":
        attrs |= {"track": kind.name.split("_")[2], "pass": "descending"}
    return attrs
