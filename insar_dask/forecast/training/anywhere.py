"""One training wherever it shall run: in this process, or by ranks on the workers of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Client

    from insar_dask.forecast.training.job import Job, Trained

__all__ = ["train_anywhere"]

Tell = Callable[[Mapping[str, Any]], None]


def train_anywhere(
    job: Callable[[], Job],
    builder: str,
    params: Mapping[str, Any],
    folder: str | Path,
    *,
    client: Client | None = None,
    ranks: int | None = None,
    device: str = "cpu",
    tell: Tell = lambda _: None,
) -> Trained:
    """Train a job in this process, or, given a client, on its workers; a folder that either began the other goes on in.

    Parameters
    ----------
    job : callable
        Makes the job for this process, of what lies in its memory; not called where there is a client.
    builder : str
        ``"package.module:function"``, of which ``function(**params)`` makes the same job in the process of a rank.
    params : mapping
        JSON-able where there is a client.
    folder : str or Path
        For checkpoints; shared with the workers.
    client : distributed.Client, optional
        Default: train here.
    ranks : int, optional
        Workers that train together; default: all of the client's.
    device : str
        ``"cpu"`` or ``"cuda"``.
    tell : callable
        Gets what the training says, see `insar_dask.forecast.training.logbook`.

    Returns
    -------
    Trained

    Raises
    ------
    Exception
        Those of `insar_dask.forecast.training.train.train` here, and of `insar_dask.forecast.training.ranks.train_on`
        on workers.
    """
    if client is None:
        from insar_dask.forecast.torch_threads import all_threads
        from insar_dask.forecast.training.train import train

        all_threads()
        return train(job(), folder, device=device, tell=tell)
    from insar_dask.forecast.training.ranks import train_on

    return train_on(client, builder, params, folder, ranks, device=device, tell=tell)
