"""What networks of maps share: the check of their batch, and frames cut into patches and put together again."""

from __future__ import annotations

from torch import Tensor

from insar_dask.forecast.models.blocks import Batch

__all__ = ["check_maps", "check_patches", "joined", "patches"]


def check_maps(batch: Batch, context: int, horizon: int, channels: int, side: int) -> None:
    """Refuse a batch of other steps, channels or maps than a network was built for.

    Raises
    ------
    ValueError
        Saying what came, and how to build the network for it.
    """
    values = batch["values"]  # (B, T_in, C, Y, X)
    came = values.shape[1], batch["target_time"].shape[1]
    if came != (context, horizon):
        raise ValueError(
            f"the network was built for {context} context and {horizon} target steps, and a batch of {came[0]} and "
            f"{came[1]} came; build it with context={came[0]} and horizon={came[1]}"
        )
    if values.shape[2] != channels:
        raise ValueError(
            f"the network was built for {channels} channels, and a batch of {values.shape[2]} came; build it with "
            f"channels={values.shape[2]}"
        )
    if values.shape[3:] != (side, side):
        rows, columns = values.shape[3:]
        cure = f"build it with side={rows}" if rows == columns else "cut the maps into squares"
        raise ValueError(
            f"the network was built for maps of {side} x {side} cells, and {rows} x {columns} came; {cure}"
        )


def check_patches(side: int, patch: int) -> int:
    """How many patches lie along a side.

    Raises
    ------
    ValueError
        When the side is no multiple of the patch.
    """
    if patch < 1 or side % patch:
        divisors = ", ".join(str(n) for n in range(1, side + 1) if side % n == 0)
        raise ValueError(
            f"maps of {side} x {side} cells cannot be cut into patches of {patch}; patch may be {divisors}, or give "
            "the maps another side"
        )
    return side // patch


def patches(maps: Tensor, patch: int) -> Tensor:
    """Patches (B, T, n·n, C·P·P) of maps (B, T, C, n·P, n·P), row after row."""
    batch, steps, channels, side, _ = maps.shape
    along = side // patch
    cut = maps.reshape(batch, steps, channels, along, patch, along, patch)
    return cut.permute(0, 1, 3, 5, 2, 4, 6).reshape(batch, steps, along**2, -1)


def joined(tokens: Tensor, patch: int) -> Tensor:
    """Maps (B, T, n·P, n·P) of patches (B, T, n·n, P·P)."""
    batch, steps, count, _ = tokens.shape
    along = round(count**0.5)
    cut = tokens.reshape(batch, steps, along, along, patch, patch).transpose(3, 4)  # (B, T, n, P, n, P)
    return cut.reshape(batch, steps, along * patch, along * patch)
