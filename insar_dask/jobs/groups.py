"""The group of a target, and the receipts of what it holds: whoever replaces the one forgets the others first."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from insar_dask.jobs.receipts import Ledger
from insar_dask.layout import create_group
from insar_dask.outline import Outline
from insar_dask.shards import ShardPlan

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["make_group"]


def make_group(
    ledger: Ledger,
    group: str,
    template: xr.Dataset | Outline,
    plan: ShardPlan,
    replacing: Callable[[bytes], None] = lambda _: None,
) -> None:
    """Make a group as `insar_dask.layout.create_group` does; what another of that name held is not done any more.

    Its receipts are forgotten before anything of it is removed: a run that is killed leaves shards that are still to be
    made, and none that looks done and is gone.
    """

    def forget(document: bytes) -> None:
        replacing(document)
        ledger.forget(group)

    create_group(ledger.store, group, template, plan, forget)
