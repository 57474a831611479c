"""Surfaces that interferograms share by their dates: orbital ramps over the image, delays that grow with height.

Each date has a surface, an interferogram the difference of two and a constant of its own. What a solution needs of the
points are sums, so that shards can be summed apart and added.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.inversion.pairs import Timeline, check_pairs, timeline
from insar_dask.readers.grid import PixelGrid

__all__ = ["Surface", "remove_surfaces", "solve_surfaces", "surface_of", "surface_sums", "without_surfaces"]

Float64 = npt.NDArray[np.float64]
Kind = Literal["plane", "quadratic", "height"]
Sums = dict[str, npt.NDArray[np.float64]]

KINDS = ("plane", "quadratic", "height")
BLOCK = 1 << 14
"""Points whose sums are taken at once."""


@dataclass(frozen=True)
class Surface:
    """Functions of the place, centred and of order one: ``(value - centre) / scale`` of columns and rows, or height."""

    kind: str
    centre: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def of(cls, parts: Mapping[str, Any]) -> Surface:
        """From plain values, as ``dataclasses.asdict`` makes them."""
        return cls(str(parts["kind"]), tuple(parts["centre"]), tuple(parts["scale"]))

    @property
    def n_terms(self) -> int:
        """Coefficients of a date."""
        return {"plane": 2, "quadratic": 5, "height": 1}[self.kind]

    def terms(self, points: xr.Dataset) -> Float64:
        """Values at points, (N, K)."""
        names = ("height",) if self.kind == "height" else ("col", "row")
        own = [
            (np.asarray(points[name].values, np.float64) - centre) / scale
            for name, centre, scale in zip(names, self.centre, self.scale, strict=True)
        ]
        if self.kind == "quadratic":
            x, y = own
            own = [x, y, x * x, x * y, y * y]
        return np.stack(own, axis=1)


def remove_surfaces(
    pairs: xr.Dataset,
    kind: Kind = "plane",
    *,
    stable: Any = None,
    how: Literal["network", "pair"] = "network",
) -> xr.Dataset:
    """Take off interferograms the surfaces that fit them on stable ground; their constants stay.

    Minimises sum over pairs and stable points of (phase - (a[second] - a[first]) f - c[pair])^2, f being {x, y}
    ("plane"), {x, y, x^2, x y, y^2} ("quadratic") or {height}: orbital ramps, or delays of a stratified atmosphere.

    Parameters
    ----------
    pairs : xr.Dataset
        Pair cube, in memory or lazy; it is read once for the sums.
    kind : {"plane", "quadratic", "height"}
        The surface; "height" needs the coordinate ``height``, and points that have none lose their phase.
    stable : (point,) array of bool
        Ground that does not move. Without it moving ground bends the surfaces, which makes velocities worse than
        without any correction: a warning says so.
    how : {"network", "pair"}
        One surface a date, so that all loops close; or one a pair, each fitted for itself.

    Returns
    -------
    xr.Dataset
        Pair cube. ``sees_future`` is -1: a date's surface is found with later dates.

    Raises
    ------
    CubeError
        When points are no pixels, have no height, or a pair has too few stable points.
    ValueError
        For another surface or way.
    """
    if how not in ("network", "pair"):
        raise ValueError(f"how is {how!r}, wanted 'network' or 'pair'")
    surface = surface_of(pairs, kind)
    if stable is None:
        warnings.warn(
            f"{kind} surfaces are fitted to all ground: where some of it moves, velocities become worse than without "
            "them; pass stable=, such as abs(velocity) < 5 mm/yr of a first inversion",
            stacklevel=2,
        )
    sums = surface_sums(pairs, surface, stable)
    return without_surfaces(pairs, surface, solve_surfaces([sums], timeline(pairs), how))


def surface_of(pairs: xr.Dataset, kind: Kind) -> Surface:
    """A surface scaled by the whole cube, so that shards agree on it."""
    check_pairs(pairs)
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}, wanted one of {KINDS}")
    if kind == "height":
        if "height" not in pairs.variables:
            raise CubeError("the points have no 'height': read it with columns={'height': 'dem.tif'}")
        height = np.asarray(pairs["height"].values, np.float64)
        low, high = float(np.nanmin(height)), float(np.nanmax(height))
        return Surface(kind, ((low + high) / 2,), (max((high - low) / 2, 1.0),))
    grid = PixelGrid.of(pairs)
    half = (grid.columns - 1) / 2, (grid.rows - 1) / 2
    return Surface(kind, half, (max(half[0], 1.0), max(half[1], 1.0)))


def surface_sums(pairs: xr.Dataset, surface: Surface, stable: Any = None) -> Sums:
    """Sums over stable, valid points, ``gram`` (P, K+1, K+1) and ``moment`` (P, K+1), the constant last; they add."""
    n_pairs, terms = pairs.sizes["pair"], surface.n_terms + 1
    gram, moment = np.zeros((n_pairs, terms, terms)), np.zeros((n_pairs, terms))
    used = np.ones(pairs.sizes["point"], bool) if stable is None else np.asarray(stable, bool)
    if used.shape != (pairs.sizes["point"],):
        raise CubeError(f"stable has shape {used.shape} for {pairs.sizes['point']} points: wanted one value each")
    for start in range(0, used.size, BLOCK):
        block = slice(start, start + BLOCK)
        some = pairs.isel(point=block)
        basis = np.concatenate([surface.terms(some), np.ones((some.sizes["point"], 1))], axis=1)
        known = used[block] & np.isfinite(basis).all(axis=1)
        phase, basis = some["phase"].values[known].astype(np.float64), basis[known]
        valid = ~np.isnan(phase)
        products = (basis[:, :, None] * basis[:, None, :]).reshape(len(basis), terms * terms)
        gram += (valid.T.astype(np.float64) @ products).reshape(n_pairs, terms, terms)
        moment += np.where(valid, phase, 0.0).T @ basis
    return {"gram": gram, "moment": moment}


def solve_surfaces(sums: Iterable[Sums], line: Timeline, how: Literal["network", "pair"] = "network") -> Float64:
    """Coefficients of each pair [rad], (P, K), from sums, which are added in their order."""
    gram: Any = 0.0
    moment: Any = 0.0
    for part in sums:
        gram, moment = gram + part["gram"], moment + part["moment"]
    terms = moment.shape[1] - 1
    count = gram[:, -1, -1]
    poor = np.flatnonzero(count <= terms)
    if poor.size:
        raise CubeError(
            f"the pair {line.name(int(poor[0]))} has {count[poor[0]]:.0f} stable points with data ({poor.size} such "
            f"pairs), wanted more than {terms}: count more ground as stable (stable_below), leave these pairs out, or "
            "take no surface off"
        )
    # the constant of each pair is eliminated
    cross = gram[:, :-1, -1]
    inner = gram[:, :-1, :-1] - cross[:, :, None] * cross[:, None, :] / count[:, None, None]
    side = moment[:, :-1] - cross * (moment[:, -1] / count)[:, None]
    if how == "pair":
        return np.stack([np.linalg.lstsq(matrix, b, rcond=None)[0] for matrix, b in zip(inner, side, strict=True)])
    dates = len(line.dates)
    matrix, right = np.zeros((dates, terms, dates, terms)), np.zeros((dates, terms))
    for p, (a, b) in enumerate(zip(line.first.tolist(), line.second.tolist(), strict=True)):
        matrix[a, :, a] += inner[p]
        matrix[b, :, b] += inner[p]
        matrix[a, :, b] -= inner[p]
        matrix[b, :, a] -= inner[p]
        right[b] += side[p]
        right[a] -= side[p]
    # only differences of dates count, in each component of the network: the smallest solution serves
    found = np.linalg.lstsq(matrix.reshape(dates * terms, -1), right.ravel(), rcond=1e-12)[0].reshape(dates, terms)
    return np.asarray(found[line.second] - found[line.first])


def without_surfaces(pairs: xr.Dataset, surface: Surface, slopes: Any) -> xr.Dataset:
    """Take surfaces of coefficients (P, K) off the phase, lazily."""
    terms = xr.Variable(("point", "term"), surface.terms(pairs))
    weights = xr.Variable(("pair", "term"), np.asarray(slopes, np.float64))
    found = xr.apply_ufunc(
        _subtract, pairs["phase"].variable, terms, weights,
        input_core_dims=[["pair"], ["term"], ["pair", "term"]], output_core_dims=[["pair"]],
        dask="parallelized", output_dtypes=[np.float32], dask_gufunc_kwargs={"allow_rechunk": True},
    )  # fmt: skip
    found.attrs = pairs["phase"].attrs
    return pairs.assign(phase=found).assign_attrs(sees_future=-1)


def _subtract(phase: Any, terms: Any, weights: Any) -> Any:
    flat = np.empty(phase.shape, np.float32)
    for start in range(0, len(phase), BLOCK):  # a surface is float64, and would take twice what the phase does
        block = slice(start, start + BLOCK)
        surface = np.zeros(phase[block].shape)
        for k in range(terms.shape[-1]):  # not a matrix product, whose sums depend on how many rows it has
            surface += terms[block, k, None] * weights[:, k]
        flat[block] = phase[block] - surface
    return flat
