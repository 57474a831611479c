"""Windows of series cut by torch where the series lie: `insar_dask.forecast.series.framing.frame` on a GPU.

What `frame` makes of arrays on the host is made here of the same arrays on a device, without looking at one of their
numbers. Both give the same values but for the last bit of places, whose centroid is summed in another order.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from insar_dask.forecast.series.framing import LEAST_SCALE, Framing, Scale
from insar_dask.forecast.series.point_source import Points
from insar_dask.forecast.training.job import Batch

__all__ = ["gathered", "stock_bytes", "stock_of"]

OF_A_POINT = 40
"""Bytes of a point in a stock beside its series: place, pattern, shift and scale, and the pointers of the allocator."""


def stock_of(framing: Framing, points: Points, days: np.ndarray[tuple[int], np.dtype[np.int64]], scale: Scale) -> Batch:
    """What windows of some points are gathered from, as tensors on the host.

    Returns
    -------
    dict
        ``values`` (n, T), ``shift`` and ``scale`` (n,) float32, ``places`` (n, 2) float64, ``patterns`` (n,) int64 as
        the network is told them, ``calendar`` (T + h, d) float32.
    """
    known = (points.patterns >= 0) & (points.patterns < framing.n_patterns)
    arrays = {
        "values": points.values,
        "shift": scale.shift,
        "scale": scale.scale,
        "places": points.places,
        "patterns": np.where(known, points.patterns.astype(np.int64), framing.n_patterns),
        "calendar": framing.features(days[0] + framing.step * np.arange(len(days) + framing.horizon)),
    }
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}


def stock_bytes(n_points: int, n_dates: int) -> int:
    """Bytes that so many points take, whatever is told of their dates."""
    return n_points * (4 * n_dates + OF_A_POINT)


def gathered(
    framing: Framing, stock: Batch, members: Tensor, origins: Tensor, *, targets: bool = True
) -> tuple[Batch, Tensor, Tensor]:
    """Batch of some windows, each of one group at one origin.

    Parameters
    ----------
    framing : Framing
    stock : Batch
        From `stock_of`, on the device.
    members : (B, L) tensor of int64
        Points of each window, `insar_dask.forecast.groups.ABSENT` where a group is short.
    origins : (B,) tensor of int64
        Column of the first date asked for.
    targets : bool
        Whether to add what came.

    Returns
    -------
    batch : dict
        As `insar_dask.forecast.series.framing.frame` has it.
    shift, scale : (B, L) tensors
        What its values were scaled by [mm].
    """
    context, ahead = framing.context, framing.horizon
    present = members >= 0
    seats = members.clamp(min=0)
    before = origins[:, None] + torch.arange(-context, 0, device=members.device)  # (B, k)
    after = origins[:, None] + torch.arange(ahead, device=members.device)  # (B, h)
    past = _cut(stock["values"], seats, present, before)  # (B, L, k)
    shift, scale = _scale(framing, past, stock["shift"][seats], stock["scale"][seats])
    values, given = _scaled(past, shift, scale)
    batch = {
        "values": values,
        "given": given,
        "present": present,
        "context_time": stock["calendar"][before],
        "target_time": stock["calendar"][after],
        "places": _from_centroid(stock["places"][seats], present),
        "pattern": stock["patterns"][seats].masked_fill(~present, framing.n_patterns),
        "baseline": values.new_zeros(*present.shape, ahead),
    }
    if targets:
        came = _cut(stock["values"], seats, present, after)
        batch["targets"], batch["scored"] = _scaled(came, shift, scale)
    return batch, shift, scale


def _cut(series: Tensor, seats: Tensor, present: Tensor, columns: Tensor) -> Tensor:
    """Values (B, L, t) of points (B, L) at columns (B, t); NaN where nobody sits."""
    return series[seats[..., None], columns[:, None]].masked_fill(~present[..., None], torch.nan)


def _scaled(window: Tensor, shift: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Scaled values, 0 where there is none, and which there are."""
    known = ~window.isnan()
    return ((window - shift[..., None]) / scale[..., None]).masked_fill(~known, 0.0), known


def _scale(framing: Framing, past: Tensor, shift: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """What each context is scaled by; what else is known of a point where it has no value."""
    known = ~past.isnan()
    if framing.scaling == "last":
        steps = torch.arange(past.shape[-1], device=past.device)
        last = (known * (steps + 1)).amax(-1, keepdim=True) - 1
        value = past.gather(-1, last.clamp(min=0)).squeeze(-1)
        return torch.where(known.any(-1), value, shift), scale
    if framing.scaling == "window":
        count = known.sum(-1).double()
        values = past.double().masked_fill(~known, 0.0)
        mean = values.sum(-1) / count
        left = (values - mean[..., None]).masked_fill(~known, 0.0)
        deviation = (left.square().sum(-1) / count).sqrt().clamp(min=LEAST_SCALE)
        some = count > 0
        return torch.where(some, mean.float(), shift), torch.where(some, deviation.float(), scale)
    return shift, scale


def _from_centroid(places: Tensor, present: Tensor) -> Tensor:
    """Metres (B, L, 2) from the centroid of the points present; 0 where nobody sits."""
    seats = places.masked_fill(~present[..., None], 0.0)
    centroids = seats.sum(1, keepdim=True) / present.sum(1).clamp(min=1)[:, None, None]
    return (seats - centroids).masked_fill(~present[..., None], 0.0).float()
