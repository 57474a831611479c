"""Velocity, season and height error of each point from its interferograms, with honest errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.inversion.baselines import date_baselines
from insar_dask.inversion.pairs import Timeline, check_pairs, known_pairs, mm_per_radian, timeline
from insar_kernels.network_model import fit_network_model

__all__ = ["fit_motion", "predicted_height_std"]

Floats = npt.NDArray[np.floating]
Float64 = npt.NDArray[np.float64]

HUNDRED = 100.0
"""Baselines are fitted in hundreds of metres, so that all columns are of order one."""

AT_ONCE = 4096
"""Points fitted at once, lest copies of the phase double the memory of a shard."""

USEFUL = 2.0
"""Height errors are fitted by default where they would be known better than to so many metres."""

USUAL_DATE, USUAL_PAIR = 4.0, 2.0
"""Noise of dates and of pairs [mm] by which that is judged, before any data."""

RESULTS = {
    "velocity", "season", "annual_cosine", "annual_sine", "acceleration", "height_error", "date_noise", "pair_noise",
}  # fmt: skip
"""Names that further columns cannot have."""


def fit_motion(
    pairs: xr.Dataset,
    *,
    index: Sequence[float] | None = None,
    annual: bool = False,
    acceleration: bool = False,
    columns: Mapping[str, Sequence[float]] | None = None,
    height_error: bool | Literal["auto"] = "auto",
    slant_range: float | None = None,
    date_noise: float | None = None,
    as_of: str | None = None,
) -> xr.Dataset:
    """Fit x(t) = v t + E s(t) + k b(t) dz to every point's interferograms by generalised least squares.

    The noise of a date is shared by all its pairs: ordinary least squares on pairs is both worse and wrong in its
    errors. Here dates have a noise of their own beside that of the pairs, both estimated for each point; the fit is
    that on the inverted dates with the covariance s_a^2 I + (A' W A)^+. k = 1000 / (R sin(incidence)) mm per metre of
    baseline and of height.

    Parameters
    ----------
    pairs : xr.Dataset
        Pair cube, in memory or lazy, corrected and referenced.
    index : sequence of float, optional
        s at the dates of the network, such as `insar_dask.inversion.season.composite_index` gives.
    annual : bool
        A cosine and a sine of the year besides.
    acceleration : bool
        A term a t^2 / 2 besides; velocity is that in the middle of the period.
    columns : mapping, optional
        Further columns by name, a value of order one for each date: roots of the degree-days of thaw and of frost apart
        (`insar_dask.inversion.season.frost_and_thaw`), which no weight of frost can spoil; a step, 0 before a date.
    height_error : bool or "auto"
        Whether dz is fitted; "auto" where baselines would tell it to 2 m.
    slant_range : float, optional
        Distance to the satellite [m], where the attributes do not say it.
    date_noise : float, optional
        Standard deviation of the noise of a date [mm]; default: estimated.
    as_of : date-like, optional
        Use only pairs that were complete on this day.

    Returns
    -------
    xr.Dataset
        Over the points ``velocity`` [mm/yr of 365.25 days], ``season`` [mm at index 1], ``annual_cosine`` and
        ``annual_sine`` [mm], ``acceleration`` [mm/yr^2], ``height_error`` [m], each with ``_std``, as asked for;
        ``date_noise`` and ``pair_noise`` [mm]. NaN where the pairs of a point cannot tell them apart.

    Raises
    ------
    CubeError
        When the data set is no pair cube, or has no incidence angle, range or baselines for the height error.
    ValueError
        When ``index`` or a column is not as long as the dates are many, or a column has the name of a result.
    """
    check_pairs(pairs)
    kept = known_pairs(pairs, as_of)
    line = timeline(kept)
    model = _columns(line, index, annual, acceleration, columns or {})
    per_height = None
    if height_error and _can_tell_height(kept, line, slant_range, must=height_error is True):
        model["height_error"] = (date_baselines(kept).values / HUNDRED, "m")
        distance = float(slant_range or kept.attrs["slant_range"])
        per_height = (
            distance * np.sin(np.radians(kept["incidence_angle"].variable.astype(np.float64))) / (1000 * HUNDRED)
        )
    found = xr.apply_ufunc(
        _fit, kept["phase"].variable,
        kwargs={"line": line, "scale": mm_per_radian(kept), "date_noise": date_noise,
                "model": np.stack([column for column, _ in model.values()], axis=1)},
        input_core_dims=[["pair"]], output_core_dims=[["term"]], dask="parallelized", output_dtypes=[np.float32],
        dask_gufunc_kwargs={"output_sizes": {"term": 2 * len(model) + 2}},
    )  # fmt: skip
    names = [*model, *(f"{name}_std" for name in model), "date_noise", "pair_noise"]
    units = [*(unit for _, unit in model.values())] * 2 + ["mm", "mm"]
    results = {}
    for place, (name, unit) in enumerate(zip(names, units, strict=True)):
        variable = found.isel(term=place)
        if name.startswith("height_error"):
            variable = (variable * per_height).astype(np.float32)
        variable.attrs = {"long_name": name.replace("_", " "), "units": unit}
        results[name] = variable
    gone = [name for name in kept.variables if "pair" in kept[name].dims or name in results]
    attrs = {name: value for name, value in kept.attrs.items() if name != "phase_sign"}
    return kept.drop_vars(gone).assign(results).assign_attrs({**attrs, "sees_future": -1, "days_per_year": 365.25})


def predicted_height_std(line: Timeline, baselines: Float64, distance: float, incidence: float) -> float:
    """Standard error [m] that the network lets a height error have, with usual noise, beside a velocity."""
    n_dates = len(line.dates)
    design = np.zeros((len(line.first), n_dates))
    design[np.arange(len(design)), line.first] = -1
    design[np.arange(len(design)), line.second] = 1
    normal = design.T @ design / USUAL_PAIR**2
    per_metre = 1000 / (distance * np.sin(np.radians(incidence)))
    model = np.stack([line.years, per_metre * baselines], axis=1)
    information = model.T @ np.linalg.solve(np.eye(n_dates) + USUAL_DATE**2 * normal, normal @ model)
    try:
        return float(np.sqrt(np.linalg.inv(information)[1, 1]))
    except np.linalg.LinAlgError:
        return float("inf")


def _columns(
    line: Timeline,
    index: Sequence[float] | None,
    annual: bool,
    acceleration: bool,
    others: Mapping[str, Sequence[float]],
) -> dict[str, tuple[Float64, str]]:
    years = line.years
    columns: dict[str, tuple[Float64, str]] = {"velocity": (years, "mm yr-1")}
    if taken := sorted(RESULTS & set(others)):
        raise ValueError(f"columns={taken} are names of results: give them others")
    given = {**({} if index is None else {"season": index}), **others}
    for name, values in given.items():
        if len(values) != len(years):
            raise ValueError(f"{name} has {len(values)} values for {len(years)} dates: wanted one for each")
        columns[name] = (np.asarray(values, np.float64), "mm")
    if annual:
        columns["annual_cosine"] = (np.cos(2 * np.pi * years), "mm")
        columns["annual_sine"] = (np.sin(2 * np.pi * years), "mm")
    if acceleration:
        columns["acceleration"] = ((years - years[-1] / 2) ** 2 / 2, "mm yr-2")
    return columns


def _can_tell_height(pairs: xr.Dataset, line: Timeline, slant_range: float | None, *, must: bool) -> bool:
    distance = slant_range or pairs.attrs.get("slant_range")
    lacking = [
        text for text, there in (
            ("slant_range= in metres", distance is not None),
            ("the coordinate 'incidence_angle' in degrees", "incidence_angle" in pairs.variables),
            ("'bperp' of every pair", "bperp" in pairs.variables and bool(np.isfinite(pairs["bperp"].values).all())),
        ) if not there
    ]  # fmt: skip
    if lacking:
        if must:
            raise CubeError(f"a height error needs {' and '.join(lacking)}: give them, or pass height_error=False")
        return False
    if must:
        return True
    middle = float(np.nanmedian(pairs["incidence_angle"].values))
    return predicted_height_std(line, date_baselines(pairs).values, float(distance or 0), middle) < USEFUL


def _fit(phase: Floats, *, line: Timeline, scale: float, model: Float64, date_noise: float | None) -> Any:
    noise = np.nan if date_noise is None else date_noise
    terms = model.shape[1]
    results = np.empty((len(phase), 2 * terms + 2), np.float32)
    for start in range(0, len(phase), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        found = fit_network_model(phase[some] * np.float32(scale), line.first, line.second, model, date_noise=noise)
        results[some, :terms] = found.coefficients
        results[some, terms:-2] = np.sqrt(np.diagonal(found.covariance, axis1=-2, axis2=-1))
        results[some, -2], results[some, -1] = found.date_noise, found.pair_noise
    return results
