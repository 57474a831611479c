"""Threads of torch in a process that forecasts and trains: one for forecasts, all for a training."""

from __future__ import annotations

import torch

__all__ = ["all_threads", "one_thread"]

_before = 1


def one_thread() -> None:
    """Compute on one thread from here: the bits of a forecast then depend on its piece alone.

    It is for good, since other threads of the process may be forecasting too.
    """
    global _before
    _before = max(_before, torch.get_num_threads())
    torch.set_num_threads(1)


def all_threads() -> None:
    """Compute on as many threads as before a forecast, if there was one: trained alike whatever went before."""
    if torch.get_num_threads() == 1:
        torch.set_num_threads(_before)
